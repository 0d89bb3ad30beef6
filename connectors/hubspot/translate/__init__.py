"""HubSpot's objects to neutral form and back (pure): customers, and copies of invoices."""

from connectors.hubspot.translate.customers import (
    FOREIGN,
    HubSpotTranslator,
    metadata_property,
)
from connectors.hubspot.translate.definition import GROUP, Definition
from connectors.hubspot.translate.documents import NUMBER, HubSpotDocuments

__all__ = ["FOREIGN", "GROUP", "NUMBER", "Definition", "HubSpotDocuments", "HubSpotTranslator", "metadata_property"]
