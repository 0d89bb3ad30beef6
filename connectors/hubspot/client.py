"""HubSpot's endpoints, one method each, through the vendor's SDK (hubspot-api-client); no decisions.

The SDK's typed classes know only paths that HubSpot is switching off, and no dated ones; its generic request
(`Client.api_request`) takes any path. That request is used for what it does well: authentication, URL, headers and
body. Its sending is replaced, because it opens a connection for every call, has no time-out and prints errors: a
`requests.Session` of our own sends what the SDK built. In the simulation the session's adapter is the look-alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from connectors.hubspot.errors import DAILY, WAITS, Day, error_from
from connectors.hubspot.manifest import BURST, BURST_MILLISECONDS
from connectors.hubspot.wire import PATHS, ObjectType
from core.errors import AccordError, AmbiguousError, GoneError, ReauthorizeError, ReplyError, RetryError
from core.http.bounds import MOST_BYTES, hurried
from core.http.limits import RateLimiter
from core.http.retry import with_retries
from core.ports import Exchange, HttpRequest, HttpResponse, Shell, Vault

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 30.0
CHUNK: Final = 65_536
DEFAULT_URL: Final = "https://api.hubapi.com"
DEFAULT_VERSION: Final = "2026-09"


class HubSpotClient:
    """One access token's way to HubSpot. Keep-alive connections, explicit time-outs, no retries of the SDK's."""

    def __init__(
        self, settings: Mapping[str, str], vault: Vault, shell: Shell, limiter: RateLimiter, *, connections: int
    ) -> None:
        """Import the SDK only here: importing a connector must stay cheap."""
        import hubspot  # noqa: PLC0415
        from hubspot.utils.requests.http_request_builder import Request  # noqa: PLC0415

        self.zone = ""
        """The account's time zone, once it was asked for."""
        self._vault = vault
        self._shell = shell
        self._limiter = limiter
        self._version = settings.get("api_version", DEFAULT_VERSION)
        self._request_class = Request
        self._sdk = hubspot.Client.create(base_url=settings.get("base_url", DEFAULT_URL).rstrip("/"))
        self._session = _session(shell, connections)

    async def account(self) -> bytes:
        """Who the access token belongs to."""
        return await self._read("account", "GET", f"/account-info/{self._version}/details")

    async def account_by_old_path(self) -> bytes:
        """The same where the dated path is not there."""
        return await self._read("account", "GET", "/account-info/v3/details")

    async def list(
        self,
        object_type: ObjectType,
        properties: Sequence[str],
        after: str | None,
        limit: int,
        *,
        is_archived: bool = False,
    ) -> bytes:
        """A page of all live objects, or of the recycle bin, by ascending id."""
        query = {"limit": str(limit), "properties": ",".join(properties)} | ({"after": after} if after else {})
        query |= {"archived": "true"} if is_archived else {}
        return await self._read("objects", "GET", self._objects(object_type), query=query)

    async def get(self, object_type: ObjectType, hubspot_id: str, properties: Sequence[str]) -> bytes:
        """One object; GoneError when there is none."""
        query = {"properties": ",".join(properties)}
        return await self._read("objects", "GET", self._objects(object_type, f"/{hubspot_id}"), query=query)

    async def batch_read(
        self,
        object_type: ObjectType,
        ids: Sequence[str],
        properties: Sequence[str],
        id_property: str | None = None,
        history: Sequence[str] = (),
    ) -> bytes:
        """Up to 100 objects by id, or by a unique property; up to 50 with the history of some properties."""
        body: dict[str, Any] = {"inputs": [{"id": one} for one in ids], "properties": list(properties)}
        body |= {"idProperty": id_property} if id_property else {}
        body |= {"propertiesWithHistory": list(history)} if history else {}
        return await self._read("objects", "POST", self._objects(object_type, "/batch/read"), body=body)

    async def search(self, object_type: ObjectType, body: Mapping[str, Any]) -> bytes:
        """Search by filters; lags behind writes."""
        return await self._read("search", "POST", self._objects(object_type, "/search"), body=body)

    async def batch_upsert(self, object_type: ObjectType, inputs: Sequence[Mapping[str, Any]]) -> bytes:
        """Create or update up to 100 objects by a unique property."""
        return await self._write(object_type, self._objects(object_type, "/batch/upsert"), {"inputs": list(inputs)})

    async def batch_update(self, object_type: ObjectType, inputs: Sequence[Mapping[str, Any]]) -> bytes:
        """Update up to 100 objects by id."""
        return await self._write(object_type, self._objects(object_type, "/batch/update"), {"inputs": list(inputs)})

    async def batch_create(self, object_type: ObjectType, inputs: Sequence[Mapping[str, Any]]) -> bytes:
        """Make up to 100 objects with their associations. Unlike an upsert, it refuses what is there already."""
        return await self._write(object_type, self._objects(object_type, "/batch/create"), {"inputs": list(inputs)})

    async def archive(self, object_type: ObjectType, hubspot_id: str) -> None:
        """Move one object into the recycle bin, where it lies for ninety days. What is not there is no error."""
        options = {"method": "DELETE", "path": self._objects(object_type, f"/{hubspot_id}")}
        await self._call("objects", options, is_write=True, object_type=object_type)

    async def associations(self, origin: ObjectType, target: ObjectType, inputs: Sequence[Mapping[str, str]]) -> bytes:
        """What objects of one type are to those of another: up to 1,000 of them, each from a cursor on.

        ReplyError for a 404 of the whole call: of objects without any HubSpot says so one by one, and taken for that,
        a hundred companies would have lost their parents, and a hundred invoices their lines.
        """
        path = self._between(origin, target, "read")
        try:
            return await self._read("objects", "POST", path, body={"inputs": list(inputs)})
        except GoneError as error:
            raise ReplyError(f"HubSpot does not tell what {PATHS[origin]} are tied to: {error}") from error

    async def associate(self, origin: ObjectType, target: ObjectType, inputs: Sequence[Mapping[str, Any]]) -> bytes:
        """Tie objects of one type to those of another: up to 2,000."""
        return await self._write(origin, self._between(origin, target, "create"), {"inputs": list(inputs)})

    async def dissociate(self, origin: ObjectType, target: ObjectType, inputs: Sequence[Mapping[str, Any]]) -> bytes:
        """Take off these ties and no others between the same objects."""
        return await self._write(origin, self._between(origin, target, "labels/archive"), {"inputs": list(inputs)})

    async def labels(self) -> bytes:
        """All that a contact can be to a company."""
        path = f"/crm/associations/{self._version}/contacts/companies/labels"
        return await self._read("objects", "GET", path)

    async def property(self, object_type: ObjectType, name: str) -> bytes:
        """A property's definition; GoneError when there is none."""
        return await self._read("properties", "GET", self._properties(object_type, f"/{name}"))

    async def properties(self, object_type: ObjectType) -> bytes:
        """Every property's definition."""
        return await self._read("properties", "GET", self._properties(object_type))

    async def create_property(self, object_type: ObjectType, body: Mapping[str, Any]) -> bytes:
        """Make a property."""
        return await self._write(object_type, self._properties(object_type), body)

    async def create_properties(self, object_type: ObjectType, inputs: Sequence[Mapping[str, Any]]) -> bytes:
        """Make up to 100 properties."""
        path = self._properties(object_type, "/batch/create")
        return await self._write(object_type, path, {"inputs": list(inputs)})

    async def create_property_group(self, object_type: ObjectType, body: Mapping[str, Any]) -> bytes:
        """Make a property group."""
        return await self._write(object_type, self._properties(object_type, "/groups"), body)

    def close(self) -> None:
        """Let go of the sockets."""
        self._session.close()

    def _objects(self, object_type: ObjectType, tail: str = "") -> str:
        return f"/crm/objects/{self._version}/{PATHS[object_type]}{tail}"

    def _between(self, origin: ObjectType, target: ObjectType, what: str) -> str:
        return f"/crm/associations/{self._version}/{PATHS[origin]}/{PATHS[target]}/batch/{what}"

    def _properties(self, object_type: ObjectType, tail: str = "") -> str:
        return f"/crm/properties/{self._version}/{PATHS[object_type]}{tail}"

    async def _read(
        self,
        endpoint: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> bytes:
        async def once() -> bytes:
            options: dict[str, Any] = {"method": method, "path": path}
            options |= {"qs": query} if query else {}
            options |= {"body": json.dumps(body)} if body is not None else {}
            return await self._call(endpoint, options, is_write=False, object_type="contact")

        return await with_retries(self._shell.clock, once)

    async def _write(self, object_type: ObjectType, path: str, body: Mapping[str, Any]) -> bytes:
        options = {"method": "POST", "path": path, "body": json.dumps(body)}
        return await self._call("objects", options, is_write=True, object_type=object_type)

    async def _call(self, endpoint: str, options: dict[str, Any], *, is_write: bool, object_type: ObjectType) -> bytes:
        async with self._limiter.call(endpoint):
            self._sdk.access_token = self._token()
            request = self._request_class(self._sdk.config, options)
            await self._pause()
            answer = await self._shell.hop(lambda: _send(self._session, request, is_write=is_write))
            await self._pause()
            if isinstance(answer, AccordError):
                raise answer
        self._learn(answer.headers)
        if 200 <= answer.status < 300:
            return answer.body
        day = Day(self.zone, self._shell.clock.now())
        told = answer.status, answer.headers, answer.body
        error = error_from(*told, is_write=is_write, object_type=object_type, day=day)
        if isinstance(error, RetryError) and error.retry_after is not None:
            # every other call of this connection would be refused as well
            self._limiter.pause(error.retry_after, str(error))
        raise error

    def _learn(self, headers: Mapping[str, str]) -> None:
        """The size of the rolling window depends on the account's tier, and other programs may share the token."""
        told = [
            headers.get(f"x-hubspot-ratelimit-{name}", "") for name in ("interval-milliseconds", "max", "remaining")
        ]
        if told[0] == BURST_MILLISECONDS and all(one.isdecimal() for one in told):
            self._limiter.told(BURST, int(told[1]), int(told[2]))
        # of a service key or a private app only: an OAuth token has no calls of a day
        a_day, left = (headers.get(f"x-hubspot-ratelimit-{name}", "") for name in ("daily", "daily-remaining"))
        if a_day.isdecimal() and left.isdecimal() and int(a_day):
            now = self._shell.clock.now()
            self._shell.left(int(left) / int(a_day), now + (Day(self.zone, now).left or WAITS[DAILY]))

    def _token(self) -> str:
        token = self._vault.get("access_token")
        if not token:
            raise ReauthorizeError("HubSpot: there is no access_token for this connection")
        return token

    async def _pause(self) -> None:
        if self._shell.pause is not None:
            await self._shell.pause()


def _session(shell: Shell, connections: int) -> requests.Session:
    """Sends from several threads at once: no cookies, no redirects, nothing from the environment."""
    from http.cookiejar import DefaultCookiePolicy  # noqa: PLC0415

    import requests  # noqa: PLC0415

    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _exchange_adapter(shell.exchange) if shell.exchange else _socket_adapter(connections, shell.whole_seconds)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _send(session: requests.Session, request: Any, *, is_write: bool) -> HttpResponse | AccordError:  # noqa: ANN401
    """Send what the SDK built. An error is returned, so that no traceback crosses threads.

    Only what certainly never left may be sent again: a connection that was not established. Everything else
    that befalls a write leaves open whether it happened.
    """
    from requests import exceptions  # noqa: PLC0415

    try:
        answer = session.request(
            request.get_method(),
            request.get_url(),
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            **request.get_options_for_sending(),
        )
    except (UnicodeError, exceptions.InvalidHeader):
        # not shown: the header is where the token is
        return ReauthorizeError("HubSpot: the access token holds a character that no token has; store it anew, whole")
    except exceptions.RequestException as error:
        problem = f"HubSpot: no answer from {_address(request.get_url())}: {type(error).__name__}"
        return AmbiguousError(problem) if is_write and _may_have_left(error) else RetryError(problem)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return HttpResponse(answer.status_code, headers, answer.content)


def _address(url: str) -> str:
    """Scheme, host and port, and nothing else: a wrong `base_url` and a HubSpot that is down look alike without."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _may_have_left(error: requests.exceptions.RequestException) -> bool:
    from requests.exceptions import ConnectTimeout  # noqa: PLC0415
    from urllib3.exceptions import MaxRetryError, NewConnectionError  # noqa: PLC0415

    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return not isinstance(error, ConnectTimeout) and not isinstance(reason, NewConnectionError)


def _socket_adapter(connections: int, whole_seconds: float) -> requests.adapters.BaseAdapter:
    """Real sockets; an answer that comes drop by drop, or is larger than any of HubSpot's, is not read to its end."""
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    response_class = hurried(whole_seconds)

    class AnswerTooLargeError(requests.RequestException):
        """Its name is what is told."""

    class SocketAdapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 -- handed through
            super().init_poolmanager(*args, **options)
            pools: dict[str, Any] = self.poolmanager.pool_classes_by_scheme
            for scheme, pool in pools.items():
                connection = type("Connection", (pool.ConnectionCls,), {"response_class": response_class})
                pools = {**pools, scheme: type("Pool", (pool,), {"ConnectionCls": connection})}
            self.poolmanager.pool_classes_by_scheme = pools

        def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401
            answer = super().send(request, *args, **{**options, "stream": True})
            parts, size = [], 0
            for part in answer.iter_content(CHUNK):
                size += len(part)
                if size > MOST_BYTES:
                    answer.close()
                    raise AnswerTooLargeError
                parts.append(part)
            answer._content = b"".join(parts)  # noqa: SLF001 -- requests has no public way to give what was read
            return answer

    return SocketAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)


def _exchange_adapter(exchange: Exchange) -> requests.adapters.BaseAdapter:
    """The simulation's end of a session: each prepared request is exchanged in memory for a response."""
    import requests  # noqa: PLC0415
    from requests.adapters import BaseAdapter  # noqa: PLC0415
    from requests.structures import CaseInsensitiveDict  # noqa: PLC0415

    class ExchangeAdapter(BaseAdapter):
        """No socket behind it."""

        def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
            """Answer with what the look-alike says; its OSErrors are a transport's."""
            body = request.body
            plain = HttpRequest(
                request.method or "GET",
                request.url or "",
                {name.lower(): str(value) for name, value in request.headers.items()},
                body if isinstance(body, bytes) else str(body or "").encode(),
            )
            try:
                answer = exchange(plain)
            except TimeoutError as error:
                raise requests.ReadTimeout(str(error)) from error
            except ConnectionRefusedError as error:
                raise requests.ConnectTimeout(str(error)) from error
            except OSError as error:
                raise requests.ConnectionError(str(error)) from error
            response = requests.Response()
            response.status_code = answer.status
            response.headers = CaseInsensitiveDict(answer.headers)
            response._content = answer.body  # noqa: SLF001 -- requests has no public way to give a body in memory
            response.url = plain.url
            return response

        def close(self) -> None:
            """Nothing to let go of."""

    return ExchangeAdapter()
