"""${message[:1].upper() + message[1:]}."""
# ruff: noqa: INP001, PLR0915 (Alembic loads it by path; it is as long as the tables are many)

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision: str = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}


def upgrade() -> None:
    """Apply."""
    ${upgrades if upgrades else "pass"}
