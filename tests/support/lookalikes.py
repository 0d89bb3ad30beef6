"""The look-alikes of a world as what they are: each has acts that no other provider knows."""

from __future__ import annotations

from connectors.hubspot.sandbox import HubSpotLookAlike
from connectors.quickbooks.sandbox import QuickBooksLookAlike
from connectors.stripe.sandbox import StripeLookAlike
from tests.support.world import World


def hubspot_of(world: World) -> HubSpotLookAlike:
    """Its HubSpot: people merge there, and restore."""
    found = world.lookalikes["hubspot"]
    assert isinstance(found, HubSpotLookAlike)
    return found


def quickbooks_of(world: World) -> QuickBooksLookAlike:
    """Its QuickBooks: people merge there, and close the books."""
    found = world.lookalikes["quickbooks"]
    assert isinstance(found, QuickBooksLookAlike)
    return found


def stripe_of(world: World) -> StripeLookAlike:
    """Its Stripe, with the ledger behind what is shown."""
    found = world.lookalikes["stripe"]
    assert isinstance(found, StripeLookAlike)
    return found
