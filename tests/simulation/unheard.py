"""Feeds that lost an entry: of what happened to some objects, no webhook was sent and no feed tells."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core.ports import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from core.sandbox.lookalike import LookAlike

_FEEDS: Final = re.compile(r"/cdc\?|/v1/events\?")
_SILENT: Final[Mapping[str, Any]] = {"hubspot": ""}
"""What says that there are no webhooks, where it is not None."""


class Lost:
    """What one system's feed does not tell."""

    def __init__(self, lookalike: LookAlike) -> None:
        """Nothing was lost."""
        self._lookalike = lookalike
        self._until: dict[str, float] = {}
        """By object: when the last of what happened to it unheard was."""

    @contextmanager
    def silence(self) -> Iterator[None]:
        """What is done meanwhile is told by nothing."""
        count, one = len(self._lookalike.mutations), self._lookalike
        told = one.settings
        one.settings = dataclasses.replace(told, webhook_url=_SILENT.get(one.name))
        try:
            yield
        finally:
            one.settings = dataclasses.replace(one.settings, webhook_url=told.webhook_url)
            self._until |= {done.id: done.at for done in one.mutations[count:]}

    def told(self, request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        """The same answer; of a feed, without what it lost."""
        if not self._until or answer.status != 200 or not _FEEDS.search(request.url):
            return answer
        try:
            feed = json.loads(answer.body)
        except ValueError:
            return answer  # cut off on its way
        return HttpResponse(answer.status, answer.headers, json.dumps(self._less(feed)).encode())

    def _less(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._less(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._less(one) for one in value if not self._is_lost(one)]
        return value

    def _is_lost(self, one: Any) -> bool:
        if not isinstance(one, dict):
            return False
        if one.get("object") == "event":
            return bool(one["created"] <= self._until.get(one["data"]["object"].get("id", ""), 0.0))
        if "Id" not in one or "MetaData" not in one:
            return False
        changed = datetime.fromisoformat(one["MetaData"]["LastUpdatedTime"]).timestamp()
        return changed <= self._until.get(one["Id"], 0.0)
