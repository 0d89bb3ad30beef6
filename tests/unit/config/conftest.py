"""Three small manifests, one of each metadata kind, so that these tests stand on no connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.model.remote import FieldSpec, Manifest, MetadataSpec
from core.model.settings import Address, Setting, Word

ADDRESS = Setting("", Address(example="https://api.test"))
ANYTHING = Setting("", Word(pattern=".*", words="anything", example="x"))


def manifest(provider: str, fields: str, metadata: MetadataSpec | None, **more: object) -> Manifest:
    """A manifest with everything but what a configuration is checked against left plain."""
    given: dict[str, Any] = {
        "provider": provider,
        "title": provider.title(),
        "translation": 1,
        "fields": {name: FieldSpec() for name in fields.split()},
        "metadata": metadata,
        "page_size": 100,
        "read_batch": 1,
        "write_batch": 1,
        "create_key_seconds": 86_400.0,
        "lookup_lag_seconds": 0.0,
        "is_conditional": False,
        "has_marker": True,
        "changes_window_seconds": 3600.0,
        "limits": (),
        **more,
    }
    return Manifest(**given)


@pytest.fixture
def providers() -> Mapping[str, Manifest]:
    """Open metadata (stripe), allow-listed metadata (hubspot), no metadata and no marker (quickbooks)."""
    stripe = manifest(
        "stripe",
        "name email phone currency timezone billing_address",
        MetadataSpec(),
        settings={"base_url": ADDRESS, "livemode": ANYTHING, "batch": ANYTHING},
        secrets={"api_key": "", "webhook_secret": ""},
    )
    hubspot = manifest(
        "hubspot",
        "name legal_name email phone",
        MetadataSpec(is_open=False, max_keys=3),
        secrets={"access_token": ""},
    )
    quickbooks = manifest(
        "quickbooks",
        "name legal_name phone currency",
        None,
        has_marker=False,
        archives="restorable",
        settings={"realm_id": ANYTHING},
        secrets={"client_secret": ""},
    )
    return {"stripe": stripe, "hubspot": hubspot, "quickbooks": quickbooks}
