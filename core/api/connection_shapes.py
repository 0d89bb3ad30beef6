"""What the API says of connections."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class AllowanceShown(BaseModel):
    """What a provider allows over a long time, what was used of it, and how often sweeps run because of it."""

    name: str
    calls: int
    used: int
    changes_every: float
    full_every: float


class PartShown(BaseModel):
    """How one part of customers stands: objects that hang on their own ones."""

    part: str
    title: str
    mappings: int
    pending: int
    gone: int


class DocumentsShown(BaseModel):
    """How documents stand at a connection: those made there, and the copies."""

    mappings: int
    unequal: int = Field(description="Copies that were not last seen equal to the minor unit, or are gone.")
    pending: int = Field(description="Copies that are still to be made.")
    held: int
    ownerless: int = Field(description="Not taken, because their customer is not known: it is out of scope, say.")


class RestShown(BaseModel):
    """Which sweeps wait, as few calls are left. What webhooks name is read, writes go on, what is asked for is done."""

    sweeps: Literal["full", "changes"] = Field(description="full: complete sweeps and listings; changes: these, too.")
    reason: str
    until: datetime


class ConnectionShown(BaseModel):
    """How a connection stands."""

    connection: str
    provider: str
    account: str | None
    state: Literal["observing", "active", "reauthorize"]
    is_configured: bool
    mappings: int
    pending: int
    gone: int
    parts: list[PartShown]
    documents: DocumentsShown | None = Field(description="None where no documents come from, and none are copied to.")
    objects: int
    erased: int = Field(description="Objects of erased customers that are still there. Nothing of them is kept.")
    waiting: int
    to_archive: int = Field(description="Objects of archived customers that wait to be archived there.")
    inbox: int
    poison: int
    held: int
    failing: int
    dead: int
    in_doubt: int
    last_full_sweep: datetime | None
    last_changes: datetime | None
    allowances: list[AllowanceShown]
    changes_every: float = Field(description="Seconds from one look for changes to the next.")
    rest: RestShown | None = Field(description="None where no sweep waits.")
    paused_until: datetime | None
    restored_at: datetime | None = Field(description="An older database was found then; activate it again.")
    error: str
    error_code: str = Field(description="What kind of trouble it has, as a problem's `code`; empty where it has none.")


class Connections(BaseModel):
    """Every connection."""

    data: list[ConnectionShown]
