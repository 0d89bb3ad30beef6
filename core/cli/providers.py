"""What can be connected, from the connectors' manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.cli.desk import OK, Desk

if TYPE_CHECKING:
    from core.cli.screen import Screen
    from core.ports import Provider


def show_providers(desk: Desk) -> int:
    """Every provider with its settings, secrets and webhook events."""
    providers = desk.root.providers()
    found = {name: _told(one) for name, one in sorted(providers.items())}

    def draw(screen: Screen) -> None:
        for name, one in sorted(providers.items()):
            _draw(screen, name, one)

    desk.show(found, draw)
    return OK


def _told(provider: Provider) -> dict[str, object]:
    manifest = provider.manifest
    return {
        "title": manifest.title,
        "settings": dict(manifest.settings),
        "secrets": dict(manifest.secrets),
        "webhook_events": list(manifest.webhook_events),
        "is_oauth": provider.oauth is not None,
        "not_synced": dict(manifest.not_synced),
    }


def _draw(screen: Screen, name: str, provider: Provider) -> None:
    manifest = provider.manifest
    screen.line(f'{manifest.title}: provider = "{name}"', "bold")
    rows = [("setting", *one) for one in manifest.settings.items()]
    rows += [("secret", *one) for one in manifest.secrets.items()]
    screen.table(("what", "name", "meaning"), rows)
    screen.line(f"  webhook events: {', '.join(manifest.webhook_events)}")
    screen.line()
