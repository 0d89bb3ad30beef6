"""One folder per provider, all of one inner shape. Discovered by name; see CONTRIBUTING.md."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.ports import Provider
    from core.sandbox.lookalike import Offer


def providers() -> Mapping[str, Provider]:
    """Every folder's offer, by provider name; imports them all."""
    return {name: import_module(f"connectors.{name}.connector").PROVIDER for name in _folders()}


def offers() -> Mapping[str, Offer]:
    """The look-alikes that folders have, by provider name; imports them all."""
    with_one = [name for name in _folders() if find_spec(f"connectors.{name}.sandbox")]
    return {name: import_module(f"connectors.{name}.sandbox.offer").OFFER for name in with_one}


def _folders() -> list[str]:
    return sorted(one.name for one in pkgutil.iter_modules(__path__) if one.ispkg)
