"""Planted secrets and personal data, a day of good and bad luck, and a search through all that was left behind."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import httpx
import pytest
import structlog

from config.logging import configure_logging
from config.settings import load_settings
from core.api.app import build_app
from core.api.context import Context
from core.api.health import Health
from core.api.metrics import Metrics
from core.cli.main import run
from core.ports import Exchange, HttpRequest, HttpResponse
from core.store import api_tokens
from core.store.backup import backup
from core.store.database import Database
from core.store.instance import hold
from core.store.keyring import keyring_for
from core.store.vault import SealedVault, rotate
from tests.support import deliveries
from tests.support.paper import LINE, bill, papers, pay
from tests.support.receiver import PUBLIC_URL, Receiver
from tests.support.root import WorldRoot
from tests.support.world import NAMES, SECRETS, World

pytestmark = pytest.mark.anyio

DATABASE_PASSWORD = "canary-p@ssw0rd"
PUBLIC = {"sandbox-client"}
"""An OAuth client's id stands in the address of the consent page."""
EMAIL, PHONE = "ada.canary@example.test", "+4930987654321"
STATUSES = (400, 401, 403, 404, 409, 422, 429, 500, 200)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Logging is the process's: put back what was there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def quoting(request: HttpRequest, status: int) -> HttpResponse:
    """An error of each provider's shape that quotes the whole request, credentials first."""
    sent = request.headers.get("authorization", "")
    plain = base64.b64decode(sent.removeprefix("Basic ") + "==").decode() if sent.startswith("Basic ") else ""
    told = f"{sent.partition(' ')[2]} {plain} {sent} {request.body.decode()} {request.url}"
    shape = {
        "error": {"type": "invalid_request_error", "message": told, "code": "parameter_invalid", "param": "name"},
        "status": "error",
        "message": told,
        "category": "VALIDATION_ERROR",
        "errors": [{"message": told}],
        "Fault": {"type": "ValidationFault", "Error": [{"Message": told, "Detail": told, "code": "6000"}]},
    }
    if "/tokens/bearer" in request.url:
        shape["error"] = f"invalid_grant {told}"
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(shape).encode())


LOOKS = (["status"], ["doctor"], ["failures"], ["holds"], ["inbox"], ["explain", "stripe:x"])
DOCUMENT_LOOKS = (
    ["invoices", "list"], ["payments", "list"], ["credit-notes", "list"], ["invoices", "ageing"], ["close", "2026-11"],
    ["payouts", "list", "stripe"], ["plan"], ["invoices", "show", "nobody"],
    ["customers", "overview", "nobody"],
)  # fmt: skip
EXPORTS = {
    "plan.json": ["plan", "--out"], "customers.csv": ["customers", "export"], "matches.csv": ["match", "export"],
    "close.csv": ["close", "2026-11", "--out"], "ageing.csv": ["invoices", "ageing", "--invoices", "--out"],
    "journal.csv": ["journal", "export"], "journal.jsonl": ["journal", "export"],
}  # fmt: skip
DIFFER = ("plan.json", "close.csv")
"""What tells of differences by its exit code, too."""
DOCUMENT_PATHS = [
    "/v1/invoices", "/v1/payments", "/v1/credit_notes", "/v1/invoices/nobody", "/v1/reports/ageing",
    "/v1/reports/tie_out/2026-11", "/v1/connections/stripe/payouts", "/v1/connections/stripe/plan", "/v1/journal",
]  # fmt: skip


class Site:
    """A world whose secrets were typed into `accord connect`: they are in the sealed vault and nowhere else."""

    def __init__(self, folder: Path) -> None:
        """Plant everything."""
        self.folder = folder
        self.log = io.StringIO()
        url = f"sqlite:///{folder}/accord.sqlite3"
        environ = {
            "ACCORD_DATABASE_URL": "postgresql://accord:canary-p%40ssw0rd@127.0.0.1:1/none",
            "ACCORD_API_TOKEN": "canary-api-token",
            "ACCORD_LOG_LEVEL": "debug",
            "ACCORD_LOG_FORMAT": "json",
        }
        self.settings = load_settings(environ)
        self.redaction = configure_logging(self.settings, self.log)
        self.world = World(url=url)
        self.world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": EMAIL, "phone": PHONE})
        self.ring = keyring_for(url, None)
        for name in NAMES:
            vault = SealedVault(self.world.db, self.ring, name, clock=self.world.clock, tell=self.redaction.learn)
            asyncio.run(vault.save(SECRETS[name]))
            self.world.vaults[name] = vault  # type: ignore[assignment]  # the sealed one in place of the plain one
        self.root = WorldRoot(self.world)
        self.told: list[str] = []
        self.token = self.world.db.run_now(
            lambda tx: api_tokens.make(tx, "canary", "admin", now=1.0, expires_at=None, actor="test")
        )
        self.secrets = {"canary-api-token", DATABASE_PASSWORD, "canary-p%40ssw0rd", self.token}
        self.keys = {base64.b64encode(self.ring.newest()).decode()}
        self.secrets |= self.keys
        self._collect()
        self.world.start()

    def _collect(self) -> None:
        """Secrets rotate: remember every one there was."""
        for name in NAMES:
            for secret in (*SECRETS[name], "access_token"):
                self.secrets |= {self.world.vaults[name].get(secret) or ""} - {""} - PUBLIC

    async def bill(self) -> None:
        """An invoice, partly paid, with its copies; and one that no copy can be made of."""
        pay(self.world, bill(self.world), "19.00")
        bill(self.world, "stripe", {**LINE, "description": "x" * 4001})
        await self.world.next_sweep()
        assert len(papers(self.world)) == 2

    async def luckless(self, answer: Mapping[str, Exchange], *, is_told: bool = True) -> None:
        """Work while every call is answered so, and look at what commands say of it."""
        before = dict(self.world.exchanges)
        self.world.exchanges.update(answer)
        self.world.lookalikes["stripe"].edit("customer", None, {"name": "Grace", "email": "grace@example.test"})
        self.world.clock.time += 3700
        for name in NAMES:
            try:
                await self.world.lanes.run(name)
            except Exception:
                self.world.hub.log.exception("lane.failed", connection=name)
        self._collect()
        if is_told:
            await asyncio.to_thread(self.look)
        self.world.exchanges.update(before)

    def look(self) -> None:
        """What people look at while it is so."""
        for words in (*LOOKS, *DOCUMENT_LOOKS):
            run(self.root, words)
            run(self.root, [*words, "--json"])
        for name in NAMES:
            run(self.root, ["connect", name])

    def export(self) -> str:
        """Every file that a command writes of what is known: their texts."""
        folder = self.folder / "exports"
        folder.mkdir()
        for name, words in EXPORTS.items():
            code = run(self.root, [*words, str(folder / name)])
            assert code == 0 or name in DIFFER, (name, code)
        texts = {one.name: one.read_text(encoding="utf-8") for one in folder.iterdir()}
        assert texts.keys() == EXPORTS.keys()
        for name in ("customers.csv", "journal.csv", "journal.jsonl"):
            assert EMAIL in texts[name], f"{name} has what it is for"
        assert '"rotate"' in texts["journal.jsonl"]
        assert all(len(texts[name].splitlines()) > 2 for name in ("close.csv", "ageing.csv"))
        return "\n".join(texts.values())

    async def ask(self) -> None:
        """Every GET of the API, and what goes wrong with it."""
        world = self.world
        health = Health(world.db, hold(world.db, world.clock), world.clock)
        context = Context(hub=world.hub, health=health, metrics=Metrics(), totals=world.lanes.totals)
        app = build_app(context, token="canary-api-token", host="127.0.0.1")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as api:
            for given in (self.token, "canary-api-token", f"{self.token}x"):
                headers = {"authorization": f"Bearer {given}"}
                paths = ["/metrics", "/v1/holds", "/v1/failures", "/v1/inbox", "/v1/connections", "/v1/customers"]
                paths += DOCUMENT_PATHS
                for path in [*paths, "/openapi.json", "/readyz", "/v1/customers/nobody/explain"]:
                    answer = await api.get(path, headers=headers)
                    self.told.append(f"{answer.headers} {answer.text}")
                answer = await api.post("/v1/customers", headers=headers, content=b"{")
                self.told.append(answer.text)


async def webhooks(site: Site) -> None:
    """One good delivery and several bad ones for each connection."""
    receiver = Receiver(site.world)
    now = site.world.clock.now()
    for name, sign in deliveries.SIGNERS.items():
        good = sign(1, now, f"{PUBLIC_URL}/webhooks/{name}")
        assert await receiver.post(f"/webhooks/{name}", good.body, good.headers) == 200
        for body, headers in ((good.body + b" ", good.headers), (b"{", {}), (good.body, {"authorization": "x"})):
            assert await receiver.post(f"/webhooks/{name}", body, headers) == 401


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Everything planted."""
    return Site(tmp_path)


async def test_no_secret_is_left_behind_anywhere(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Logs, commands, answers, metrics, the rows and the backup: 0 hits. E-mail and phone: not in the log."""
    await site.world.activate_all()
    await site.bill()
    await webhooks(site)
    await asyncio.to_thread(site.look)
    for status in STATUSES:
        await site.luckless({name: partial(quoting, status=status) for name in NAMES})

    def bug(request: HttpRequest) -> HttpResponse:
        raise RuntimeError(f"{request.headers} {request.body!r} {request.url}")

    await site.luckless(dict.fromkeys(NAMES, bug), is_told=False)
    site.root.other_database = Database(site.settings.database, is_direct=True)
    await asyncio.to_thread(run, site.root, ["doctor"])
    site.root.other_database.close()
    site.root.other_database = None
    for secret in {one for one in site.secrets if one not in site.keys}:
        structlog.get_logger().error("library.quotes", problem=f"{secret} was refused")
    await site.ask()
    backup(site.world.db, tmp_path / "backup.sqlite3")
    rotate(site.world.db, site.ring, site.world.clock, actor="ann")
    exported = await asyncio.to_thread(site.export)
    site.secrets |= {base64.b64encode(site.ring.newest()).decode()}

    out, err = capsys.readouterr()
    places = {
        "log": site.log.getvalue(), "stdout": out, "stderr": err, "api": "\n".join(site.told), "exports": exported,
        "backup": (tmp_path / "backup.sqlite3").read_bytes().decode("latin-1"),
        "database": (tmp_path / "accord.sqlite3").read_bytes().decode("latin-1"),
    }  # fmt: skip
    assert len(site.secrets) > 12
    assert {place for place, text in places.items() if not text} == set()
    assert [(place, one) for place, text in places.items() for one in site.secrets if one in text] == []
    assert "***" in places["log"]
    assert "***" in places["backup"]
    assert [one for one in (EMAIL, PHONE, "grace@example.test") if one in places["log"]] == []
