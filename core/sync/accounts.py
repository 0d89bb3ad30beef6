"""Whose account the credentials of a connection open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from core.errors import WrongAccountError
from core.ports import Account
from core.store import connections, inbox, journal
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.sync.failing import CONNECT
from core.sync.hub import Connection, Hub
from core.sync.lasting import check_lasting

_TELLS_OF: Final = "it tells of account "
ACCOUNTS_SHOWN: Final = 20
OF_MORE: Final = (
    "it tells of yet another account which no connection has, as many others do; take those that concern nobody out of "
    "the app's webhooks"
)


def of_nobody(account: str) -> str:
    """What is the matter with a delivery that tells of an account which no connection has."""
    return f"{_TELLS_OF}{account}, which no connection has; connect it, or take its webhooks out of the app"


def show_strangers(tx: Tx, name: str, accounts: Mapping[int, str]) -> None:
    """Show by delivery whose account nobody has: the first of each, and of no more accounts than a person reads.

    An app that many have installed would fill the inbox with what concerns nobody here.
    """
    shown = inbox.shown_once(tx, name, like=_TELLS_OF)
    for letter_id, account in accounts.items():
        problem = of_nobody(account)
        if problem not in shown and len(shown) >= ACCOUNTS_SHOWN:
            problem = OF_MORE
        inbox.poison_once(tx, name, letter_id, problem)
        shown.add(problem)


def spellings(account_id: str) -> list[str]:
    """How deliveries may name an account: with its mode, where it has one, and without."""
    return list(dict.fromkeys((account_id, account_id.partition(":")[0])))


async def check_account(hub: Hub, connection: Connection, row: ConnectionRow) -> None:
    """Pin the account on first contact, and how its documents are read; refuse another one later."""
    account = await connection.connector.identify()
    if row.account_id != account.id:
        await hub.db.run(lambda tx: pin(tx, connection.name, account, hub.connections))
    await hub.db.run(lambda tx: check_lasting(tx, connection))


def pin(tx: Tx, name: str, account: Account, configured: Collection[str], *, is_anew: bool = False) -> None:
    """Remember whose account a connection is. Raises WrongAccountError where it has another one, or another of the
    `configured` connections has this one. `is_anew`: a person says that the pinned one, of which nothing was read yet,
    was a mistake.
    """
    # two connections that meet the account at one moment would each find that nobody has it
    tx.serialize("accounts")
    row = connections.get(tx, name)
    if row.account_id == account.id:
        return
    if row.account_id is not None and not (is_anew and connections.is_untouched(tx, name)):
        raise WrongAccountError(
            f"{name} was connected to {row.account_title or row.account_id} ({row.account_id}); these "
            f"credentials belong to {account.title or account.id} ({account.id}). {_cure(tx, name)}"
        )
    require_own(tx, row, account, configured)
    connections.change(tx, name, account_id=account.id, account_title=account.title)
    settle_strangers(tx, account.id)


def _cure(tx: Tx, name: str) -> str:
    cure = "Put the old ones back, or add another connection for the other account"
    if not connections.is_untouched(tx, name):
        return cure
    return f"{cure}. Nothing was read of it yet: while no daemon runs, `accord connect {name}` exchanges it"


def authorized(tx: Tx, name: str, before: str | None, account_id: str, *, at: float, actor: str) -> str:
    """Good credentials, which are stored by now, end what waited for them. The state then."""
    # written first: what a refusal stores just now is there to be read then, or comes after this
    connections.change(tx, name, error="", error_code="", paused_until=None)
    row = connections.get(tx, name)
    if row.state == "reauthorize":
        connections.change(tx, name, state="active" if row.activated_at else "observing")
    told = {"account": (before, account_id, CONNECT)}
    journal.note(tx, "connection", CONNECT, told, at=at, actor=actor, connection=name)
    return connections.get(tx, name).state


def require_own(tx: Tx, row: ConnectionRow, account: Account, configured: Collection[str]) -> None:
    """Raise WrongAccountError where another connection has the account: each customer and document of it would be
    taken twice. Those of one that is not configured any more are in the registry still, and their copies in the books.
    """
    has_it = [one.name for one in connections.every(tx) if (one.provider, one.account_id) == (row.provider, account.id)]
    other = next(
        (
            name
            for name in has_it
            if name != row.name and (name in configured or not connections.is_untouched(tx, name))
        ),
        None,
    )
    if other is None:
        return
    cure = f"Give {row.name} those of its own account, or take one of the two out of accord.toml"
    if other not in configured:
        cure = f"If {other} was renamed, call it so again in accord.toml: what it took is known by that name"
    raise WrongAccountError(
        f"these credentials of {row.name} belong to {account.title or account.id} ({account.id}), to which "
        f"{other} is connected already. {cure}"
    )


def settle_strangers(tx: Tx, account_id: str) -> None:
    """An account is somebody's by now: what deliveries told of it meanwhile, a sweep finds."""
    for spelling in spellings(account_id):
        inbox.settle(tx, of_nobody(spelling))
    # where there are more of them still, the next delivery says so
    inbox.settle(tx, OF_MORE)
