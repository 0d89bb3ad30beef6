"""What can be connected, from the connectors' manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from core.cli.desk import OK, Desk
from core.errors import ConfigError

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.ports import ConnectionConfig, Provider


def show_providers(desk: Desk) -> int:
    """Every provider with its settings, secrets and webhook events."""
    providers = desk.root.providers()
    try:
        configs = desk.root.connections()
    except ConfigError:
        configs = {}  # whoever has no file yet asks what to write into it
    variables = {name: _variables(desk, name, one, configs) for name, one in providers.items()}
    found = {name: _told(one) | {"variables": variables[name]} for name, one in sorted(providers.items())}

    def draw(screen: Screen) -> None:
        for name, one in sorted(providers.items()):
            _draw(screen, name, one, variables[name])

    desk.show(found, draw)
    return OK


def _variables(
    desk: Desk, provider: str, offer: Provider, configs: Mapping[str, ConnectionConfig]
) -> dict[str, list[str]]:
    """Where each secret may come from: a variable per configured connection, else what its name is made of."""
    names = sorted(name for name, one in configs.items() if one.provider == provider)
    return {
        secret: [desk.root.variable(name, secret) for name in names] or [f"ACCORD_<CONNECTION>_{secret.upper()}"]
        for secret in offer.manifest.secrets
    }


def _told(provider: Provider) -> dict[str, object]:
    manifest = provider.manifest
    return {
        "title": manifest.title,
        "settings": {name: one.words for name, one in manifest.settings.items()},
        "secrets": dict(manifest.secrets),
        "webhook_events": list(manifest.webhook_events),
        "is_oauth": provider.oauth is not None,
        "not_synced": dict(manifest.not_synced),
    }


def _draw(screen: Screen, name: str, provider: Provider, variables: Mapping[str, Sequence[str]]) -> None:
    manifest = provider.manifest
    screen.line(f'{manifest.title}: provider = "{name}"', "bold")
    rows = [("setting", setting, one.words, "") for setting, one in manifest.settings.items()]
    rows += [("secret", secret, meaning, "\n".join(variables[secret])) for secret, meaning in manifest.secrets.items()]
    screen.table(("what", "name", "meaning", "variable (or with _FILE)"), rows)
    screen.line(f"  webhook events: {', '.join(manifest.webhook_events)}")
    screen.line()
