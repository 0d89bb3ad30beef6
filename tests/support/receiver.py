"""The webhook receiver, called as a server would call it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from core.api.metrics import Metrics
from core.api.webhooks import WebhookApp
from tests.support.world import World

PUBLIC_URL = "https://accord.example.test"


class Receiver:
    """One receiver of a world's webhooks, without sockets."""

    def __init__(self, world: World) -> None:
        """Receive for the world's connections."""
        self.metrics = Metrics()
        self.app = WebhookApp(world.hub, PUBLIC_URL, self.metrics)

    async def post(
        self,
        path: str,
        body: bytes | Sequence[bytes],
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        method: str = "POST",
        hangs_up: bool = False,
    ) -> int | None:
        """The status; None when nothing was answered."""
        parts = [body] if isinstance(body, bytes) else list(body)
        messages: list[MutableMapping[str, Any]] = [
            {"type": "http.request", "body": part, "more_body": hangs_up or number + 1 < len(parts)}
            for number, part in enumerate(parts)
        ]
        statuses: list[int] = []

        async def receive() -> MutableMapping[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        target, _, query = path.partition("?")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        scope = {
            "type": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        }
        await self.app(scope, receive, send)
        return statuses[0] if statuses else None
