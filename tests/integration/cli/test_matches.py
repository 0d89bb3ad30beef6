"""Questions of who is who: into a spreadsheet, decided by a person, and back."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from core.model.holds import AMBIGUOUS_MATCH
from core.store import customers, holds
from core.store.holds import Hold
from core.store.mappings import of_records
from tests.integration.cli.conftest import Accord
from tests.support.acting import with_policy
from tests.support.world import World

ADA = {"name": "Ada Lovelace", "email": "ada@example.test"}
Rows = list[dict[str, str]]


@pytest.fixture
def asked(world: World) -> World:
    """HubSpot may not match e-mails: Ada is asked about from both sides there; two twins at Stripe, too."""
    world.config = with_policy(world.config, "hubspot", match_email=False)
    world.start()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    asyncio.run(world.activate_all("stripe"))
    world.lookalikes["hubspot"].edit("customer", None, {**ADA, "name": "=A. Lovelace"})
    asyncio.run(world.next_sweep())
    asyncio.run(world.activate_all("hubspot"))
    for phone in ("030 1", "030 2"):
        world.lookalikes["stripe"].edit("customer", None, {"name": "Twin", "email": "twin@x.test", "phone": phone})
    world.clock.time += 300
    asyncio.run(world.settle())
    asyncio.run(world.next_sweep())
    assert len(open_holds(world)) == 4
    return world


def open_holds(world: World) -> list[Hold]:
    """Questions that are open."""
    return world.db.read_now(lambda tx: holds.listing(tx, reason=AMBIGUOUS_MATCH))


def exported(accord: Accord, file: Path, *connection: str) -> Rows:
    """The rows of an export."""
    assert accord("match", "export", *connection, str(file)).code == 0
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))


def filled(file: Path, rows: Rows, choice: Callable[[dict[str, str]], str]) -> str:
    """The file with its choices filled in."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=";")
    writer.writeheader()
    writer.writerows({**row, "choice": choice(row)} for row in rows)
    file.write_text(text.getvalue(), encoding="utf-8-sig", newline="")
    return str(file)


def test_the_export_shows_enough_to_decide(asked: World, accord: Accord, tmp_path: Path) -> None:
    """Both directions, names and e-mails of both sides, and what may be chosen."""
    rows = exported(accord, tmp_path / "m.csv")
    (ada,) = [one for one in asked.db.read_now(customers.listing) if one.fields["name"] == "Ada Lovelace"]
    (remote,) = asked.neutral("hubspot")
    by = {(row["connection"], row["about"]): row for row in rows}
    born_there = by["hubspot", "object"]
    assert (born_there["about_id"], born_there["about_name"]) == (remote, "'=A. Lovelace")
    assert (born_there["candidate_id"], born_there["candidate_email"]) == (ada.external_id, "ada@example.test")
    assert born_there["choices"] == "link, create, leave, link:<external_customer_id>"
    born_here = by["hubspot", "customer"]
    assert (born_here["about_id"], born_here["candidate_id"]) == (ada.external_id, remote)
    twin = by["stripe", "object"]
    assert (twin["candidate_is"], twin["candidate_name"]) == ("object", "Twin")
    assert twin["choices"] == "create, leave, link:<external_customer_id>"
    assert {row["hold"] for row in exported(accord, tmp_path / "h.csv", "hubspot")} == {
        one.id for one in open_holds(asked) if one.connection == "hubspot"
    }
    assert accord("match", "export", "nope", str(tmp_path / "x.csv"), "--json").error["code"] == "not_found"
    assert accord("match", "export", "a", "b", "c").code == 64
    assert accord("match", "export", "-").out.startswith("hold,connection,")


def test_an_answered_file_links_and_enters(asked: World, accord: Accord, tmp_path: Path) -> None:
    """Excel may have rewritten the long ids of candidates: their number counts. The same file again does no harm."""
    file = tmp_path / "m.csv"
    rows = [{**row, "candidate_id": "5.01E+11"} for row in exported(accord, file)]
    choices = {("hubspot", "object"): "link", ("hubspot", "customer"): "link", ("stripe", "object"): "create"}
    name = filled(file, rows, lambda row: choices[row["connection"], row["about"]])
    done = accord("match", "import", name, "--json")
    assert (done.code, done.json["answered"], done.json["bad"]) == (0, 4, [])
    asyncio.run(asked.settle())
    assert open_holds(asked) == []
    found = asked.db.read_now(customers.listing)
    assert sorted(str(one.fields["name"]) for one in found) == ["=A. Lovelace", "Twin", "Twin"]
    (ada,) = [one for one in found if one.fields["name"] == "=A. Lovelace"]
    there = asked.db.read_now(lambda tx: of_records(tx, [ada.id]))[ada.id]
    assert {row.connection: row.remote_id for row in there}["hubspot"] in asked.neutral("hubspot")
    again = accord("match", "import", name)
    assert (again.code, "4 were answered so before" in again.out) == (0, True)


def test_what_is_wrong_is_told_by_line_and_nothing_is_answered(asked: World, accord: Accord, tmp_path: Path) -> None:
    """Stale digests, unknown ids, wrong choices; with --skip-bad the good ones count."""
    file = tmp_path / "m.csv"
    rows = exported(accord, file)
    twins = [row for row in rows if row["connection"] == "stripe"]
    ada = [row for row in rows if row["connection"] == "hubspot"]
    wrong = [
        {**ada[0], "digest": "old", "choice": "leave"},
        {**ada[1], "hold": "nope", "choice": "leave"},
        {**ada[1], "choice": "maybe"},
        {**twins[0], "choice": "link"},
        {**twins[1], "choice": "leave"},
        {**twins[0], "choice": "link:nobody"},
        {**ada[0], "candidate": "7", "choice": "link"},
        {**ada[0], "candidate": "7" * 5000, "choice": "link"},
    ]
    name = filled(file, wrong, lambda row: row["choice"])
    result = accord("match", "import", name, "--json")
    told = [(one["line"], one["field"]) for one in result.json["bad"]]
    assert told == [
        (2, "digest"), (3, "hold"), (4, "choice"), (5, "choice"), (7, "choice"), (8, "candidate"),
        (9, "candidate"),
    ]  # fmt: skip
    assert (result.code, result.json["not_answered"], len(open_holds(asked))) == (1, 1, 4)
    some = accord("match", "import", name, "--skip-bad", "--json")
    assert (some.code, some.json["answered"], len(open_holds(asked))) == (1, 1, 3)
    assert "have changed since they were seen" in accord("match", "import", name).out


def test_two_answers_that_contradict_each_other_are_refused(asked: World, accord: Accord, tmp_path: Path) -> None:
    """Two choices for one hold; two objects for one customer; another answer than the one given before."""
    file = tmp_path / "m.csv"
    rows = exported(accord, file)
    one = rows[0]
    both = accord("match", "import", filled(file, [{**one, "choice": c} for c in ("leave", "create")], _own), "--json")
    assert [(bad["line"], bad["field"]) for bad in both.json["bad"]] == [(3, "choice")]
    (ada,) = asked.db.read_now(customers.listing)
    objects = [row for row in rows if row["about"] == "object" and row["connection"] == "stripe"]
    same = filled(file, objects, lambda _row: f"link:{ada.external_id}")
    assert [bad["line"] for bad in accord("match", "import", same, "--json").json["bad"]] == [3]
    assert len(open_holds(asked)) == 4
    assert accord("match", "import", filled(file, [{**one, "choice": "leave"}], _own)).code == 0
    late = accord("match", "import", filled(file, [{**one, "choice": "create"}], _own), "--json")
    assert "was answered 'leave'" in late.json["bad"][0]["problem"]


def _own(row: dict[str, str]) -> str:
    return row["choice"]


def test_lines_without_a_choice_stay_open(asked: World, accord: Accord, tmp_path: Path) -> None:
    """A file that nobody filled in decides nothing; one of another kind is refused."""
    file = tmp_path / "m.csv"
    exported(accord, file)
    result = accord("match", "import", str(file), "--json")
    assert (result.code, result.json["answered"], result.json["without_choice"]) == (0, 0, 4)
    accord("customers", "export", str(file))
    assert accord("match", "import", str(file), "--json").error["field"] == "header"
    assert len(open_holds(asked)) == 4


def test_a_link_to_nothing_is_refused_at_every_door(asked: World, accord: Accord) -> None:
    """A mistyped id would only have asked the question anew."""
    for hold in open_holds(asked):
        result = accord("holds", "answer", hold.id, "link:nobody", "--json")
        assert (result.code, result.error["field"]) == (1, "choice")
    assert len(open_holds(asked)) == 4


def test_a_connection_alone_is_no_name_of_a_file(asked: World, accord: Accord) -> None:
    """It wrote all questions to a file called stripe."""
    assert open_holds(asked)
    told = accord("match", "export", "stripe", "--json").error
    assert (told["field"], told["cure"]) == (
        "file", "`accord match export stripe FILE`, or ./stripe for a file of that name",
    )  # fmt: skip
    assert not Path("stripe").exists()
