"""connect, doctor, db, run, sandbox: what comes before the first sync, and what goes wrong with it."""

from __future__ import annotations

import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

import run_daemon
from core.cli.asking import actor
from core.cli.consent import Callback
from core.cli.credentials import Consenting, connect_one
from core.cli.desk import Desk
from core.cli.main import run
from core.errors import ConfigError, ReauthorizeError, RetryError, StorageError, WrongAccountError
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.sandbox.client import SandboxClient
from core.store import connections, customers, journal, schema
from core.store.connections import Cursor
from core.store.database import Database, Tx
from tests.integration.cli.conftest import Accord
from tests.support.acting import with_settings
from tests.support.disk import files_end_at
from tests.support.root import WorldRoot
from tests.support.world import OFFERS, PlainVault, World


def _row(world: World, name: str) -> connections.ConnectionRow:
    return world.db.read_now(lambda tx: connections.get(tx, name))


def test_keys_connect_and_pin_the_account(world: World, accord: Accord) -> None:
    """From then on other credentials are refused."""
    result = accord("connect", "stripe", "--json")
    assert (result.code, result.json["missing"]) == (0, {})
    assert _row(world, "stripe").account_id == result.json["account"]
    world.db.run_now(lambda tx: connections.change(tx, "stripe", account_id="acct_other:live"))
    world.db.run_now(lambda tx: connections.put_cursor(tx, Cursor(connection="stripe", mode="full")))
    other = accord("connect", "stripe", "--json")
    assert (other.code, other.error["code"]) == (1, "wrong_account")
    (entry,) = world.db.read_now(lambda tx: journal.of_record(tx, ""))
    assert (entry.kind, entry.connection, entry.action, entry.actor) == ("connection", "stripe", "connect", actor())
    assert entry.changes == {"account": (None, result.json["account"], "connect")}


def test_a_wrong_account_is_exchanged_while_nothing_was_read_of_it(
    world: World, root: WorldRoot, accord: Accord
) -> None:
    """A running daemon may be reading it just now; what it reads would be stored as the other one's."""
    assert accord("connect", "stripe").code == 0
    right = _row(world, "stripe").account_id
    world.db.run_now(lambda tx: connections.change(tx, "stripe", account_id="acct_slip", account_title="Private"))
    root.daemon = lambda: True
    refused = accord("connect", "stripe", "--json")
    assert (refused.code, refused.error["code"]) == (1, "wrong_account")
    root.daemon = lambda: False
    assert accord("connect", "stripe").code == 0
    assert (_row(world, "stripe").account_id, _row(world, "stripe").account_title) == (right, "stripe (live mode)")
    (entry, *_) = world.db.read_now(lambda tx: journal.of_record(tx, ""))
    assert entry.changes == {"account": ("acct_slip", right, "connect")}


def test_doctor_tells_of_an_account_that_another_connection_has(agreed: World, accord: Accord) -> None:
    """It was renamed before that was refused: all of the account is taken, and copied, a second time."""
    account = _row(agreed, "stripe").account_id

    def rename(tx: Tx) -> None:
        connections.ensure(tx, "stripe-eu", "stripe")
        connections.change(tx, "stripe-eu", account_id=account)
        connections.put_cursor(tx, Cursor(connection="stripe-eu", mode="full"))

    agreed.db.run_now(rename)
    told = accord("doctor", "--json")
    (wrong,) = (one for one in told.json if one["state"] == "wrong")
    assert (told.code, wrong["about"], wrong["check"]) == (1, "stripe", "account")
    assert "If stripe-eu was renamed, call it so again in accord.toml" in wrong["says"]


def test_a_missing_key_is_named_with_its_variable(world: World, accord: Accord) -> None:
    """Nobody can be asked where there is no terminal."""
    world.vaults["hubspot"] = PlainVault({})
    result = accord("connect", "hubspot", "--json")
    assert (result.code, result.json["missing"]) == (1, {"access_token": "ACCORD_HUBSPOT_ACCESS_TOKEN"})
    assert "ACCORD_HUBSPOT_ACCESS_TOKEN" in accord("connect", "hubspot").out


def test_a_missing_webhook_secret_stops_nothing_and_is_told(world: World, accord: Accord) -> None:
    """Sweeps find changes without webhooks."""
    del world.vaults["stripe"].values["webhook_secret"]
    result = accord("connect", "stripe", "--json")
    assert (result.code, result.json["missing"]) == (0, {"webhook_secret": "ACCORD_STRIPE_WEBHOOK_SECRET"})
    told = accord("connect", "stripe").out
    assert "what comes to its address is refused until ACCORD_STRIPE_WEBHOOK_SECRET is set" in " ".join(told.split())


def test_a_key_that_is_typed_is_stored_once_it_opens_the_pinned_account(agreed: World, root: WorldRoot) -> None:
    """A running daemon takes what is stored at once, and would write into the other account."""
    old, account = agreed.vaults["stripe"].values.pop("api_key"), _row(agreed, "stripe").account_id
    agreed.db.run_now(lambda tx: connections.change(tx, "stripe", account_id="acct_of_before"))
    terminal = _Terminal()
    desk = _Typing(root, (terminal, terminal, terminal))
    consenting = Consenting(port=0, has_browser=False, patience=1)
    desk.types = old
    with pytest.raises(WrongAccountError):
        connect_one(desk, "stripe", consenting)
    assert agreed.vaults["stripe"].get("api_key") is None
    agreed.db.run_now(lambda tx: connections.change(tx, "stripe", account_id=account))
    assert connect_one(desk, "stripe", consenting) == 0
    assert agreed.vaults["stripe"].get("api_key") == old


def test_a_stored_key_that_is_refused_is_replaced_by_what_is_typed(agreed: World, root: WorldRoot) -> None:
    """`accord status` says `accord connect stripe`, which asked for nothing and said the same again, for ever."""
    good = agreed.vaults["stripe"].values["api_key"]
    agreed.vaults["stripe"].values["api_key"] = "rk_live_revoked"
    terminal = _Terminal()
    desk = _Typing(root, (terminal, terminal, terminal))
    consenting = Consenting(port=0, has_browser=False, patience=1)
    with pytest.raises(ReauthorizeError, match="refused the API key"):
        connect_one(desk, "stripe", consenting)
    desk.types = good
    assert connect_one(desk, "stripe", consenting) == 0
    assert agreed.vaults["stripe"].get("api_key") == good
    assert "or nothing to leave it as it is" in terminal.getvalue()


def test_a_refused_key_is_told_with_its_variable_where_nobody_can_be_asked(agreed: World, accord: Accord) -> None:
    """Told to run the command that had just failed, a script's author learned nothing."""
    agreed.vaults["stripe"].values["api_key"] = "rk_live_revoked"
    refused = accord("connect", "stripe")
    assert refused.code == 1
    assert "run it in a terminal, or set ACCORD_STRIPE_API_KEY anew" in refused.err


def test_a_signing_secret_that_was_rotated_is_typed_anew(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """Only what was missing was asked for: the old one stayed, and each delivery was refused."""
    key = agreed.vaults["stripe"].values["api_key"]
    terminal = _Terminal()
    desk = _Typing(root, (terminal, terminal, terminal))
    desk.types, desk.only_for = "whsec_old whsec_new", "webhook_secret"
    assert connect_one(desk, "stripe", Consenting(port=0, has_browser=False, patience=1), is_anew=True) == 0
    values = agreed.vaults["stripe"].values
    assert (values["webhook_secret"], values["api_key"]) == ("whsec_old whsec_new", key)
    refused = accord("connect", "stripe", "--anew", "--json")
    assert (refused.code, "ACCORD_STRIPE_WEBHOOK_SECRET" in refused.error["cure"]) == (1, True)


def test_good_credentials_end_what_waited_for_them(agreed: World, accord: Accord) -> None:
    """A connection that was active is active again, and not to be activated anew."""
    agreed.db.run_now(lambda tx: connections.change(tx, "stripe", state="reauthorize", error="revoked"))
    assert accord("doctor").code == 1
    assert accord("connect", "stripe").code == 0
    assert (_row(agreed, "stripe").state, _row(agreed, "stripe").error) == ("active", "")


def test_connect_says_what_comes_next_and_what_the_daemon_does_not_know(
    agreed: World, root: WorldRoot, accord: Accord
) -> None:
    """An active connection is not activated anew; a variable of this shell is none of the daemon's."""
    said = accord("connect", "stripe").out
    assert "activate" not in said
    assert "`accord sync stripe` goes on" in said
    root.daemon = lambda: True
    root.told_given = ["ACCORD_STRIPE_API_KEY"]
    said = accord("connect", "stripe").out
    assert "restart it with the new one" in said
    assert "ACCORD_STRIPE_API_KEY" in said
    agreed.db.run_now(lambda tx: connections.change(tx, "stripe", state="observing"))
    assert "accord activate stripe" in accord("connect", "stripe").out


def test_doctor_names_settings_that_cannot_work(agreed: World, accord: Accord) -> None:
    """An item that is not in the books, a first day that nobody lives to see: nothing would be copied."""
    scopes = dict(agreed.config.policy.connections)
    late = DocumentPolicy(mirrors=("invoice",), since="2999-01-01")
    scopes["quickbooks"] = msgspec.structs.replace(scopes["quickbooks"], documents=late)
    policy = msgspec.structs.replace(agreed.config.policy, connections=scopes)
    agreed.config = replace(agreed.config, policy=policy)
    agreed.config = with_settings(agreed.config, "quickbooks", default_item="777", deposit_account="nonsense")
    books = replace(agreed.config.connections["quickbooks"], deposits={"stripe": "4711", "stripe.EUR": "35"})
    agreed.config = replace(agreed.config, connections={**agreed.config.connections, "quickbooks": books})
    result = accord("doctor", "--json")
    wrong = [one["says"] for one in result.json if one["state"] == "wrong"]
    assert result.code == 1
    assert [
        word
        for word in (
            "2999-01-01",
            "default_item: item 777",
            "deposit_account: account nonsense",
            "deposits.stripe: account 4711",
        )
        if word not in str(wrong)
    ] == []
    assert "deposits.stripe.EUR" not in str(wrong)
    books = replace(books, deposits={"stripe": "79", "stripe.EUR": "4"})
    agreed.config = replace(agreed.config, connections={**agreed.config.connections, "quickbooks": books})
    agreed.config = with_settings(agreed.config, "quickbooks", income_account="35")
    said = accord("doctor", "--json").out
    assert "deposits.stripe: account 79 is of type Income, not Bank or Other Current Asset" in said
    assert "income_account: account 35 is of type Bank, not Income" in said
    assert "stripe.EUR" not in said
    books = replace(books, deposits={"stripe": "4"})
    agreed.config = replace(agreed.config, connections={**agreed.config.connections, "quickbooks": books})
    agreed.config = with_settings(
        agreed.config, "quickbooks", default_item="1", deposit_account="35", income_account="79"
    )
    assert "is not there" not in accord("doctor").out


def test_a_refused_key_is_told_with_the_command_for_this_connection(agreed: World, accord: Accord) -> None:
    """`accord status` repeats it, and whoever reads it has several connections."""

    def refused(_request: HttpRequest) -> HttpResponse:
        raise ReauthorizeError("the key was refused; store a new one with `accord connect`")

    agreed.exchanges["stripe"] = refused
    accord("sync", "stripe")
    assert "`accord connect stripe`" in accord("status").out
    (line,) = (one for one in accord("doctor").out.splitlines() if ": state: " in one and "wrong" in one)
    assert line.count("accord connect") == 1


def test_unknown_names_and_the_list_of_providers(world: World, accord: Accord) -> None:
    """What there is, is told."""
    assert world.db.read_now(customers.count) == 0
    assert accord("connect", "nope", "--json").error["code"] == "not_found"
    assert accord("connect", "--json").error["field"] == "connection"
    found = accord("connect", "--list", "--json").json
    assert (found["quickbooks"]["is_oauth"], found["stripe"]["is_oauth"]) == (True, False)
    shown = accord("connect", "--list").out
    assert "api_key" in shown
    assert "ACCORD_STRIPE_API_KEY" in shown


def test_without_a_file_the_list_says_how_variables_are_named(
    root: WorldRoot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever writes the file looks here first."""
    root.file = tmp_path / "accord.toml"
    assert run(_Sandboxed(root), ["connect", "--list"]) == 0
    assert "ACCORD_<CONNECTION>_API_KEY" in capsys.readouterr().out


def _get(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_only_the_right_state_is_taken_for_the_answer() -> None:
    """Anybody on the machine can call a loopback port."""
    with Callback(0) as callback:
        base = callback.redirect_uri.replace("localhost", "127.0.0.1")
        found: dict[str, object] = {}
        waiter = threading.Thread(target=lambda: found.update(callback.wait(10)))
        waiter.start()
        assert _get(f"{base}?code=evil&state=guess") == 400
        assert _get(f"{base}?code=evil") == 400
        assert _get(f"{base.replace('callback', 'other')}?code=evil&state={callback.state}") == 400
        with socket.create_connection(("127.0.0.1", int(base.split(":")[2].partition("/")[0])), timeout=5) as odd:
            odd.sendall(f"GET http://[?code=evil&state={callback.state} HTTP/1.0\r\n\r\n".encode())
            assert b" 400 " in odd.recv(100)
        assert _get(f"{base}?code=good&state={callback.state}&realmId=91") == 200
        waiter.join()
    assert (found["code"], found["realmId"]) == ("good", "91")


def test_nobody_is_waited_for_for_ever_and_a_taken_port_is_told() -> None:
    """A browser may be closed; a port may be another program's."""
    with Callback(0) as callback:
        with pytest.raises(ReauthorizeError, match="in time"):
            callback.wait(0)
        port = int(callback.redirect_uri.split(":")[2].split("/")[0])
        with pytest.raises(StorageError, match="--port"):
            Callback(port)


def test_a_consent_brings_tokens_and_the_realm_into_the_file(
    world: World, root: WorldRoot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """QuickBooks has no keys to paste: a person of the company consents in a browser."""
    root.file = tmp_path / "accord.toml"
    root.file.write_text('[connections.quickbooks]\nprovider = "quickbooks"\n')
    config = world.config.connections["quickbooks"]
    settings = {name: value for name, value in config.settings.items() if name != "realm_id"}
    books = replace(config, settings=settings)
    world.config = replace(world.config, connections={**world.config.connections, "quickbooks": books})
    del world.vaults["quickbooks"].values["refresh_token"]
    company: Any = world.lookalikes["quickbooks"]
    unattended = run(_WithPerson(root, _Person(company)), ["connect", "quickbooks", "--port", "0"])
    assert unattended == 1
    assert "ACCORD_QUICKBOOKS_REFRESH_TOKEN" in capsys.readouterr().err
    terminal = _Terminal()
    desk = Desk(_WithPerson(root, _Person(company)), (terminal, terminal, terminal))
    code = connect_one(desk, "quickbooks", Consenting(port=0, has_browser=False, patience=30))
    assert code == 0, terminal.getvalue()
    assert 'realm_id = "9341453908059321"' in root.file.read_text()
    assert world.vaults["quickbooks"].values["refresh_token"].startswith("RT1-")
    assert _row(world, "quickbooks").account_id == "9341453908059321:live"


def test_tokens_that_open_the_account_need_no_consent(world: World, accord: Accord) -> None:
    """A refresh token in the environment was ignored, and a page opened that nobody could see."""
    result = accord("connect", "quickbooks")
    assert result.code == 0, result.err
    assert "nobody needs to consent" in result.err
    assert _row(world, "quickbooks").account_id == "9341453908059321:live"


class _Terminal(io.StringIO):
    """A person sits there."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class _Typing(Desk):
    """A person types the same secret whatever is asked for."""

    types = ""
    only_for = ""

    def ask_hidden(self, words: str) -> str:
        """The secret."""
        return self.types if words.startswith(self.only_for) else ""


class _Person:
    """Consents as soon as the page is known."""

    def __init__(self, company: Any) -> None:
        self.company = company


class _WithPerson:
    """A root whose providers' consent page is read by a person."""

    def __init__(self, root: WorldRoot, person: _Person) -> None:
        self._root = root
        self._person = person

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)

    def providers(self) -> dict[str, Any]:
        """QuickBooks, whose page is answered at once from another thread."""
        found = dict(self._root.providers())
        provider = found["quickbooks"]
        oauth = provider.oauth
        assert oauth is not None

        def authorize_url(vault: Any, redirect_uri: str, state: str) -> str:
            code = self._person.company.tokens.consent(redirect_uri)
            base = redirect_uri.replace("localhost", "127.0.0.1")
            target = f"{base}?code={code}&state={state}&realmId=9341453908059321"
            threading.Thread(target=_get, args=(target,)).start()
            return oauth.authorize_url(vault, redirect_uri, state)

        found["quickbooks"] = replace(provider, oauth=replace(oauth, authorize_url=authorize_url))
        return found


def test_doctor_says_what_is_wrong_and_what_to_do(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """Each line that is not well names its cure."""
    well = accord("doctor", "--json")
    assert well.code == 0
    assert {one["state"] for one in well.json} == {"ok"}
    root.told_warnings = ["ACCORD_STRIPE_APIKEY is read by nothing"]
    root.told_public_url = None
    assert accord("doctor").code == 0
    agreed.vaults["stripe"].values["webhook_secret"] = ""
    assert accord("doctor").code == 0
    root.told_public_url = "https://accord.example.test"
    agreed.db.run_now(lambda tx: connections.change(tx, "hubspot", account_id="other"))
    agreed.vaults["quickbooks"].values.update(client_secret="", access_token="")
    result = accord("doctor", "--json")
    assert result.code == 1
    wrong = {(one["about"], one["check"]): one["cure"] for one in result.json if one["state"] == "wrong"}
    assert wrong[("stripe", "webhooks")] == "set ACCORD_STRIPE_WEBHOOK_SECRET"
    assert wrong[("quickbooks", "credentials")] == "`accord connect quickbooks`"
    assert ("hubspot", "account") in wrong
    assert "read by nothing" in accord("doctor").out


def test_doctor_notices_a_disk_without_room_and_a_file_that_everybody_reads(
    world: World, root: WorldRoot, accord: Accord, tmp_path: Path
) -> None:
    """It wrote nothing to find out, and said that the database was writable."""
    file = tmp_path / "open.sqlite3"
    file.touch()
    file.chmod(0o644)
    db = Database(f"sqlite:///{file}", is_direct=True)
    schema.upgrade(db)
    root.other_database = db
    notes = {one["check"]: one for one in accord("doctor", "--json").json if one["about"] == "database"}
    assert (notes["writable"]["state"], notes["file"]["state"]) == ("ok", "note")
    assert notes["file"]["cure"] == f"chmod 600 {file}*"
    world.clock.time += 1
    with files_end_at(0):
        (full,) = [one for one in accord("doctor", "--json").json if one["state"] == "wrong"]
    assert (full["about"], full["check"]) == ("database", "writable")
    db.close()


def test_doctor_looks_at_the_file_that_tells_of_the_databases_life(
    root: WorldRoot, accord: Accord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody was told that it was gone before the next start took the database for a backup."""
    db = Database(f"sqlite:///{tmp_path / 'a.sqlite3'}", is_direct=True)
    schema.upgrade(db)
    root.other_database = db
    file = tmp_path / "a.sqlite3.life"

    def told() -> tuple[str, str, str] | None:
        found = [one for one in accord("doctor", "--json").json if one["check"] == "life"]
        return (found[0]["state"], found[0]["says"], found[0]["cure"]) if found else None

    assert told() is None
    assert accord("db", "adopt", "--yes").code == 0
    assert told() == ("ok", f"{file} belongs to it", "")
    with monkeypatch.context() as elsewhere:
        may = os.access  # who runs this may be allowed everything
        elsewhere.setattr("os.access", lambda place, mode: place != tmp_path and may(place, mode))
        state, says, cure = told() or ("", "", "")
        assert (state, cure) == ("wrong", f"make {tmp_path} writable")
        assert "cannot be replaced" in says
    kept = file.read_bytes()
    file.write_bytes(b"half")
    assert (told() or ("",))[0] == "wrong"
    file.unlink()
    state, says, cure = told() or ("", "", "")
    assert (state, f"put {file} back" in cure) == ("note", True)
    assert "every connection observes" in says
    file.write_bytes(kept)
    assert (told() or ("",))[0] == "ok"
    db.close()


def test_an_empty_database_in_the_place_of_the_one_that_ran_here_is_told(
    root: WorldRoot, accord: Accord, tmp_path: Path
) -> None:
    """It was deleted, and the first command made a new one: no customers, said `status`, and `doctor` said nothing."""
    place = tmp_path / "lost.sqlite3"

    def opened() -> Database:
        db = Database(f"sqlite:///{place}", is_direct=True)
        schema.upgrade(db)
        root.other_database = db
        return db

    db = opened()
    assert accord("db", "adopt", "--yes").code == 0
    assert accord("status", "--json").json["database"] == ""
    db.close()
    for one in tmp_path.glob("lost.sqlite3*"):
        if one.suffix != ".life":
            one.unlink()
    db = opened()
    (note,) = [one for one in accord("doctor", "--json").json if one["check"] == "life"]
    assert (note["state"], "it is empty, and another one ran here last" in note["says"]) == ("note", True)
    assert f"remove {place}.life" in note["cure"]
    assert "the database: it is empty" in accord("status").out
    db.close()


class _Sandboxed:
    """A root beside the sandbox daemon: a hub there is, an accord.toml there is not."""

    def __init__(self, root: WorldRoot) -> None:
        self._root = root

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)

    def connections(self) -> Any:
        """Raise, as where there is no file."""
        raise ConfigError("cannot be read: No such file or directory", file="accord.toml")


def test_beside_a_sandbox_doctor_works_and_connect_says_why_not(
    agreed: World, root: WorldRoot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new user's first commands were told that accord.toml cannot be read."""
    assert agreed.db.read_now(customers.count) == 1
    root.file = tmp_path / "accord.toml"
    assert run(_Sandboxed(root), ["doctor"]) == 0
    assert "running on built-in look-alikes (hubspot, quickbooks, stripe)" in capsys.readouterr().out
    assert run(_Sandboxed(root), ["connect", "stripe"]) == 1
    assert "`accord init`" in capsys.readouterr().err


def test_doctor_takes_an_outage_for_an_outage(agreed: World, accord: Accord) -> None:
    """New credentials cure no provider that is down."""

    def down(request: HttpRequest) -> HttpResponse:
        raise RetryError(f"no connection to {request.url}")

    agreed.exchanges["stripe"] = down
    result = accord("doctor", "--json")
    (wrong,) = (one for one in result.json if one["state"] == "wrong")
    assert (result.code, wrong["about"], wrong["check"]) == (1, "stripe", "reachable")
    assert "status page" in wrong["cure"]


def test_doctor_takes_a_page_of_a_proxy_for_no_fault_of_the_credentials(agreed: World, accord: Accord) -> None:
    """Who is on call would do a consent in the browser anew, for an outage that ends by itself."""

    def unreadable(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=200, headers={"content-type": "text/html"}, body=b"<html>Please wait</html>")

    agreed.exchanges["quickbooks"] = unreadable
    result = accord("doctor", "--json")
    (wrong,) = (one for one in result.json if one["state"] == "wrong")
    assert (result.code, wrong["about"], wrong["check"]) == (1, "quickbooks", "reachable")
    assert "status page" in wrong["cure"]
    assert "accord connect" not in wrong["cure"]


def test_doctor_names_a_command_once(agreed: World, accord: Accord) -> None:
    """The provider's words end in the same command, without the connection's name."""

    def refused(_request: HttpRequest) -> HttpResponse:
        raise ReauthorizeError("the key was refused; store a new one with `accord connect`")

    agreed.exchanges["stripe"] = refused
    (line,) = (one for one in accord("doctor").out.splitlines() if "credentials" in one and "wrong" in one)
    assert line.endswith("the key was refused; store a new one with `accord connect stripe`")


def test_the_schema_is_upgraded_once_and_checked(root: WorldRoot, accord: Accord, tmp_path: Path) -> None:
    """An older database is brought up to date; a second run finds nothing to do."""
    root.other_database = Database(f"sqlite:///{tmp_path}/new.sqlite3", is_direct=True)
    assert accord("db", "check", "--json").error["code"] == "schema"
    assert "note" in accord("doctor").out
    first = accord("db", "upgrade", "--json")
    assert (first.code, first.json["applied"][-1]) == (0, first.json["revision"])
    assert accord("db", "upgrade", "--json").json["applied"] == []
    assert accord("db", "check").code == 0
    versions = sa.table(schema.VERSION_TABLE, sa.column("version_num", sa.Text))
    root.other_database.run_now(lambda tx: tx.execute(sa.update(versions).values(version_num="9999")))
    for arguments in (["db", "check"], ["db", "upgrade"]):
        newer = accord(*arguments, "--json")
        assert (newer.code, newer.error["code"]) == (1, "schema")
        assert "newer Accord" in newer.error["problem"]
    assert accord("doctor").code == 1
    root.other_database.close()


def test_a_backup_is_a_whole_database_and_overwrites_nothing(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """A backup over the last good one would be worse than none."""
    file = tmp_path / "copy.sqlite3"
    assert accord("db", "backup", str(file), "--json").json["bytes"] == file.stat().st_size
    copy = sqlite3.connect(file)
    assert copy.execute("SELECT count(*) FROM customers").fetchone() == (agreed.db.read_now(customers.count),)
    copy.close()
    assert accord("db", "backup", str(file)).code == 1
    assert accord("db", "backup", str(tmp_path / "no" / "file")).code == 1


def test_run_hands_over_to_the_root(root: WorldRoot, accord: Accord) -> None:
    """The daemon is the composition root's."""
    assert accord("run", "--sandbox", "--migrate").code == 0
    assert accord("--config", "other.toml", "run").code == 0
    assert root.served == [{"sandbox": True, "migrate": True}, {"sandbox": False, "migrate": False}]
    assert root.configured == ["--config", "other.toml"]


def test_the_sandbox_serves_until_it_is_stopped_and_says_where(tmp_path: Path) -> None:
    """Whoever tries Accord needs addresses, settings and keys to paste."""
    entry = Path(run_daemon.__file__)
    command = [sys.executable, str(entry), "sandbox", "serve", "--port-base", "0", "--customers", "30", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
            client = SandboxClient(told["urls"]["stripe"])
            assert len(client.objects()) > 10
            client.close()
            process.terminate()
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
    assert set(told["settings"]) == set(OFFERS)
    assert told["environment"]["ACCORD_STRIPE_API_KEY"]
