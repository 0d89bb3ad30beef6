"""What the documents say is what the program does: names, tables, links. A document that drifts is worse than none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main
from fastapi.routing import APIRoute

from config.settings import own_variables
from connectors import providers
from core.api import connections, customers, documents, ends, journals, operations, payouts, probes
from core.api.metrics import Metrics
from core.cli.main import build
from core.errors import AccordError
from core.model import holds
from core.store.tables import METADATA
from tests.docs import tables

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "connectors").glob("*/README.md")),
]
FILES = [*PAGES, *(one for one in sorted((ROOT / "docs").rglob("*")) if one.is_file() and one not in PAGES)]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST_NAME = re.compile(r"`(test_\w+)`")
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)+)`")
"""A test as pytest takes it: file and name."""


def page(name: str) -> str:
    """One document's text."""
    return (ROOT / name).read_text(encoding="utf-8")


def id_of(path: Path) -> str:
    """A page's name in the test report."""
    return str(path.relative_to(ROOT))


def commands(command: Any, path: str = "accord") -> Iterator[tuple[str, Any]]:
    """Every command a person can run, by its full name; `command` is Typer's, whose own click has no public name."""
    inner = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield path, command
    for name, one in inner.items():
        yield from commands(one, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(build())))


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one; "" where there is no such heading."""
    found = re.search(rf"^#+ {re.escape(title)}$\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    """Somebody at three in the morning looks here, not into the source."""
    text = section(page("docs/commands.md"), name)
    assert text, f"docs/commands.md needs a section `### {name}`"
    for parameter in COMMANDS[name].params:
        long = [one for one in (*parameter.opts, *parameter.secondary_opts) if one.startswith("--")]
        if long and long[0] not in ("--json", "--help"):
            assert any(one in text for one in long), f"`{name}` has {long[0]}"


def test_no_command_is_documented_that_is_not_there() -> None:
    """A command that was renamed must not live on here."""
    told = re.findall(r"^### (accord .+)$", page("docs/commands.md"), re.MULTILINE)
    assert set(told) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(own_variables()))
def test_every_variable_is_documented(name: str) -> None:
    """All of config.settings."""
    assert f"`{name}`" in page("docs/operations.md")


@pytest.mark.parametrize("name", sorted(providers()))
def test_every_setting_of_a_connector_has_a_row_in_its_readme(name: str) -> None:
    """Somewhere in its text is where nobody finds it."""
    told = re.findall(r"^\| `(\w+)` \|", page(f"connectors/{name}/README.md"), re.MULTILINE)
    assert [one for one in providers()[name].manifest.settings if one not in told] == []


def test_no_variable_is_documented_that_nothing_reads() -> None:
    """Names of a connection's secrets are examples and carry the connection."""
    told = set(re.findall(r"^\| `(ACCORD_[A-Z_]+)`", page("docs/operations.md"), re.MULTILINE))
    assert told == own_variables()


def test_every_metric_is_documented_and_no_other() -> None:
    """An alert on a metric that is not there never fires."""
    text = Metrics().exposed({"customers": 0, "connections": []}, {}, 0.0, is_ready=True).decode()
    names = {one for one in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE) if not one.endswith("_created")}
    told = set(re.findall(r"`(accord_\w+)[`{]", section(page("docs/operations.md"), "Metrics")))
    assert told == names


@pytest.mark.parametrize(
    "part",
    [customers, ends, connections, operations, journals, documents, payouts, probes],
    ids=lambda one: one.__name__,
)
def test_every_route_is_documented(part: ModuleType) -> None:
    """Method and path, as OpenAPI names them."""
    routes = [one for one in part.router.routes if isinstance(one, APIRoute)]
    assert routes
    for one in routes:
        assert one.methods
        for method in one.methods:
            assert f"`{method} {one.path}`" in page("docs/api.md")


def test_every_problem_code_is_documented() -> None:
    """Programs branch on the code, so all of them must be known."""

    def kinds(kind: type[AccordError]) -> Iterator[type[AccordError]]:
        yield kind
        for one in kind.__subclasses__():
            yield from kinds(one)

    text = page("docs/api.md")
    mine = [one for one in kinds(AccordError) if one.__module__ == "core.errors" and one is not AccordError]
    assert [one.code for one in mine if f"`{one.code}`" not in text] == []


def test_every_kind_of_hold_has_words_choices_and_a_line_in_the_policy() -> None:
    """Whoever is asked finds what it means, and what each answer does."""
    kinds = {one for name, one in vars(holds).items() if name.isupper() and isinstance(one, str)}
    told = {row.split("`")[1] for row in (tables.written("holds") or "").splitlines()[2:]}
    known = {"TEXTS": holds.TEXTS.keys(), "CHOICES": holds.CHOICES.keys(), "docs/policy.md": told}
    for place, those in known.items():
        assert kinds ^ those == set(), (
            f"{place} is not complete: give each kind a constant, words in TEXTS and answers in CHOICES in"
            " core/model/holds.py, then run: python -m tests.docs.tables"
        )


def test_no_hold_is_of_a_kind_without_a_name() -> None:
    """A kind that is spelt out where it is asked is in no table."""
    spelt = [
        f"{path.relative_to(ROOT)}:{call.lineno}: name it in core/model/holds.py, and write reason=holds.NAME"
        for folder in ("core", "connectors", "jobs")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("HoldDraft")
        for given in call.keywords
        if given.arg == "reason" and isinstance(given.value, ast.Constant)
    ]
    assert spelt == []


def test_every_answer_to_a_hold_is_explained_and_no_other() -> None:
    """By a line of its own, or together with those that do the same."""
    rows = re.findall(r"^\| (`.+?`) \|", page("docs/policy.md").partition("| choice | does |")[2], re.MULTILINE)
    explained = {one for row in rows for one in re.findall(r"`([^`]+)`", row)}
    offered = {one for choices in holds.CHOICES.values() for one in choices}
    assert explained ^ offered == set(), "say in docs/policy.md, under Holds, what each choice does"


@pytest.mark.parametrize("name", tables.BLOCKS)
def test_tables_say_what_the_code_says(name: str) -> None:
    """Ownership, thresholds, holds and states are copied by a program, never by hand."""
    assert tables.written(name) == tables.BLOCKS[name][1](), "run: python -m tests.docs.tables"


@pytest.mark.parametrize("path", PAGES, ids=id_of)
def test_every_link_resolves(path: Path) -> None:
    """Links to files and to headings in them."""
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{target} leads nowhere"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in slugs, f"{target}: no such heading"


@pytest.mark.parametrize("path", PAGES, ids=id_of)
def test_no_table_is_torn(path: Path) -> None:
    """A blank line in a table ends it: the rows after it are shown as text with bars in it."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")
    begun = [one.strip().splitlines() for one in blocks if one.lstrip().startswith("|")]
    assert [lines[0] for lines in begun if len(lines) < 2 or not re.fullmatch(r"[|: -]+", lines[1])] == []


def test_every_test_named_in_the_readme_exists() -> None:
    """A guarantee without its proof is an advertisement."""
    text = page("README.md")
    files = [target for target in LINK.findall(text) if target.startswith("tests/")]
    assert len(files) >= 3
    code = "\n".join(page(one) for one in files)
    names = TEST_NAME.findall(text)
    assert len(names) >= 3
    assert [one for one in names if f"def {one}(" not in code] == []


def named_in(file: Path) -> set[str]:
    """What a file of tests has, by the names that pytest takes: `::test_one`, `::TestMany::test_one`."""
    if not file.exists():
        return set()
    body = ast.parse(file.read_text(encoding="utf-8")).body
    many = {f"::{one.name}": one.body for one in body if isinstance(one, ast.ClassDef)} | {"": body}
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {f"{name}::{one.name}" for name, some in many.items() for one in some if isinstance(one, kinds)}


def test_every_test_that_a_page_names_with_its_file_exists() -> None:
    """Renamed or thrown away, it proves nothing any more, and the page goes on saying that it does."""
    named = [(one, *found) for one in PAGES for found in TEST_ID.findall(one.read_text(encoding="utf-8"))]
    assert len(named) >= 100, "TEST_ID finds them no more"
    there = {file: named_in(ROOT / file) for _, file, _ in named}
    assert [
        f"{id_of(page)}: there is no {file}{name}: name the test that fails where Accord does this, or write one"
        for page, file, name in named
        if name not in there[file]
    ] == []


def test_every_weakness_has_its_test() -> None:
    """A row without one is a promise."""
    lines = page("docs/weaknesses.md").splitlines()
    rows = [one for one in lines if one.startswith("|") and not one.startswith(("| what goes wrong", "|---"))]
    assert len(rows) >= 80
    assert [
        f"{row.split('|')[1].strip()}: name in its last column the test, as `tests/...py::test_...`"
        for row in rows
        if not TEST_ID.search(row.split("|")[-2])
    ] == []


def test_the_readme_is_short_and_begins_with_a_command() -> None:
    """The first screen must get somebody going."""
    lines = page("README.md").splitlines()
    assert len(lines) <= 120
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("```"))
    assert first <= 25
    assert lines[first].startswith("make demo")


def test_the_architecture_is_one_page() -> None:
    """Which module does what is in docs/where.md: whoever wants the whole picture has it at one look."""
    assert len(page("ARCHITECTURE.md").splitlines()) <= 110


def test_every_table_is_told_of() -> None:
    """Whoever looks for what is stored where finds all of it."""
    told = section(page("ARCHITECTURE.md"), "What is stored where")
    assert [name for name in METADATA.tables if f"`{name}`" not in told] == []


def test_every_file_named_in_the_pages_is_there() -> None:
    """Paths in backticks that look like ours: they are renamed more often than anybody rereads the pages."""
    path = re.compile(r"`((?:core|connectors|config|jobs|tests|scripts|docs)/[\w./-]+)`")
    for one in PAGES:
        for name in path.findall(one.read_text(encoding="utf-8")):
            if "NAME" not in name:
                assert (ROOT / name).exists(), f"{id_of(one)}: {name}"


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_nothing_of_this_machine_is_told(path: Path) -> None:
    """The documents are read elsewhere."""
    found = re.findall(r"(?<![\w.])/(?:work|tmp|home|root)/\S*|pypi\.org|index-url", path.read_text(encoding="utf-8"))
    assert found == []
