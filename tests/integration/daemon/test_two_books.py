"""Two companies' books and one Stripe, over real HTTP, by the commands that an operator types."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.quickbooks.sandbox import QuickBooksLookAlike, QuickBooksSettings
from core.cli.main import run
from core.clock import SystemClock
from core.sandbox.background import serving
from core.sandbox.client import SandboxClient
from run_daemon import Application
from tests.support.entities import ALL_BOOKS, EU, PROVIDERS, REALMS, US
from tests.support.paper import LINE

Accord = Callable[..., Any]
SCOPE = 'enters = "all"\ncreates = "all"\nmatch_email = true'
DOCUMENTS = {
    "stripe": 'originates = ["invoice", "payment", "credit_note"]',
    US: 'mirrors = ["invoice", "payment", "credit_note"]\nsince = "2000-01-01"\nentities = ["us"]',
    EU: 'mirrors = ["invoice", "payment", "credit_note"]\nsince = "2000-01-01"\nentities = ["eu"]',
}


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[dict[str, SandboxClient]]:
    """Served look-alikes, and the accord.toml that connects to them."""
    application = Application({})
    lookalikes = dict(application.lookalikes(lag_scale=0.05, seed=1, enforce_limits=False))
    served = {"stripe": lookalikes["stripe"]}
    for number, (name, realm) in enumerate(REALMS.items()):
        settings = replace(QuickBooksSettings(lag_scale=0.05), realm_id=realm)
        served[name] = QuickBooksLookAlike(clock=SystemClock(), rng=random.Random(number), settings=settings)
    with ExitStack() as stack:
        server = stack.enter_context(serving(served, clock=SystemClock(), rng=random.Random(1)))
        tables = []
        for name, provider in PROVIDERS.items():
            told = dict(application.sandbox_settings({provider: server.url(name)})[provider])
            told |= {"realm_id": REALMS[name]} if name in REALMS else {}
            lines = "\n".join(f'{key} = "{value}"' for key, value in told.items())
            head = f'[connections.{name}]\nprovider = "{provider}"\n{SCOPE}\n{lines}'
            tables.append(f"{head}\n[connections.{name}.documents]\n{DOCUMENTS[name]}")
        (tmp_path / "accord.toml").write_text("\n\n".join(tables), encoding="utf-8")
        found = {name: SandboxClient(server.url(name)) for name in served}
        for one in found.values():
            stack.callback(one.close)
        yield found


@pytest.fixture
def accord(tmp_path: Path, clients: dict[str, SandboxClient], capsys: pytest.CaptureFixture[str]) -> Accord:
    """Run one command, as a process would: nothing is kept but the folder."""
    secrets = Application({}).sandbox_secrets()
    environment = {"ACCORD_CONFIG": str(tmp_path / "accord.toml")} | {
        Application({}).variable(name, secret): value
        for name in clients
        for secret, value in secrets[PROVIDERS[name]].items()
    }

    def call(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = run(Application(environment), [*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def totals(client: SandboxClient) -> list[str]:
    """Of all invoices that one system has, in order."""
    return sorted(one["total"] for one in client.neutral("invoice").values())


def test_each_entitys_invoices_are_in_its_own_books_and_the_month_is_closed(
    clients: dict[str, SandboxClient], accord: Accord
) -> None:
    """One of them waits until somebody says whose it is, and until then the month is not closed."""
    stripe = clients["stripe"]
    people = {
        name: stripe.edit({"name": name, "email": f"{name}@example.test"} | metadata)
        for name, metadata in (("ada", {"metadata.entity": "us"}), ("ben", {"metadata.entity": "eu"}), ("cy", {}))
    }
    for name in PROVIDERS:
        accord("sync", name)
        _, shown = accord("plan", name)
        code, _ = accord("activate", name, "--plan", shown["plans"][0]["digest"])
        assert code == 0
    assert accord("sync")[0] == 0
    for number, name in enumerate(people, 1):
        bill = {"customer": people[name], "currency": "USD", "issued_on": "2026-11-18", "due_on": "2026-12-18"}
        line = {**LINE, "unit_amount": f"{number}00.00"}
        stripe.edit({**bill, "lines": [line], "status": "open"}, kind="invoice")
    accord("sync", "--kind", "invoices")
    assert {name: totals(clients[name]) for name in ALL_BOOKS} == {US: ["219.00"], EU: ["419.00"]}
    (waits,) = (
        one for one in accord("invoices", "list")[1]["documents"] if one["customer"] == f"stripe:{people['cy']}"
    )
    code, shown = accord("explain", waits["document"]["number"])
    assert {one["connection"]: "metadata.entity" in one["waits"] for one in shown["copies"]} == {US: True, EU: True}
    code, found = accord("close", "2026-11")
    assert (code, [one["outcome"] for one in found["differences"]]) == (2, ["unrouted", "unrouted"])
    stripe.edit({"metadata.entity": "eu"}, people["cy"])
    accord("sync")
    accord("sync", "--kind", "invoices")
    assert {name: totals(clients[name]) for name in ALL_BOOKS} == {US: ["219.00"], EU: ["419.00", "619.00"]}
    code, found = accord("close", "2026-11")
    assert (code, found["differences"]) == (0, [])
