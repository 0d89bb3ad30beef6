"""The end of a token of the API, which no older database takes back."""

from __future__ import annotations

from core.store import api_tokens
from core.store.api_tokens import ApiToken
from core.store.database import Tx
from core.sync.hub import Hub
from core.sync.life import tell_ends


def end_token(tx: Tx, hub: Hub, name: str, *, actor: str) -> ApiToken:
    """Revoke one, at once and for good; the journal says who did. Raises NotFoundError."""
    done = api_tokens.revoke(tx, name, hub.clock.now(), actor=actor)
    tell_ends(hub, tx)
    return done
