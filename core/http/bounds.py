"""How large an answer may be, and how long one that a thread reads may take in all."""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any, Final

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one answer, unpacked: a thousand invoices of QuickBooks' are a tenth of it."""


def hurried(whole_seconds: float) -> type[HTTPResponse]:
    """The `response_class` of connections that a thread reads: no answer takes longer than this, from its start.

    Where one does, reading it raises TimeoutError, as a silence does.
    """

    class Hurried(HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - handed through
            super().__init__(sock, *args, **options)
            self.fp = io.BufferedReader(_Line(self.fp.detach(), time.monotonic() + whole_seconds))

    return Hurried


class _Line(io.RawIOBase):
    """What comes in, up to a time."""

    def __init__(self, line: io.RawIOBase, until: float) -> None:
        self._line = line
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - of io's own type
        if time.monotonic() > self._until:
            raise TimeoutError("the answer took too long in all")
        return self._line.readinto(buffer)

    def close(self) -> None:
        self._line.close()
        super().close()
