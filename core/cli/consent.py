"""The redirect after a consent, on a loopback port: one page, which only the right `state` may call."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final, Self
from urllib.parse import parse_qsl

from core.errors import ReauthorizeError, StorageError

PATH: Final = "/callback"
_TURN_SECONDS: Final = 0.2
_DONE: Final = "Accord has what it needs. You may close this page."
_NOT_OURS: Final = "This is not the answer that Accord waits for. Start again with `accord connect`."


class Callback:
    """Listens while a person consents. Nobody else's answer counts: `state` is fresh and must come back."""

    def __init__(self, port: int) -> None:
        """Listen on loopback only; `port` 0 takes any free one."""
        self.state = secrets.token_urlsafe(32)
        self._query: dict[str, str] = {}
        self._arrived = threading.Event()
        try:
            self._server = HTTPServer(("127.0.0.1", port), _page_of(self))
        except OSError as error:
            raise StorageError(f"port {port} cannot be used: {error.strerror}; name another one with --port") from error
        self._server.timeout = _TURN_SECONDS
        self.redirect_uri = f"http://localhost:{self._server.server_port}{PATH}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.server_close()

    def wait(self, patience: float) -> Mapping[str, str]:
        """Return the redirect's query. Raises ReauthorizeError when it does not come within `patience` seconds."""
        until = time.monotonic() + patience
        while not self._arrived.is_set():
            if time.monotonic() > until:
                raise ReauthorizeError("nobody consented in time; run `accord connect` again")
            self._server.handle_request()
        return self._query

    def take(self, target: str) -> bool:
        """One request came in; whether it is the answer."""
        path, _, rest = target.partition("?")
        query = dict(parse_qsl(rest))
        if path != PATH or not compare_digest(query.get("state", "").encode(), self.state.encode()):
            return False
        self._query = query
        self._arrived.set()
        return True


def _page_of(callback: Callback) -> type[BaseHTTPRequestHandler]:
    class Page(BaseHTTPRequestHandler):
        timeout = 5.0
        """A connection that says nothing must not keep the answer out."""

        def do_GET(self) -> None:
            is_ours = callback.take(self.path)
            body = (_DONE if is_ours else _NOT_OURS).encode()
            self.send_response(HTTPStatus.OK if is_ours else HTTPStatus.BAD_REQUEST)
            self.send_header("content-type", "text/plain; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Say nothing: the query holds a code."""

    return Page
