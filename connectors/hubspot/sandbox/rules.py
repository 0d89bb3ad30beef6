"""Validation rules that an account's administrators made: since 2026-09 they hold for API writes too (PROVIDERS §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.hubspot.sandbox.answers import invalid


@dataclass(frozen=True, slots=True)
class Rule:
    """A property that must have a value: always, or where another property has a certain one."""

    object_type: str
    name: str
    when: tuple[str, str] | None = None


def check_rules(rules: Sequence[Rule], object_type: str, before: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Refused when the object would be left without a value that is required, whichever properties are written.

    That an update of something else is refused as well, and on older paths too, is the stricter reading.
    """
    after = {**before, **given}
    for rule in rules:
        is_meant = rule.when is None or after.get(rule.when[0]) == rule.when[1]
        if rule.object_type != object_type or not is_meant or after.get(rule.name):
            continue
        code = "MISSING_CONDITIONAL_REQUIRED_PROPERTY" if rule.when else "MISSING_REQUIRED_PROPERTY"
        raise invalid(rule.name, code, f"{rule.name} is required")
