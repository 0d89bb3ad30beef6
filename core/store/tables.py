"""Every table but those of secrets.

Values that the database never looks into are JSON text, so that SQLite and PostgreSQL agree.

Times are seconds since 1970 (UTC). Ids are random text: a counter would rewind with a restored backup and
then name other objects by markers that are already out there.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from core.store import secret_tables
from core.store.columns import count as _count
from core.store.columns import key as _id
from core.store.columns import number as _number
from core.store.columns import partial as _partial
from core.store.columns import text as _text
from core.store.columns import time as _time

METADATA: Final = secret_tables.METADATA
"""All of them, those of core.store.secret_tables too."""

META: Final = sa.Table("meta", METADATA, _id("name"), _text("value"))

CONNECTIONS: Final = sa.Table(
    "connections",
    METADATA,
    _id("name"),
    _text("provider"),
    _text("account_id", optional=True),
    _text("account_title", default=""),
    _text("state", default="observing"),
    _time("swept_at", optional=True),
    _time("activated_at", optional=True),
    _time("first_activated_at", optional=True),  # copies are wanted since, also after a restore
    _count("announced_creates"),
    _count("listed"),
    _count("translation"),
    _time("paused_until", optional=True),
    _text("error", default=""),
    _text("error_code", default=""),
    _time("allowance_from", optional=True),  # an approved mass change counts from here
    _time("restored_at", optional=True),
    _text("rests", default=""),  # sweeps that wait until then: full | changes, which means both
    _time("rests_until", optional=True),
    comment="state: observing | active | reauthorize. restored_at: and first contact is to be made anew.",
)

CUSTOMERS: Final = sa.Table(
    "customers",
    METADATA,
    _id(),
    _text("external_id"),
    _count("version", 1),
    _text("fields"),
    _text("sources"),
    _text("name_key", default=""),
    _text("email_key", default=""),
    _text("parent", optional=True),
    _time("created_at"),
    _time("updated_at"),
    _time("deleted_at", optional=True),
    sa.Index("ix_customers_email_key", "email_key"),
    sa.Index("ix_customers_name_key", "name_key"),
    sa.Index("ix_customers_parent", "parent"),
    sa.Index("ix_customers_updated_at", "updated_at", "id"),
    _partial("uq_customers_live_external_id", "external_id", where="deleted_at IS NULL", unique=True),
    _partial("ix_customers_archived_external_id", "external_id", where="deleted_at IS NOT NULL"),
)

MAPPINGS: Final = sa.Table(
    "mappings",
    METADATA,
    _id(),
    _text("kind"),
    _text("record_id"),
    _text("connection"),
    _text("part", default=""),
    _count("generation", 1),
    _text("remote_id", optional=True),
    _text("state"),
    _text("base", default="{}"),
    _count("translation"),
    _text("note", default=""),
    _time("created_at"),
    _time("updated_at"),
    _partial("uq_mappings_record", "kind", "record_id", "connection", "part", where="state <> 'ended'", unique=True),
    _partial(
        "uq_mappings_remote",
        "connection",
        "kind",
        "remote_id",
        where="state <> 'ended' AND remote_id IS NOT NULL",
        unique=True,
    ),
    sa.Index("ix_mappings_record_id", "record_id"),
    sa.Index("ix_mappings_remote_id", "remote_id"),
    sa.Index("ix_mappings_connection", "connection", "kind", "state", "part"),
    sa.Index("ix_mappings_page", "connection", "kind", "id"),
    comment="state: pending (to be created) | live | gone | excluded (a person left it out) | ended.",
)

DOCUMENTS: Final = sa.Table(
    "documents",
    METADATA,
    _id(),
    _text("kind"),
    _text("origin"),
    _text("remote_id"),
    _text("customer_id"),
    _text("number", default=""),
    _text("currency"),
    _text("status"),
    _text("issued_on", default=""),
    _text("due_on", default=""),
    _text("body"),
    _text("digest"),
    _count("version", 1),
    _time("created_at"),
    _time("updated_at"),
    _time("deleted_at", optional=True),
    sa.UniqueConstraint("origin", "kind", "remote_id"),
    sa.Index("ix_documents_customer_id", "customer_id", "kind", "id"),
    sa.Index("ix_documents_day", "kind", "issued_on", "id"),
    sa.Index("ix_documents_kind", "kind", "id"),
    sa.Index("ix_documents_number", "number"),
    _partial("ix_documents_open_due_on", "kind", "status", "due_on", where="kind = 'invoice' AND status = 'open'"),
    sa.Index("ix_documents_remote_id", "remote_id"),
    sa.Index("ix_documents_status", "kind", "status", "id"),
    sa.Index("ix_documents_updated_at", "updated_at"),
    comment="Invoices, payments, credit notes. origin: the connection it was made at. body: all of it, neutral.",
)

DOCUMENT_REFERENCES: Final = sa.Table(
    "document_references",
    METADATA,
    _id("document_id"),
    _id("invoice_id"),
    _text("amount"),
    sa.Index("ix_document_references_invoice_id", "invoice_id"),
    comment="Which invoices a payment or credit note is about, and how much of each it settles now.",
)

ANNOUNCED: Final = sa.Table(
    "announced",
    METADATA,
    sa.Column("connection", sa.String(64), primary_key=True),
    _id("document_id"),
    _text("digest"),
    comment="Copies that an activation's plan told of and that are not made yet; digest: of what was told of each.",
)

OBSERVATIONS: Final = sa.Table(
    "observations",
    METADATA,
    sa.Column("connection", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("remote_id", sa.String(128), primary_key=True),
    _text("digest"),
    _text("remote"),
    _text("raw", default=""),
    _text("accord_ref", optional=True),
    _text("external_id", optional=True),
    _text("email_key", default=""),
    _text("parent_id", optional=True),
    _text("state", default="live"),
    _time("seen_at"),
    sa.Index("ix_observations_accord_ref", "accord_ref"),
    sa.Index("ix_observations_external_id", "external_id"),
    sa.Index("ix_observations_email_key", "email_key"),
    _partial("ix_observations_parent_id", "parent_id", where="parent_id IS NOT NULL"),
    sa.Index("ix_observations_state", "connection", "kind", "state"),
    comment="What was last seen of a remote object. raw: where updates carry a lock. state: live | gone | erased.",
)

_IN_TURN: Final = ("connection", "parked", "not_before", "since", "subject")

DIRTY: Final = sa.Table(
    "dirty",
    METADATA,
    sa.Column("connection", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(160), primary_key=True),
    _text("kind"),
    _count("seq", 1),
    _text("reason"),
    _text("trace", default=""),
    _time("since"),
    _time("not_before"),
    _count("attempts"),
    _text("parked", optional=True),
    _count("noticed", 1),
    _text("shown", optional=True),
    sa.Index("ix_dirty_due", "connection", "parked", "not_before"),
    # in the order in which they are taken: parked stands in them so that the planner prefers them to the one above
    _partial("ix_dirty_customers", *_IN_TURN, where="kind = 'customer' AND parked IS NULL"),
    _partial("ix_dirty_documents", *_IN_TURN, where="kind <> 'customer' AND parked IS NULL"),
    comment="What waits: m: or f:<mapping>, r:<object>, d:<kind>:<object>. noticed 0: only the registry changed.",
)

INTENTS: Final = sa.Table(
    "intents",
    METADATA,
    _id(),
    _text("connection"),
    _text("kind"),
    _text("mapping_id"),
    _text("action"),
    _text("key"),
    _text("batch", default=""),
    _text("body"),
    _text("wanted"),
    _text("before"),
    _text("remote_id", optional=True),
    _text("state"),
    _time("sent_at"),
    _time("resolve_after", optional=True),
    _time("closed_at", optional=True),
    _count("attempts"),
    _text("error", default=""),
    _text("trace", default=""),
    _text("stamp", default=""),
    _time("ahead", optional=True),  # seconds by which our clock was ahead of the provider's
    _partial("uq_intents_open", "mapping_id", where="closed_at IS NULL", unique=True),
    sa.Index("ix_intents_key", "connection", "key"),
    _partial("ix_intents_stamp", "mapping_id", where="stamp <> ''"),
    comment="One remote write that may have been sent. state: sent | ambiguous | done | refused | void.",
)

JOURNAL: Final = sa.Table(
    "journal",
    METADATA,
    _number(),
    _time("at"),
    _text("kind"),
    _text("record_id"),
    _text("connection", optional=True),
    _text("remote_id", optional=True),
    _text("action"),
    _text("changes"),
    _text("lost", default="[]"),
    _text("actor"),
    _text("trace", default=""),
    sa.Index("ix_journal_record_id", "record_id", "id"),
    sa.Index("ix_journal_at", "at"),
    comment="Append-only: every change, with what it replaced.",
)

HOLDS: Final = sa.Table(
    "holds",
    METADATA,
    _id(),
    _text("connection"),
    _text("subject"),
    _text("field", default=""),
    _text("reason"),
    _text("record_id", optional=True),
    _text("detail"),
    _text("digest"),
    _text("state", default="open"),
    _text("answer", optional=True),
    _text("actor", optional=True),
    _time("opened_at"),
    _time("closed_at", optional=True),
    _text("trace", default=""),
    _partial("uq_holds_open", "connection", "subject", "field", where="state = 'open'", unique=True),
    sa.Index("ix_holds_subject", "connection", "subject"),
    sa.Index("ix_holds_record_id", "record_id"),
    sa.Index("ix_holds_state", "state", "opened_at"),
    comment="Waits for a person. state: open | answered | spent (the answer was carried out) | moot.",
)

FAILURES: Final = sa.Table(
    "failures",
    METADATA,
    sa.Column("connection", sa.String(64), primary_key=True),
    sa.Column("subject", sa.String(160), primary_key=True),
    _text("kind"),
    _text("record_id", optional=True),
    _text("field", optional=True),
    _text("code"),
    _text("message"),
    _text("raw", default=""),
    _text("state"),
    _count("attempts", 1),
    _time("first_at"),
    _time("last_at"),
    _time("next_at", optional=True),
    _text("trace", default=""),
    comment="One per record that failed, until it succeeds. state: retrying | dead.",
)

CALLS: Final = sa.Table(
    "calls",
    METADATA,
    sa.Column("connection", sa.String(64), primary_key=True),
    sa.Column("allowance", sa.String(64), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("purpose", sa.String(16), primary_key=True),
    _count("calls"),
    comment="Calls that draw on a provider's monthly allowance, by day since 1970. purpose: sweep | work.",
)

INBOX: Final = sa.Table(
    "inbox",
    METADATA,
    _number(),
    _text("connection"),
    _text("dedupe_key"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    _time("received_at"),
    _text("state", default="new"),
    _text("error", default=""),
    _text("trace", default=""),
    sa.UniqueConstraint("connection", "dedupe_key"),
    sa.Index("ix_inbox_received_at", "state", "received_at"),
    sa.Index("ix_inbox_state", "connection", "state", "id"),
    comment="Authentic webhook deliveries. state: new | done | poison.",
)

CURSORS: Final = sa.Table(
    "cursors",
    METADATA,
    sa.Column("connection", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("mode", sa.String(16), primary_key=True),
    _text("cursor", optional=True),
    _text("pending", optional=True),
    _text("run", optional=True),
    _count("listed"),
    _time("started_at", optional=True),
    _time("completed_at", optional=True),
    comment="Where each sweep stands. run: the sweep under way; pending: the change cursor it took at its start.",
)

ONE_OFFS: Final = sa.Table(
    "one_offs",
    METADATA,
    _id(),
    _text("connection"),
    _text("request"),
    _text("state", default="new"),
    _text("result", default="{}"),
    _text("error", default=""),
    _time("asked_at"),
    _time("finished_at", optional=True),
    _text("trace", default=""),
    sa.Index("ix_one_offs_state", "connection", "state", "asked_at"),
    comment="What operators asked for. state: new | done | failed.",
)

TOMBSTONES: Final = sa.Table(
    "tombstones",
    METADATA,
    _id(),  # the record's, the mapping's, or the hash of an object's
    _text("what"),
    _text("why"),
    _text("connection", default=""),
    _text("record_id", default=""),
    _text("digest", default=""),  # the hash of a customer's external id
    _count("generation"),
    _time("at"),
    _text("actor"),
    sa.Index("ix_tombstones_digest", "digest"),
    sa.Index("ix_tombstones_record_id", "record_id"),
    comment="What must not come back by itself. what: customer | mapping | object. why: erased | unlinked.",
)
