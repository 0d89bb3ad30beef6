"""The neutral customer: its fields, and nothing about any provider (DESIGN: the registry)."""

from __future__ import annotations

from typing import Final

FIELDS: Final = (
    "name",
    "legal_name",
    "legal_number",
    "tax_identification_number",
    "email",
    "other_emails",
    "phone",
    "customer_type",
    "billing_address",
    "shipping_address",
    "currency",
    "timezone",
    "locale",
    "url",
    "logo_url",
    "parent",
    "status",
    "invoice_metadata_keys",
)
"""Every field but `external_customer_id` (the key) and `metadata.<key>` (open set).

str, except: other_emails and invoice_metadata_keys are lists of str; the two addresses are dicts over
line1, line2, city, state, postal_code, country (ISO 3166 alpha-2). customer_type is company | individual;
status is active | inactive; currency ISO 4217 upper case; timezone IANA; parent an external_customer_id.
"""

NOT_TEXT: Final = frozenset({"other_emails", "invoice_metadata_keys", "billing_address", "shipping_address"})
"""Fields whose value is no single text, so that no filter can ask for one."""
