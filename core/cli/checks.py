"""The checks of `accord doctor`. Each says what it found; one that is not well says what to do."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from core.abilities import Examiner
from core.cli.asking import on_a_loop
from core.cli.desk import FAILED, OK, Desk
from core.errors import (
    AccordError,
    AmbiguousError,
    ConfigError,
    ReplyError,
    RetryError,
    SchemaError,
    StorageError,
    WrongAccountError,
)
from core.model.life import strange
from core.ports import Account
from core.store import connections, life, schema
from core.store.connections import ConnectionRow
from core.store.database import Database, Tx
from core.sync.accounts import require_own
from core.sync.hub import Connection, Hub

if TYPE_CHECKING:
    from core.cli.screen import Screen


LEAST_FREE_BYTES: Final = 32 * 2**20
FAR_DAYS: Final = 366
"""A first day that is further away than that was mistyped."""
_CONNECT: Final = "`accord connect`"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check's result. `about` is a connection's name, or what else was looked at."""

    about: str
    check: str
    state: Literal["ok", "note", "wrong"]
    says: str
    cure: str = ""


def examine(desk: Desk) -> int:
    """Run every check that can be run, show them, return the exit code."""
    findings = [*_of_configuration(desk), *_of_database(desk)]
    if all(one.state != "wrong" for one in findings):
        findings += _of_connections(desk)
    desk.show(findings, lambda screen: _draw(screen, findings))
    return FAILED if any(one.state == "wrong" for one in findings) else OK


def _draw(screen: Screen, findings: list[Finding]) -> None:
    styles = {"ok": "green", "note": "yellow", "wrong": "red"}
    for one in findings:
        screen.line(f"{one.state:5}  {one.about}: {one.check}: {_in_words(one)}", styles[one.state])


def _in_words(finding: Finding) -> str:
    """What it says and its cure; a problem that names the same command already is not told it twice."""
    says, cure = finding.says, finding.cure
    if cure and cure in says:
        return says
    if _CONNECT in says and cure.startswith(_CONNECT[:-1]):
        return says.replace(_CONNECT, cure)
    return f"{says}; {cure}" if cure else says


def _of_configuration(desk: Desk) -> Iterator[Finding]:
    about, file = "configuration", str(desk.root.policy_file())
    try:
        configs = desk.root.connections()
    except ConfigError as error:
        yield _without_file(desk, error)
        return
    yield Finding(about=about, check="file", state="ok", says=f"{file}: {len(configs)} connections")
    for warning in desk.root.warnings():
        yield Finding(about=about, check="warning", state="note", says=warning)
    url = desk.root.public_url()
    if url:
        yield Finding(about=about, check="public_url", state="ok", says=url)
    else:
        says, cure = "not set, so no webhook can arrive and sweeps find changes", "set ACCORD_PUBLIC_URL"
        yield Finding(about=about, check="public_url", state="note", says=says, cure=cure)


def _without_file(desk: Desk, error: ConfigError) -> Finding:
    """A file that cannot be used; where there is none, the sandbox daemon that runs here will do."""
    about = "configuration"
    if os.path.lexists(desk.root.policy_file()):
        return Finding(about=about, check="file", state="wrong", says=str(error), cure="edit it")
    try:
        with desk.root.open_hub() as hub:
            says = f"running on built-in look-alikes ({', '.join(sorted(hub.connections))}): there is no accord.toml"
    except AccordError as missing:
        return Finding(about=about, check="file", state="wrong", says=str(missing))
    return Finding(about=about, check="sandbox", state="note", says=says)


def _of_database(desk: Desk) -> Iterator[Finding]:
    about = "database"
    try:
        db = desk.root.database()
        revision = schema.current(db)
        if revision is None:
            yield Finding(about=about, check="schema", state="note", says="new: its tables are made at the first start")
            return
        schema.check(db)
        yield Finding(about=about, check="schema", state="ok", says=f"revision {revision}")
        now = desk.root.clock().now()
        db.run_now(lambda tx: connections.probe(tx, now))
        yield from _of_disk(db)
    except SchemaError as error:
        yield Finding(about=about, check="schema", state="wrong", says=str(error))
    except AccordError as error:
        yield Finding(about=about, check="writable", state="wrong", says=str(error))


def _of_disk(db: Database) -> Iterator[Finding]:
    """A write can still find a place in SQLite's own files when the disk has none left; the next one will not."""
    about, check = "database", "writable"
    free = shutil.disk_usage(db.file.parent).free if db.file else None
    if free is not None and free < LEAST_FREE_BYTES:
        says, cure = f"its disk has {free // 2**20} MiB left", f"free at least {LEAST_FREE_BYTES // 2**20} MiB there"
        yield Finding(about=about, check=check, state="wrong", says=says, cure=cure)
    else:
        yield Finding(about=about, check=check, state="ok", says="yes")
    if db.file and (mode := db.file.stat().st_mode) & stat.S_IROTH:
        says = f"every user of this machine may read {db.file} ({stat.filemode(mode)}): customers' data is in it"
        yield Finding(about=about, check="file", state="note", says=says, cure=f"chmod 600 {db.file}*")


def _of_connections(desk: Desk) -> list[Finding]:
    try:
        with desk.root.open_hub() as hub:
            return [*of_life(hub), *on_a_loop(hub, lambda: _of_each(desk, hub))]
    except AccordError as error:
        return [Finding(about="configuration", check="connections", state="wrong", says=str(error))]


def of_life(hub: Hub) -> Iterator[Finding]:
    """The file by which a database that was put back is known: without it, every connection begins observing."""
    about, check, file = "database", "life", hub.life
    if file is None:
        return
    try:
        told = file.read()
    except StorageError as error:
        yield Finding(about=about, check=check, state="wrong", says=str(error))
        return
    here, home = hub.db.read_now(lambda tx: (life.note(tx), life.home(tx)))
    if here is None and told is None:
        return
    why = strange(here, told.life if told else None, home=home, needs_file=file.is_kept)
    if why:
        says = f"{why}; from the next start on, every connection observes until it is activated again"
        cure = f"if it was not restored, put {file.path} back before that"
        if here is None:
            cure = f"put that one back before that; or remove {file.path}, to begin anew"
        yield Finding(about=about, check=check, state="note", says=says, cure=cure)
    elif file.path.parent.exists() and not os.access(file.path.parent, os.W_OK | os.X_OK):
        says = f"{file.path} cannot be replaced: what is erased or let go of now would come back with a backup"
        yield Finding(about=about, check=check, state="wrong", says=says, cure=f"make {file.path.parent} writable")
    else:
        yield Finding(about=about, check=check, state="ok", says=f"{file.path} belongs to it")


async def _of_each(desk: Desk, hub: Hub) -> list[Finding]:
    found: list[Finding] = []
    for name in sorted(hub.connections):
        row = hub.db.read_now(lambda tx, n=name: connections.get(tx, n))  # type: ignore[misc]
        found += await _of_credentials(hub, hub.connection(name), row)
        found += await _of_documents(hub, hub.connection(name))
        found += _of_state(row)
        found.append(_of_webhooks(desk, hub, hub.connection(name)))
    return found


async def _of_credentials(hub: Hub, connection: Connection, row: ConnectionRow) -> list[Finding]:
    name, connect = connection.name, f"`accord connect {connection.name}`"
    try:
        account = await connection.connector.identify()
    except (RetryError, AmbiguousError, ReplyError) as error:
        # a proxy's page says nothing of the credentials, and a new consent would not cure it
        cure = "it is tried again by itself, look at the provider's status page"
        return [Finding(about=name, check="reachable", state="wrong", says=str(error), cure=cure)]
    except AccordError as error:
        return [Finding(about=name, check="credentials", state="wrong", says=str(error), cure=connect)]
    found = [Finding(about=name, check="credentials", state="ok", says=f"open {account.title} ({account.id})")]
    found += [Finding(about=name, check="account", state="note", says=note) for note in account.notes]
    if shared := hub.db.read_now(lambda tx: _shared(tx, row, account, hub)):
        found.append(Finding(about=name, check="account", state="wrong", says=shared))
    elif row.account_id is None:
        says = "not pinned yet: the first sweep does"
        found.append(Finding(about=name, check="account", state="note", says=says))
    elif row.account_id != account.id:
        says = f"another one than the pinned {row.account_title or row.account_id} ({row.account_id})"
        cure = "put its credentials back, or add another connection for this one"
        found.append(Finding(about=name, check="account", state="wrong", says=says, cure=cure))
    else:
        found.append(Finding(about=name, check="account", state="ok", says="the pinned one"))
    return found


def _shared(tx: Tx, row: ConnectionRow, account: Account, hub: Hub) -> str:
    """Why the account must not be this connection's; "" where no other one has it."""
    try:
        require_own(tx, row, account, hub.connections)
    except WrongAccountError as error:
        return str(error)
    return ""


async def _of_documents(hub: Hub, connection: Connection) -> list[Finding]:
    """Settings under which no copy would ever be made, or what is known would be read as something else."""
    from core.sync.documents.telling import today
    from core.sync.lasting import changed

    name, since, check = connection.name, connection.policy.documents.since, "documents"
    lost = hub.db.read_now(lambda tx: changed(tx, connection))
    found = [Finding(about=name, check=check, state="wrong", says=one) for one in lost]
    if since and (days := (date.fromisoformat(since) - today(hub)).days) > 0:
        state: Literal["note", "wrong"] = "wrong" if days > FAR_DAYS else "note"
        says, cure = f"since {since} is {days} days ahead: until then nothing is copied", "correct it in accord.toml"
        found.append(Finding(about=name, check=check, state=state, says=says, cure=cure))
    if isinstance(connection.connector, Examiner):
        try:
            faults = await connection.connector.faults()
        except AccordError:
            return found  # what is wrong with the connection itself is told already
        found += [Finding(about=name, check=check, state="wrong", says=one) for one in faults]
    return found


def _of_state(row: ConnectionRow) -> list[Finding]:
    name = row.name
    if row.state == "reauthorize":
        cure = f"`accord connect {name}`"
        return [Finding(about=name, check="state", state="wrong", says=row.error or row.state, cure=cure)]
    if row.error:
        cure = f"`accord sync {name}` tries again"
        return [Finding(about=name, check="state", state="wrong", says=row.error, cure=cure)]
    if row.restored_at is not None:
        says = "the database was restored from an older backup: what it may have forgotten is looked for first"
        cure = f"`accord plan {name}`, then `accord activate {name} --plan DIGEST`"
        state: Literal["note", "wrong"] = "wrong" if row.state == "observing" else "note"
        return [Finding(about=name, check="state", state=state, says=says, cure=cure)]
    if row.state == "observing":
        says = "observing: it is read, and never written to"
        cure = f"`accord plan {name}`, then `accord activate {name} --plan DIGEST`"
        return [Finding(about=name, check="state", state="note", says=says, cure=cure)]
    says = "active; what writing needs is made when its lane starts"
    return [Finding(about=name, check="state", state="ok", says=says)]


def _of_webhooks(desk: Desk, hub: Hub, connection: Connection) -> Finding:
    name, secret = connection.name, connection.manifest.webhook_secret
    if not secret:
        return Finding(about=name, check="webhooks", state="ok", says="this provider sends none")
    if connection.webhook_secrets():
        return Finding(about=name, check="webhooks", state="ok", says=f"{secret} is there")
    # without a public address nothing can arrive, so nothing is refused
    state: Literal["note", "wrong"] = "wrong" if desk.root.public_url() else "note"
    says, cure = f"no {secret}: deliveries are refused", f"set {desk.root.variable(name, secret)}"
    beside = [one for one in hub.connections.values() if one.webhook_secrets() and _may_share(desk, connection, one)]
    if beside:
        state, named = "note", " or ".join(sorted(one.name for one in beside))
        says = f"no {secret}: deliveries to its own address are refused; those that come to {named} reach it"
        cure = f"if its app tells its own address, {cure}"
    return Finding(about=name, check="webhooks", state=state, says=says, cure=cure)


def _may_share(desk: Desk, one: Connection, other: Connection) -> bool:
    """One app may tell one address of several accounts; where connections name their app, it must be the same."""
    if one.manifest.provider != other.manifest.provider or not one.manifest.is_app_wide:
        return False
    oauth = desk.root.providers()[one.manifest.provider].oauth
    mine, theirs = desk.root.vault(one.name), desk.root.vault(other.name)
    return oauth is None or all(mine.get(name) == theirs.get(name) for name in oauth.needs)
