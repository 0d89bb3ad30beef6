"""A person of the company consents in a browser: where to send them, and what the answer is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.errors import ReauthorizeError
from core.ports import ConnectionConfig, OAuth, Shell, Vault


def _authorize_url(vault: Vault, redirect_uri: str, state: str) -> str:
    # here, because the HTTP stack would make every command of `accord` start slower
    from connectors.quickbooks.client import authorize_url  # noqa: PLC0415

    return authorize_url(vault.get("client_id") or "", redirect_uri, state)


async def _exchange(
    config: ConnectionConfig, vault: Vault, shell: Shell, query: Mapping[str, str], redirect_uri: str
) -> Mapping[str, str]:
    from connectors.quickbooks.client import exchange_code  # noqa: PLC0415

    if "code" not in query:
        msg = f"Intuit gave no code: {query.get('error', 'no reason told')}; run `accord connect {config.name}` again"
        raise ReauthorizeError(msg)
    await exchange_code(config, vault, shell, query["code"], redirect_uri)
    return {"realm_id": query["realmId"]} if query.get("realmId") else {}


CONSENT: Final = OAuth(needs=("client_id", "client_secret"), authorize_url=_authorize_url, exchange=_exchange)
