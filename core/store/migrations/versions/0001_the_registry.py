"""The registry."""
# ruff: noqa: INP001, PLR0915 (Alembic loads it by path; it is as long as the tables are many)

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "announced",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("document_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "document_id", name=op.f("pk_announced")),
        comment="Copies that an activation's plan told of and that are not made yet; digest: of what was told of each.",
    )
    op.create_table(
        "api_tokens",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_tokens_digest")),
        comment="SHA-256 of each token. Revoked ones stay: a name in the journal must not change hands.",
    )
    op.create_table(
        "calls",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("allowance", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("calls", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("connection", "allowance", "day", "purpose", name=op.f("pk_calls")),
        comment="Calls that draw on a provider's monthly allowance, by day since 1970. purpose: sweep | work.",
    )
    op.create_table(
        "connections",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("account_title", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="observing", nullable=False),
        sa.Column("swept_at", sa.Double(), nullable=True),
        sa.Column("activated_at", sa.Double(), nullable=True),
        sa.Column("first_activated_at", sa.Double(), nullable=True),
        sa.Column("announced_creates", sa.Integer(), server_default="0", nullable=False),
        sa.Column("listed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("translation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_until", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("error_code", sa.Text(), server_default="", nullable=False),
        sa.Column("allowance_from", sa.Double(), nullable=True),
        sa.Column("restored_at", sa.Double(), nullable=True),
        sa.Column("rests", sa.Text(), server_default="", nullable=False),
        sa.Column("rests_until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_connections")),
        comment="state: observing | active | reauthorize. restored_at: and first contact is to be made anew.",
    )
    op.create_table(
        "cursors",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("pending", sa.Text(), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("listed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("completed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("connection", "kind", "mode", name=op.f("pk_cursors")),
        comment="Where each sweep stands. run: the sweep under way; pending: the change cursor it took at its start.",
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), server_default="", nullable=False),
        sa.Column("email_key", sa.Text(), server_default="", nullable=False),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    with op.batch_alter_table("customers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_customers_archived_external_id",
            ["external_id"],
            unique=False,
            sqlite_where=sa.text("deleted_at IS NOT NULL"),
            postgresql_where=sa.text("deleted_at IS NOT NULL"),
        )
        batch_op.create_index("ix_customers_email_key", ["email_key"], unique=False)
        batch_op.create_index("ix_customers_name_key", ["name_key"], unique=False)
        batch_op.create_index("ix_customers_parent", ["parent"], unique=False)
        batch_op.create_index("ix_customers_updated_at", ["updated_at", "id"], unique=False)
        batch_op.create_index(
            "uq_customers_live_external_id",
            ["external_id"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )

    op.create_table(
        "dirty",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), server_default="1", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), server_default="", nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("parked", sa.Text(), nullable=True),
        sa.Column("noticed", sa.Integer(), server_default="1", nullable=False),
        sa.Column("shown", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("connection", "subject", name=op.f("pk_dirty")),
        comment="What waits: m: or f:<mapping>, r:<object>, d:<kind>:<object>. noticed 0: only the registry changed.",
    )
    with op.batch_alter_table("dirty", schema=None) as batch_op:
        batch_op.create_index(
            "ix_dirty_customers",
            ["connection", "parked", "not_before", "since", "subject"],
            unique=False,
            sqlite_where=sa.text("kind = 'customer' AND parked IS NULL"),
            postgresql_where=sa.text("kind = 'customer' AND parked IS NULL"),
        )
        batch_op.create_index(
            "ix_dirty_documents",
            ["connection", "parked", "not_before", "since", "subject"],
            unique=False,
            sqlite_where=sa.text("kind <> 'customer' AND parked IS NULL"),
            postgresql_where=sa.text("kind <> 'customer' AND parked IS NULL"),
        )
        batch_op.create_index("ix_dirty_due", ["connection", "parked", "not_before"], unique=False)

    op.create_table(
        "document_references",
        sa.Column("document_id", sa.String(length=64), nullable=False),
        sa.Column("invoice_id", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "invoice_id", name=op.f("pk_document_references")),
        comment="Which invoices a payment or credit note is about, and how much of each it settles now.",
    )
    with op.batch_alter_table("document_references", schema=None) as batch_op:
        batch_op.create_index("ix_document_references_invoice_id", ["invoice_id"], unique=False)

    op.create_table(
        "documents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), server_default="", nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("issued_on", sa.Text(), server_default="", nullable=False),
        sa.Column("due_on", sa.Text(), server_default="", nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("origin", "kind", "remote_id", name=op.f("uq_documents_origin_kind_remote_id")),
        comment="Invoices, payments, credit notes. origin: the connection it was made at. body: all of it, neutral.",
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.create_index("ix_documents_customer_id", ["customer_id", "kind", "id"], unique=False)
        batch_op.create_index("ix_documents_day", ["kind", "issued_on", "id"], unique=False)
        batch_op.create_index("ix_documents_kind", ["kind", "id"], unique=False)
        batch_op.create_index("ix_documents_number", ["number"], unique=False)
        batch_op.create_index(
            "ix_documents_open_due_on",
            ["kind", "status", "due_on"],
            unique=False,
            sqlite_where=sa.text("kind = 'invoice' AND status = 'open'"),
            postgresql_where=sa.text("kind = 'invoice' AND status = 'open'"),
        )
        batch_op.create_index("ix_documents_remote_id", ["remote_id"], unique=False)
        batch_op.create_index("ix_documents_status", ["kind", "status", "id"], unique=False)
        batch_op.create_index("ix_documents_updated_at", ["updated_at"], unique=False)

    op.create_table(
        "failures",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=True),
        sa.Column("trace", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("connection", "subject", name=op.f("pk_failures")),
        comment="One per record that failed, until it succeeds. state: retrying | dead.",
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.Column("trace", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
        comment="Waits for a person. state: open | answered | spent (the answer was carried out) | moot.",
    )
    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.create_index("ix_holds_record_id", ["record_id"], unique=False)
        batch_op.create_index("ix_holds_state", ["state", "opened_at"], unique=False)
        batch_op.create_index("ix_holds_subject", ["connection", "subject"], unique=False)
        batch_op.create_index(
            "uq_holds_open",
            ["connection", "subject", "field"],
            unique=True,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        )

    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), server_default="new", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("trace", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("connection", "dedupe_key", name=op.f("uq_inbox_connection_dedupe_key")),
        comment="Authentic webhook deliveries. state: new | done | poison.",
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("ix_inbox_received_at", ["state", "received_at"], unique=False)
        batch_op.create_index("ix_inbox_state", ["connection", "state", "id"], unique=False)

    op.create_table(
        "intents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mapping_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), server_default="", nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=False),
        sa.Column("resolve_after", sa.Double(), nullable=True),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("trace", sa.Text(), server_default="", nullable=False),
        sa.Column("stamp", sa.Text(), server_default="", nullable=False),
        sa.Column("ahead", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intents")),
        comment="One remote write that may have been sent. state: sent | ambiguous | done | refused | void.",
    )
    with op.batch_alter_table("intents", schema=None) as batch_op:
        batch_op.create_index("ix_intents_key", ["connection", "key"], unique=False)
        batch_op.create_index(
            "ix_intents_stamp",
            ["mapping_id"],
            unique=False,
            sqlite_where=sa.text("stamp <> ''"),
            postgresql_where=sa.text("stamp <> ''"),
        )
        batch_op.create_index(
            "uq_intents_open",
            ["mapping_id"],
            unique=True,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=True),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("lost", sa.Text(), server_default="[]", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("trace", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        comment="Append-only: every change, with what it replaced.",
    )
    with op.batch_alter_table("journal", schema=None) as batch_op:
        batch_op.create_index("ix_journal_at", ["at"], unique=False)
        batch_op.create_index("ix_journal_record_id", ["record_id", "id"], unique=False)

    op.create_table(
        "mappings",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), server_default="", nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), server_default="{}", nullable=False),
        sa.Column("translation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mappings")),
        comment="state: pending (to be created) | live | gone | excluded (a person left it out) | ended.",
    )
    with op.batch_alter_table("mappings", schema=None) as batch_op:
        batch_op.create_index("ix_mappings_connection", ["connection", "kind", "state", "part"], unique=False)
        batch_op.create_index("ix_mappings_page", ["connection", "kind", "id"], unique=False)
        batch_op.create_index("ix_mappings_record_id", ["record_id"], unique=False)
        batch_op.create_index("ix_mappings_remote_id", ["remote_id"], unique=False)
        batch_op.create_index(
            "uq_mappings_record",
            ["kind", "record_id", "connection", "part"],
            unique=True,
            sqlite_where=sa.text("state <> 'ended'"),
            postgresql_where=sa.text("state <> 'ended'"),
        )
        batch_op.create_index(
            "uq_mappings_remote",
            ["connection", "kind", "remote_id"],
            unique=True,
            sqlite_where=sa.text("state <> 'ended' AND remote_id IS NOT NULL"),
            postgresql_where=sa.text("state <> 'ended' AND remote_id IS NOT NULL"),
        )

    op.create_table(
        "meta",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
    )
    op.create_table(
        "observations",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("remote_id", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("remote", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), server_default="", nullable=False),
        sa.Column("accord_ref", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("email_key", sa.Text(), server_default="", nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="live", nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "kind", "remote_id", name=op.f("pk_observations")),
        comment="What was last seen of a remote object. raw: where updates carry a lock. state: live | gone | erased.",
    )
    with op.batch_alter_table("observations", schema=None) as batch_op:
        batch_op.create_index("ix_observations_accord_ref", ["accord_ref"], unique=False)
        batch_op.create_index("ix_observations_email_key", ["email_key"], unique=False)
        batch_op.create_index("ix_observations_external_id", ["external_id"], unique=False)
        batch_op.create_index(
            "ix_observations_parent_id",
            ["parent_id"],
            unique=False,
            sqlite_where=sa.text("parent_id IS NOT NULL"),
            postgresql_where=sa.text("parent_id IS NOT NULL"),
        )
        batch_op.create_index("ix_observations_state", ["connection", "kind", "state"], unique=False)

    op.create_table(
        "one_offs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="new", nullable=False),
        sa.Column("result", sa.Text(), server_default="{}", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("trace", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_offs")),
        comment="What operators asked for. state: new | done | failed.",
    )
    with op.batch_alter_table("one_offs", schema=None) as batch_op:
        batch_op.create_index("ix_one_offs_state", ["connection", "state", "asked_at"], unique=False)

    op.create_table(
        "tombstones",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), server_default="", nullable=False),
        sa.Column("record_id", sa.Text(), server_default="", nullable=False),
        sa.Column("digest", sa.Text(), server_default="", nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
        comment="What must not come back by itself. what: customer | mapping | object. why: erased | unlinked.",
    )
    with op.batch_alter_table("tombstones", schema=None) as batch_op:
        batch_op.create_index("ix_tombstones_digest", ["digest"], unique=False)
        batch_op.create_index("ix_tombstones_record_id", ["record_id"], unique=False)

    op.create_table(
        "vault",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "name", name=op.f("pk_vault")),
    )
    op.create_table(
        "vault_keys",
        sa.Column("connection", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("connection", name=op.f("pk_vault_keys")),
        comment="The data key that seals a connection's rows of `vault`, wrapped with the key of this id.",
    )
