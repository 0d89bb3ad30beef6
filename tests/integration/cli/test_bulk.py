"""Many decisions at once: holds by a filter, and a whole run put back."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.model.holds import HoldDraft
from core.store import customers, holds, journal
from core.store.database import Tx
from core.store.holds import Held
from core.sync import registry
from tests.integration.cli.conftest import Accord, customer_id, edit, only
from tests.support.acting import all_day
from tests.support.world import World


def held(world: World, number: int, reason: str, field: str, connection: str = "stripe") -> None:
    """Open holds on things that nothing else looks at."""

    def work(tx: Tx) -> None:
        for one in range(number):
            draft = HoldDraft(reason=reason, field=field, detail={}, digest=f"d{one}")
            some = [Held(subject=f"m:none-{reason}-{one}", record_id=None, drafts=[draft])]
            holds.settle(tx, world.hub.ids, connection, some, {}, world.clock.now())

    world.db.run_now(work)


def standing(world: World) -> dict[tuple[str, str], int]:
    """Open holds by connection and reason."""
    return world.db.read_now(holds.counts)


def test_all_holds_of_a_filter_are_answered(agreed: World, accord: Accord) -> None:
    """A quarter of a thousand conflicts are one decision; the others stay open."""
    held(agreed, 250, "conflict", "phone")
    held(agreed, 2, "conflict", "phone", "hubspot")
    held(agreed, 3, "cleared", "name")
    where = ("--where", "reason=conflict", "--where", "connection=stripe", "--where", "field=phone")
    listed = accord("holds", "answer", *where, "registry", "--dry-run", "--json")
    assert (listed.code, listed.json["matched"], listed.json["answered"]) == (2, 250, 0)
    assert "250 holds would be answered" in accord("holds", "answer", *where, "registry", "--dry-run").out
    refused = accord("holds", "answer", *where, "registry", "--json")
    assert (refused.code, refused.error["cure"]) == (1, "say --yes")
    assert sum(standing(agreed).values()) == 255
    done = accord("holds", "answer", *where, "registry", "--yes", "--json")
    assert (done.code, done.json["answered"], done.json["bad"]) == (0, 250, [])
    assert standing(agreed) == {("hubspot", "conflict"): 2, ("stripe", "cleared"): 3}
    again = accord("holds", "answer", *where, "registry", "--yes")
    assert (again.code, again.out.strip()) == (0, "no open hold is like that")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--where", "reason=nonsense", "registry"), 1, "is no reason"),
        (("--where", "colour=red", "registry"), 1, "is no filter"),
        (("--where", "reason", "registry"), 1, "is no filter"),
        (("--where", "field=phone", "--where", "field=name", "registry"), 1, "named twice"),
        (("--where", "connection=nope", "registry"), 1, "there is no connection"),
        (("--where", "connection=stripe", "registry"), 1, "no choice for all of 4"),
        (("--where", "reason=ambiguous_match", "link:C-1"), 1, "no choice for all of 2"),
        (("--where", "reason=ambiguous_match", "link:<id>"), 1, "no choice for all of 2"),
        (("--where", "reason=conflict", "id", "registry"), 64, "takes a CHOICE"),
        (("--where", "reason=conflict", "registry", "--digest", "x"), 64, "takes a CHOICE"),
        (("registry",), 64, "give an ID and a CHOICE"),
        (("id", "registry", "--yes"), 64, "belong to --where"),
    ],
)
def test_a_filter_that_is_wrong_answers_nothing(
    agreed: World, accord: Accord, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """A choice that only some of the holds know would answer half of them."""
    held(agreed, 2, "conflict", "phone")
    held(agreed, 2, "ambiguous_match", "")
    yes = () if code == 64 else ("--yes",)
    result = accord("holds", "answer", *arguments, *yes)
    assert result.code == code
    assert words in result.err
    assert sum(standing(agreed).values()) == 4


def test_a_hold_is_answered_by_the_beginning_of_its_id_also_for_the_second_time(agreed: World, accord: Accord) -> None:
    """Whoever repeated a short id was told that there is no such hold, as if the first answer had gone nowhere."""
    held(agreed, 1, "conflict", "phone")
    (one,) = accord("holds", "--json").json
    short = one["id"][:12]
    assert accord("holds", "answer", short, "accept").code == 0
    again = accord("holds", "answer", short, "accept", "--json")
    assert again.code == 1
    assert "answered accept already" in again.error["problem"]
    assert accord("holds", "answer", one["id"][:3], "accept", "--json").error["limit"].startswith("the first 4")
    assert accord("holds", "answer", "ffff", "accept", "--json").error["code"] == "not_found"


def imported(accord: Accord, tmp_path: Path, text: str) -> str:
    """The run of an import."""
    file = tmp_path / "in.csv"
    file.write_text(text)
    run: str = accord("customers", "import", str(file), "--json").json["run"]
    return run


def fields(world: World, name: str) -> dict[str, Any]:
    """One customer's fields."""
    return dict(world.db.read_now(lambda tx: registry.get(tx, name)).fields)


def test_one_answer_ends_the_questions_of_a_customer_that_is_gone_at_two_systems(agreed: World, accord: Accord) -> None:
    """Archived once: the other question of the same customer needs no answer, and nothing of it failed."""
    for name in ("stripe", "hubspot"):
        agreed.lookalikes[name].delete("customer", only(agreed, name))
    asyncio.run(all_day(agreed))
    assert {("hubspot", "remote_gone"), ("stripe", "remote_gone")} <= standing(agreed).keys()
    done = accord("holds", "answer", "--where", "reason=remote_gone", "archive", "--yes", "--json")
    assert (done.code, done.json["matched"], done.json["answered"]) == (0, 2, 1)
    assert (done.json["moot"], done.json["bad"]) == (1, [])
    assert "remote_gone" not in {reason for _, reason in standing(agreed)}
    assert agreed.db.read_now(customers.count) == 0


def test_a_run_is_undone_where_nothing_changed_since(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """A wrong file went in; in the meantime somebody corrected one of its values."""
    ada = customer_id(agreed)
    accord("customers", "create", "B", "--set", "name=Bob", "--set", "phone=030 1")
    accord("sync")
    before = fields(agreed, ada)
    run = imported(accord, tmp_path, f"external_customer_id,name,phone\n{ada},Eve,030 9\nB,Bib,030 9\nC,Cid,\n")
    accord("sync")
    accord("customers", "update", "B", "--set", "phone=030 5")
    accord("sync")
    shown = accord("undo", run, "--dry-run", "--json")
    assert (shown.code, len(shown.json["undone"])) == (2, 2)
    assert "would be put back" in accord("undo", run, "--dry-run").out
    assert fields(agreed, "B")["name"] == "Bib"
    done = accord("undo", run, "--json")
    reasons = {(one["external_customer_id"], one["field"]): one["reason"] for one in done.json["kept"]}
    assert reasons.pop(("B", "phone")) == "the registry's value has changed since"
    assert {name for name, _ in reasons} == {"C"}
    assert done.code == 1
    assert (fields(agreed, "B")["name"], fields(agreed, "B")["phone"]) == ("Bob", "030 5")
    assert fields(agreed, ada) == before
    accord("sync")
    assert {one["name"] for one in agreed.neutral("hubspot").values()} == {"Ada Lovelace", "Bob", "Cid"}
    assert accord("undo", run, "--json").json["undone"] == []
    back = accord("undo", f"undo:{run}", "--json")
    assert (back.code, fields(agreed, ada)["name"]) == (0, "Eve")


def test_a_run_of_a_connection_is_undone(agreed: World, accord: Accord) -> None:
    """Somebody's edit at HubSpot came in and went on to the others: it is put back everywhere."""
    ada = customer_id(agreed)
    edit(agreed, "hubspot", name="Mallory")
    accord("sync")
    entries = accord("explain", ada, "--json").json["journal"]
    run = next(one["trace"] for one in entries if one["action"] == "pull")
    result = accord("undo", run, "--json")
    assert (result.code, result.json["kept"]) == (0, [])
    accord("sync")
    assert {one["name"] for name in ("stripe", "hubspot") for one in agreed.neutral(name).values()} == {"Ada Lovelace"}
    assert accord("undo", run).out.strip() == "nothing is left to undo"


def test_one_field_of_a_run(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """The names of a file were wrong, its numbers right."""
    ada = customer_id(agreed)
    before = fields(agreed, ada)
    run = imported(accord, tmp_path, f"external_customer_id,name,phone\n{ada},Eve,030 9\n")
    assert accord("undo", run, "--field", "name").code == 0
    assert fields(agreed, ada) == {**before, "phone": "030 9"}


def test_another_edit_between_two_of_a_run_is_not_taken_back(agreed: World, accord: Accord) -> None:
    """Only what the run itself replaced last."""
    ada = customer_id(agreed)
    for name, trace in (("B", "run"), ("X", "other"), ("C", "run"), ("D", "run")):
        wanted = {"name": name}
        agreed.db.run_now(
            partial(registry.update, hub=agreed.hub, external_id=ada, values=wanted, actor="t", trace=trace)
        )
    assert accord("undo", "run").code == 0
    assert fields(agreed, ada)["name"] == "X"


def test_what_a_deleted_customer_had_is_kept(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """It is listed, and the rest goes on."""
    ada = customer_id(agreed)
    run = imported(accord, tmp_path, f"external_customer_id,name\n{ada},Eve\n")
    accord("customers", "archive", ada, "--yes")
    result = accord("undo", run, "--json")
    assert (result.code, [one["reason"] for one in result.json["kept"]]) == (1, ["its customer was deleted"])
    assert agreed.db.read_now(customers.count) == 0


def test_a_run_that_is_not_there(agreed: World, accord: Accord) -> None:
    """Nor does an empty one mean everything without a trace."""
    before = agreed.db.read_now(journal.last_id)
    for name in ("nope", "", "undo:"):
        assert accord("undo", name, "--json").error["code"] == "not_found"
    assert agreed.db.read_now(journal.last_id) == before


def test_a_dry_undo_of_a_change_writes_nothing(agreed: World, accord: Accord) -> None:
    """As of a run."""
    ada = customer_id(agreed)
    accord("customers", "update", ada, "--set", "phone=030 1")
    change = str(agreed.db.read_now(journal.last_id))
    result = accord("undo", change, "--dry-run", "--json")
    assert (result.code, result.json["fields"], fields(agreed, ada)["phone"]) == (2, {"phone": None}, "030 1")
