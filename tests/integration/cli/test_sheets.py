"""Customers as a CSV file: out, into a spreadsheet, and in again."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from core.store import customers, holds, journal
from core.store.database import Tx
from core.sync import registry
from core.sync.bulk import carry_out
from core.sync.importing import Row, apply, check
from tests.integration.cli.conftest import Accord
from tests.support.world import World

NASTY: dict[str, Any] = {
    "name": '=HYPERLINK("http://evil.test")',
    "legal_name": "'=already quoted, with a comma",
    "phone": "call me",
    "tax_identification_number": "(blank)",
    "other_emails": ["a@x.test", "no e-mail, at all"],
    "billing_address": {"line1": '-1 Way\r\nHouse "B"', "city": "Zürich", "country": "nowhere"},
    "metadata.note": "@one\ntwo\r\n three\t",
    "metadata.blank": "  ",
}


def put(world: World, external_id: str, fields: dict[str, Any]) -> None:
    """A customer as a provider's words made it: by no rule of ours."""

    def work(tx: Tx) -> None:
        one = registry.create(tx, world.hub, external_id, {"name": "Nobody"}, actor="test", trace="t")
        registry.put(tx, world.hub, one, {"name": None, **fields}, actor="test", trace="t", action="edit")

    world.db.run_now(work)


def everything(world: World) -> dict[str, dict[str, Any]]:
    """All customers' fields."""
    return {
        one.external_id: dict(one.fields) for one in world.db.read_now(lambda tx: customers.listing(tx, limit=1000))
    }


def sheet(tmp_path: Path, text: str, *, encoding: str = "utf-8") -> str:
    """A CSV file."""
    file = tmp_path / "in.csv"
    file.write_bytes(text.encode(encoding))
    return str(file)


def exported(file: Path) -> list[dict[str, str]]:
    """The rows of an export, as another program reads them."""
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))


def test_an_export_that_is_imported_changes_nothing(world: World, accord: Accord, tmp_path: Path) -> None:
    """Whatever stands in the registry, also what our own rules would refuse; and no cell of it runs."""
    put(world, "=1+1", NASTY)
    put(world, "'-2", {"name": "Bob"})
    put(world, "C-3", {"name": "Eve", "parent": "'-2", "metadata.plan": "pro"})
    before = world.db.read_now(customers.listing)
    file = tmp_path / "all.csv"
    assert accord("customers", "export", str(file), "--json").json == {"file": str(file), "customers": 3}
    rows = exported(file)
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert rows[1]["billing_address.city"] == "Zürich"
    assert {"metadata.plan", "metadata.note", "shipping_address.country", "version"} <= rows[0].keys()
    again = accord("customers", "import", str(file), "--json")
    assert (again.code, again.json["unchanged"], again.json["bad"]) == (0, 3, [])
    assert world.db.read_now(customers.listing) == before


def test_an_export_enters_another_registry(world: World, accord: Accord, tmp_path: Path) -> None:
    """Without its versions, which are this registry's own."""
    fields = {"name": "'=Ada", "phone": "+49 30 1234", "other_emails": ["b@x.test"], "metadata.k": "a\r\nb"}
    put(world, "-1", {**fields, "billing_address": {"line1": "+5", "country": "DE"}, "metadata.-": "'"})
    file = tmp_path / "all.csv"
    accord("customers", "export", str(file))
    before = everything(world)
    accord("customers", "archive", "--yes", "--", "-1")
    versions = accord("customers", "import", str(file), "--json").json["bad"]
    assert [(one["line"], one["field"]) for one in versions] == [(2, "external_customer_id")]
    rows = [{name: cell for name, cell in row.items() if name != "version"} for row in exported(file)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    assert accord("customers", "import", sheet(tmp_path, text.getvalue())).code == 0
    assert everything(world) == before


def test_an_export_to_stdout_is_the_file(world: World, accord: Accord, tmp_path: Path) -> None:
    """For a pipe: nothing but the CSV, and no mark before it."""
    put(world, "C-1", {"name": "Zoë"})
    accord("customers", "export", str(tmp_path / "all.csv"))
    assert accord("customers", "export").out.encode() == (tmp_path / "all.csv").read_bytes().removeprefix(
        b"\xef\xbb\xbf"
    )
    assert accord("customers", "export", "--json").error["field"] == "file"
    assert accord("customers", "export", str(tmp_path / "no" / "all.csv"), "--json").error["field"] == "file"
    assert [one.name for one in tmp_path.iterdir() if "csv" in one.name] == ["all.csv"]


def test_every_bad_row_is_told_and_nothing_is_written(world: World, accord: Accord, tmp_path: Path) -> None:
    """One look at the list is enough to correct the file."""
    put(world, "C-1", {"name": "Ada"})
    before = everything(world)
    file = sheet(
        tmp_path,
        "external_customer_id,version,email,name,currency\n"
        "C-1,,ada@example.test,Ada L,EUR\n"
        'C-2,,nonsense,"two\nlines",XXX\n'
        "C-1,,x@example.test,,\n"
        ",,x@example.test,,\n"
        "C-4,,only,three\n"
        "C-5,one,,,\n"
        "C-6,,,(blank),\n",
    )
    result = accord("customers", "import", file, "--json")
    told = [(one["line"], one["external_customer_id"], one["field"]) for one in result.json["bad"]]
    assert told == [
        (3, "C-2", "email"), (3, "C-2", "name"), (3, "C-2", "currency"), (5, "C-1", "external_customer_id"),
        (6, "", "external_customer_id"), (7, "", "row"), (8, "C-5", "version"), (9, "C-6", "fields"),
    ]  # fmt: skip
    assert all(one["problem"] for one in result.json["bad"])
    assert (result.code, result.json["not_written"], everything(world)) == (1, 1, before)
    words = accord("customers", "import", file).out
    assert "is on line 2 already" in words
    assert "1 good rows were not written" in words
    some = accord("customers", "import", file, "--skip-bad", "--json")
    assert (some.code, some.json["updated"]) == (1, 1)
    assert everything(world) == {"C-1": {"name": "Ada L", "email": "ada@example.test", "currency": "EUR"}}


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (("A",), "puts all of it back"),
        (("A", "B"), "puts what was updated back; who was created stays"),
        (("B", "C"), "who was created stays, until `accord customers archive ID`"),
    ],
)
def test_an_import_says_what_of_it_an_undo_puts_back(
    accord: Accord, tmp_path: Path, ids: tuple[str, ...], told: str
) -> None:
    """An undo of all was promised, and archived nobody who had been created."""
    accord("customers", "create", "A", "--set", "name=Ada")
    rows = "".join(f"{one},New\n" for one in ids)
    done = accord("customers", "import", sheet(tmp_path, f"external_customer_id,name\n{rows}"))
    assert done.code == 0
    assert told in done.out
    assert ("accord undo" in done.out) == ("A" in ids)


def test_a_dry_run_shows_and_writes_nothing(world: World, accord: Accord, tmp_path: Path) -> None:
    """Its exit code is a plan's."""
    put(world, "C-1", {"name": "Ada"})
    file = sheet(tmp_path, "external_customer_id,name,phone\nC-1,Eve,\nC-2,Bob,030 1\n")
    result = accord("customers", "import", file, "--dry-run", "--json")
    assert (result.code, result.json["created"], result.json["updated"]) == (2, 1, 1)
    assert result.json["rows"][0]["changes"] == {"name": {"old": "Ada", "new": "Eve"}}
    assert "030 1" in accord("customers", "import", file, "--dry-run").out
    assert everything(world) == {"C-1": {"name": "Ada"}}
    accord("customers", "import", file)
    assert accord("customers", "import", file, "--dry-run").code == 0


def test_a_row_with_more_metadata_than_a_record_holds_is_told(world: World, accord: Accord, tmp_path: Path) -> None:
    """By the dry run already."""
    keys = [f"metadata.k{number}" for number in range(201)]
    text = f"external_customer_id,{','.join(keys)}\nada,{','.join('x' for _ in keys)}\n"
    result = accord("customers", "import", sheet(tmp_path, text), "--dry-run", "--json")
    assert result.code == 1
    assert "would have 201 keys" in result.out
    assert everything(world) == {}


@pytest.mark.parametrize("cell", ["-1", "1e5", "1234567890"])
def test_a_version_that_is_none_is_told_with_the_limit_and_what_to_do(
    world: World, accord: Accord, tmp_path: Path, cell: str
) -> None:
    """A number of ten digits was told to be no whole number, and nothing said what to write."""
    file = sheet(tmp_path, f"external_customer_id,version,name\nC-1,{cell},Ada\n")
    (bad,) = accord("customers", "import", file, "--json").json["bad"]
    assert (bad["field"], bad["limit"]) == ("version", "a whole number of at most 9 digits")
    assert "empty" in bad["cure"]
    assert everything(world) == {}


def test_a_row_of_an_old_version_is_refused(world: World, accord: Accord, tmp_path: Path) -> None:
    """Somebody edited the customer while the file lay in a spreadsheet; a row that changes nothing harms nothing."""
    put(world, "C-1", {"name": "Ada"})
    put(world, "C-2", {"name": "Bob"})
    file = sheet(tmp_path, "external_customer_id,version,name\nC-1,2,Ada B\nC-2,2,Bob\n")
    for name in ("C-1", "C-2"):
        accord("customers", "update", name, "--set", "phone=030 1")
    (bad,) = accord("customers", "import", file, "--json").json["bad"]
    assert (bad["line"], bad["field"], bad["code"]) == (2, "version", "version_conflict")
    assert everything(world)["C-1"] == {"name": "Ada", "phone": "030 1"}


def test_parents_go_first_in_whatever_order_the_rows_are(world: World, accord: Accord, tmp_path: Path) -> None:
    """Also where two customers change places, and the one between them is not in the file."""
    put(world, "top", {"name": "Top"})
    put(world, "middle", {"name": "Middle", "parent": "top"})
    put(world, "low", {"name": "Low", "parent": "middle"})
    file = sheet(
        tmp_path,
        "external_customer_id,parent\nnew-1,new-2\nnew-2,top\ntop,middle\nmiddle,(blank)\n",
    )
    result = accord("customers", "import", file, "--json")
    assert (result.code, result.json["bad"]) == (0, [])
    parents = {name: fields.get("parent") for name, fields in everything(world).items()}
    assert parents == {"top": "middle", "middle": None, "low": "middle", "new-1": "new-2", "new-2": "top"}


def test_circles_and_children_of_bad_rows_are_refused(world: World, accord: Accord, tmp_path: Path) -> None:
    """With --skip-bad, too: a row goes in only if its parent does."""
    put(world, "a", {"name": "A"})
    put(world, "b", {"name": "B", "parent": "a"})
    file = sheet(
        tmp_path,
        "external_customer_id,parent,email\na,b,\nx,y,\ny,x,\nself,self,\nchild,bad,\ngrand,child,\nbad,,nonsense\n"
        "lost,nobody,\nfine,top,\ntop,,top@example.test\n",
    )
    result = accord("customers", "import", file, "--skip-bad", "--json")
    told = {one["line"]: one["field"] for one in result.json["bad"]}
    assert told == {line: "email" if line == 8 else "parent" for line in range(2, 10)}
    assert everything(world) == {
        "a": {"name": "A"},
        "b": {"name": "B", "parent": "a"},
        "fine": {"parent": "top"},
        "top": {"email": "top@example.test"},
    }


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("external_customer_id,name\nC-1,Müller\n".encode("cp1252"), "line 2 .* is not UTF-8 .byte 0xFC.*CSV UTF-8"),
        ("external_customer_id\tname\n".encode("utf-16"), "is UTF-16 .*CSV UTF-8"),
        ("external_customer_id\tname\n".encode("utf-16-le"), "U\\+0000 in it, as UTF-16 does .*CSV UTF-8"),
        (
            f"external_customer_id,name\nC-1,{'x' * 140_000}\n".encode(),
            "a cell on line 2 is too long .*131072",
        ),
        (b'external_customer_id,name\nC-1,"open\nC-2,x\n', "the row on line 2 is no CSV"),
        (b'external_customer_id,name\nC-0,x\nC-1,"a"b\n', "the row on line 3 is no CSV"),
        (b"", "there is no column 'external_customer_id'"),
        (b"external_customer_id,name,name\n", "'name' is there twice"),
        (b"external_customer_id,nmae\n", "did you mean 'name'"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_with_the_cure(
    world: World, accord: Accord, tmp_path: Path, raw: bytes, words: str
) -> None:
    """Nothing is guessed about letters or quotes."""
    file = tmp_path / "in.csv"
    file.write_bytes(raw)
    result = accord("customers", "import", str(file), "--skip-bad")
    assert result.code == 1
    assert re.search(words, result.err)
    assert everything(world) == {}
    assert accord("customers", "import", str(tmp_path / "none.csv"), "--json").error["field"] == "file"


def test_a_mark_at_the_beginning_may_be_there_twice(world: World, accord: Accord, tmp_path: Path) -> None:
    """The second one was taken for a part of the first column's name."""
    file = sheet(tmp_path, "\ufeff\ufeffexternal_customer_id,name\nc-1,Ada\n")
    assert accord("customers", "import", file).code == 0
    assert everything(world) == {"c-1": {"name": "Ada"}}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_every_spreadsheet_are_read(
    world: World, accord: Accord, tmp_path: Path, separator: str, end: str
) -> None:
    """Excel in Europe separates by semicolons, begins with a BOM, and leaves empty columns and rows at the end."""
    lines = ['"external_customer_id",name,', "C-1,Zoë;B,", ",,", 'C-2,"say ""hi""",']
    text = end.join(line.replace(",", separator).replace("Zoë;B", '"Zoë;B"') for line in lines)
    assert accord("customers", "import", sheet(tmp_path, f"\ufeff{text}{end}")).code == 0
    assert everything(world) == {"C-1": {"name": "Zoë;B"}, "C-2": {"name": 'say "hi"'}}


def test_an_import_is_an_edit_that_the_guard_counts(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """It flows to every system and is journalled as one run; a mass clear stops before it reaches them."""
    rows = [f"C-{number:03},P {number},030 {number},p{number}@example.test" for number in range(130)]
    head = "external_customer_id,name,phone,email\n"
    result = accord("customers", "import", sheet(tmp_path, head + "\n".join(rows)), "--json")
    assert (result.code, result.json["created"]) == (0, 130)
    asyncio.run(agreed.settle())
    assert len(agreed.neutral("stripe")) == 131
    one = agreed.db.read_now(lambda tx: registry.get(tx, "C-129"))
    entries = agreed.db.read_now(lambda tx: journal.of_record(tx, one.id))
    (entry,) = [entry for entry in entries if entry.connection is None]
    assert (entry.action, entry.trace) == ("create", result.json["run"])
    assert entry.actor.startswith("cli:")
    cleared = "\n".join(f"C-{number:03},(blank)" for number in range(130))
    assert accord("customers", "import", sheet(tmp_path, f"external_customer_id,phone\n{cleared}")).code == 0
    asyncio.run(agreed.settle())
    assert {one.reason for one in agreed.db.read_now(holds.listing)} == {"mass_change"}
    assert sum(bool(one["phone"]) for one in agreed.neutral("stripe").values()) > 100


def test_a_customer_that_moves_on_during_the_import_stops_it(world: World) -> None:
    """Between the check and the write somebody else was faster: told, and the file may be imported again."""
    rows = [Row(line=number, external_id=f"C-{number:03}", version=None, cells={"name": "x"}) for number in range(250)]
    steps, refused = world.db.read_now(lambda tx: check(tx, rows))
    assert refused == []
    put(world, "C-150", {"name": "taken"})

    def work(tx: Tx, step: Any) -> None:
        apply(tx, world.hub, step, actor="test", trace="t")

    done, late = carry_out(world.db, steps, work, goes_on=False)
    assert (len(done), [one.item.row.line for one in late], len(everything(world))) == (100, [150], 101)
    done, late = carry_out(world.db, steps[100:], work, goes_on=True)
    assert (len(done), [one.item.row.line for one in late]) == (149, [150])
