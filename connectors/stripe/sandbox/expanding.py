"""What a request may ask to be shown whole (PROVIDERS §3; README, "What the look-alike rests on")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connectors.stripe.sandbox.forms import Form, list_in
from connectors.stripe.sandbox.settings import RefusedError

_DEEPEST: Final = 4  # PROVIDERS §3
"""Levels, of which a list's `data` is one."""
_EXPANDABLE: Final = {
    "invoice": frozenset({"amount_paid_off_stripe", "payments"}),
    "invoice_payment": frozenset(
        "invoice payment.charge payment.payment_intent payment.payment_intent.latest_charge "
        "payment.payment_record".split()
    ),
}
"""Only what was built; of other objects nothing."""


def expansions_in(form: Form, name: str, *, is_list: bool = False) -> Sequence[str]:
    """Attributes to show whole; refused where there is no such one, or it lies too deep."""
    found = []
    for path in list_in(form["expand"], "expand") if "expand" in form else []:
        if str(path).count(".") >= _DEEPEST:  # PROVIDERS §3: four levels
            raise RefusedError(f"You cannot expand more than {_DEEPEST} levels of a property.", param="expand")
        inner = str(path).removeprefix("data.") if is_list else path
        if inner not in _EXPANDABLE.get(name, ()) or (is_list and inner == path):
            raise RefusedError(f"This property cannot be expanded ({path}).", param="expand")  # PROVIDERS §3
        found.append(inner)
    return found
