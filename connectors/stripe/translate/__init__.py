"""Stripe's objects as neutral ones and back. Pure."""

from __future__ import annotations

from connectors.stripe.translate.customers import StripeTranslator, translator
from connectors.stripe.translate.documents import StripeDocuments, documents

__all__ = ["StripeDocuments", "StripeTranslator", "documents", "translator"]
