"""tokens and secrets: who may use the API, and the key around what is stored."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.cli.asking import actor
from core.store import api_tokens, journal
from core.store.vault import SealedVault
from tests.integration.cli.conftest import Accord
from tests.support.root import WorldRoot
from tests.support.world import World

DAY = 86_400.0


def test_a_token_is_shown_once_and_listed_without_itself(world: World, accord: Accord) -> None:
    """Whoever looks later sees who has one, since when, for what and until when."""
    made = accord("tokens", "create", "ci-bot", "--scope", "write", "--expires", "30", "--json")
    token = made.json["token"]
    assert (made.code, len(token)) == (0, 50)
    found = world.db.read_now(lambda tx: api_tokens.find(tx, token))
    assert found is not None
    assert found.expires_at == world.clock.now() + 30 * DAY
    listed = accord("tokens", "list", "--json")
    (one,) = listed.json
    assert (one["name"], one["scopes"], one["state"], one["used_at"]) == ("ci-bot", ["read", "write"], "live", None)
    assert one["created_by"].startswith("cli:")
    shown = accord("tokens", "list")
    assert token not in shown.out + listed.out
    assert "ci-bot" in shown.out
    world.clock.time += 30 * DAY
    assert accord("tokens", "list", "--json").json[0]["state"] == "expired"


def test_only_the_token_is_on_stdout(world: World, accord: Accord) -> None:
    """`TOKEN=$(accord tokens create ...)` must work."""
    made = accord("tokens", "create", "shell", "--scope", "read")
    assert made.out == f"{made.out.strip()}\n"
    assert world.db.read_now(lambda tx: api_tokens.find(tx, made.out.strip())) is not None


def test_a_revoked_token_stays_in_the_list_and_its_name_is_not_given_again(world: World, accord: Accord) -> None:
    """The journal names it: two holders of one name could not be told apart."""
    accord("tokens", "create", "ada", "--scope", "admin")
    assert accord("tokens", "revoke", "ada").code == 0
    at = accord("tokens", "list", "--json").json[0]["revoked_at"]
    world.clock.time += 60
    assert accord("tokens", "revoke", "ada", "--json").json["revoked_at"] == at
    again = accord("tokens", "create", "ada", "--scope", "read", "--json")
    assert (again.code, again.error["field"]) == (1, "name")
    assert accord("tokens", "revoke", "nobody", "--json").error["code"] == "not_found"


def test_who_made_and_who_revoked_a_token_stands_in_the_journal(world: World, accord: Accord) -> None:
    """Each once, without the token; what was revoked before is not revoked again."""
    token = accord("tokens", "create", "ada", "--scope", "admin", "--json").json["token"]
    for _ in range(2):
        accord("tokens", "revoke", "ada")
    entries = _journalled(world, "token")
    assert [(one.action, one.actor, one.changes) for one in entries] == [
        ("make_token", actor(), {"ada": (None, "admin", "tokens")}),
        ("revoke_token", actor(), {"ada": ("admin", None, "tokens")}),
    ]
    assert token not in str(entries)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("x y", "--scope", "read"), 1, "a-z"),
        (("", "--scope", "read"), 1, "a-z"),
        (("n" * 64, "--scope", "read"), 1, "63"),
        (("ok", "--scope", "root"), 1, "read, write, approve, admin"),
        (("ok", "--scope", "read", "--expires", "0"), 64, "expires"),
        (("ok",), 64, "scope"),
    ],
)
def test_what_cannot_be_a_token_is_refused(
    world: World, accord: Accord, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """And none is made."""
    refused = accord("tokens", "create", *arguments)
    assert (refused.code, words in refused.err) == (code, True), refused.err
    assert world.db.read_now(api_tokens.every) == []


def test_a_rotation_changes_the_key_file_and_opens_everything(
    world: World, root: WorldRoot, accord: Accord, tmp_path: Path
) -> None:
    """The file beside the database; the note says what to keep."""
    vault = SealedVault(world.db, root.keyring(), "quickbooks", clock=world.clock)
    asyncio.run(vault.save({"refresh_token": "r1", "access_token": "a1"}))
    key = tmp_path / "accord.sqlite3.key"
    before = key.read_text()
    done = accord("secrets", "rotate", "--json")
    assert (done.code, done.json["secrets"], done.json["connections"]) == (0, 2, 1)
    assert "needs the old one" in done.err
    assert key.read_text() != before
    assert key.read_text().strip() not in done.out + done.err
    assert vault.get("refresh_token") == "r1"
    (entry,) = _journalled(world)
    assert (entry.action, entry.actor) == ("rotate", actor())
    assert entry.changes["key"][1] == done.json["key_id"]


def test_lost_secrets_are_dropped_only_when_somebody_says_so(world: World, root: WorldRoot, accord: Accord) -> None:
    """The key is gone: forget what it sealed, then connect again."""
    vault = SealedVault(world.db, root.keyring(), "quickbooks", clock=world.clock)
    asyncio.run(vault.save({"refresh_token": "r1"}))
    assert accord("secrets", "forget").code == 1
    assert accord("secrets", "forget", "stripe", "--yes", "--json").json == {"dropped": 0}
    assert vault.get("refresh_token") == "r1"
    assert accord("secrets", "forget", "quickbooks", "--yes", "--json").json == {"dropped": 1}
    assert vault.get("refresh_token") is None
    mistyped = accord("secrets", "forget", "quickboks", "--yes")
    assert (mistyped.code, mistyped.out.strip()) == (0, "no secret of 'quickboks' is stored; nothing was dropped")
    found = [(one.action, one.connection, one.actor, one.changes["secrets"][0]) for one in _journalled(world)]
    dropped = [("stripe", "0"), ("quickbooks", "1"), ("quickboks", "0")]
    assert found == [("forget_secrets", name, actor(), count) for name, count in dropped]


def _journalled(world: World, kind: str = "secret") -> list[journal.Entry]:
    """What the journal has of secrets, or of tokens, oldest first."""
    return [one for one in reversed(world.db.read_now(lambda tx: journal.of_record(tx, ""))) if one.kind == kind]
