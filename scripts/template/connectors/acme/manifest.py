"""What Acme can and cannot do, as data."""

from __future__ import annotations

from typing import Final

from core.model.remote import FieldSpec, Limit, Manifest, MetadataSpec
from core.model.settings import Address, Setting

LIVE_URL: Final = "https://api.acme.example"
ACCORD_REF: Final = "accord_ref"
"""The attribute that carries our marker."""
KEY_LENGTH: Final = 40
VALUE_LENGTH: Final = 500
PART_LENGTH: Final = 200

# Decide 10: what the provider promises. The engine obeys every line of this, so a wrong one is a wrong decision later.
MANIFEST: Final = Manifest(
    provider="acme",
    title="Acme",
    translation=1,
    fields={
        "name": FieldSpec(max_length=200, note="name: cannot be blank"),
        "email": FieldSpec(max_length=254, note="email: kept in lower case"),
        "phone": FieldSpec(max_length=40, note="phone"),
        "billing_address": FieldSpec(note=f"address: each part {PART_LENGTH}, country ISO 3166 alpha-2"),
        "url": FieldSpec(max_length=500, note="website"),
    },
    metadata=MetadataSpec(is_open=True, max_key_length=KEY_LENGTH, max_value_length=VALUE_LENGTH),
    page_size=100,
    read_batch=20,
    write_batch=20,
    in_flight=4,
    # how long a repeated create under one key gives the first answer; None: our marker is unique there, for ever
    create_key_seconds=86_400.0,
    # how long after a write a look-up by marker may still miss the object
    lookup_lag_seconds=0.0,
    settle_seconds=60.0,
    # an update carries the version it was decided on; False: a value that is overwritten meanwhile goes unnoticed
    is_conditional=True,
    # objects have a place for our marker; False: a lost create is looked for by its name, and a person decides
    has_marker=True,
    changes_window_seconds=30 * 86_400.0,
    sweep_overlap_seconds=300.0,
    limits=(Limit(name="account per second", calls=10, seconds=1.0),),
    settings={"base_url": Setting(f"API address (default {LIVE_URL})", Address(example=LIVE_URL))},
    secrets={
        "api_key": "Acme, Settings, API keys: one that may read and write customers",
        "webhook_secret": "Acme, Settings, Webhooks: the endpoint's signing secret",
    },
    webhook_secret="webhook_secret",  # noqa: S106 - the name of one
    webhook_events=("customer.created", "customer.updated", "customer.deleted"),
    not_synced={
        "legal_name": "no such attribute",
        "legal_number": "no such attribute",
        "tax_identification_number": "no such attribute",
        "other_emails": "one address only",
        "customer_type": "no such attribute",
        "shipping_address": "one address only",
        "currency": "no such attribute",
        "timezone": "no such attribute",
        "locale": "no such attribute",
        "logo_url": "no such attribute",
        "parent": "no such attribute",
        "status": "customers are there or deleted",
    },
)
