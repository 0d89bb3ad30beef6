"""Whose account the credentials of a connection open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.errors import WrongAccountError
from core.ports import Account
from core.store import connections, inbox
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.sync.hub import Connection, Hub

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
    """Pin the account on first contact; refuse another one later."""
    account = await connection.connector.identify()
    if row.account_id != account.id:
        await hub.db.run(lambda tx: pin(tx, connection.name, account))


def pin(tx: Tx, name: str, account: Account) -> None:
    """Remember whose account a connection is, or raise WrongAccountError: it is another one's already."""
    row = connections.get(tx, name)
    if row.account_id is None:
        connections.change(tx, name, account_id=account.id, account_title=account.title)
        settle_strangers(tx, account.id)
    elif row.account_id != account.id:
        raise WrongAccountError(
            f"{name} was connected to {row.account_title or row.account_id} ({row.account_id}); these "
            f"credentials belong to {account.title or account.id} ({account.id}). Put the old ones back, or add "
            "another connection for the other account"
        )


def settle_strangers(tx: Tx, account_id: str) -> None:
    """An account is somebody's by now: what deliveries told of it meanwhile, a sweep finds."""
    for spelling in spellings(account_id):
        inbox.settle(tx, of_nobody(spelling))
    # where there are more of them still, the next delivery says so
    inbox.settle(tx, OF_MORE)
