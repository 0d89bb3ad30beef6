"""The real connector on a look-alike without sockets: makes copies one by one, step by step as the engine does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec

from core.errors import AccordError
from core.model.documents import Invoice, kind_of
from core.model.paper import WantedDocument
from core.ports import ConnectionConfig, Shell, Write, Written
from tests.support.world import OFFERS, PROVIDERS, SECRETS, SETTINGS, PlainVault, StillClock, here

MOST_STEPS = 9


class Copyist:
    """One account, with a customer for each currency."""

    def __init__(self, name: str, settings: Mapping[str, str], items: Mapping[str, str], account: Any = None) -> None:
        """`account`: settings of the look-alike, where they are not the usual ones."""
        self.name = name
        clock = StillClock()
        self.lookalike = OFFERS[name].build(clock, Random(1), 1.0, False)  # noqa: FBT003 - Offer.build
        if account is not None:
            self.lookalike.settings = account
        config = ConnectionConfig(name, name, {**SETTINGS[name], **settings}, items=dict(items))
        shell = Shell(clock=clock, hop=here, exchange=self.lookalike.respond)
        self._connector = PROVIDERS[name].build(config, PlainVault(dict(SECRETS[name])), shell)
        build = PROVIDERS[name].documents
        assert build is not None
        self.documents = build(config)
        self._customers: dict[str, str] = {}
        self._made = 0

    async def prepare(self) -> None:
        """As the engine does before the first write."""
        await self._connector.prepare()

    def _customer(self, currency: str) -> str:
        if currency not in self._customers:
            person: dict[str, Any] = {"name": f"Customer in {currency}", "email": f"{currency}@example.test"}
            if self.name == "quickbooks":
                person["currency"] = currency
            self._customers[currency] = self.lookalike.edit("customer", None, person)
        return self._customers[currency]

    async def copied(self, invoice: Invoice) -> Invoice:
        """The finished copy as it is read back, in the document's own terms; raises what refused a step."""
        self._made += 1
        mark, raw, remote_id = f"instance.mapping{self._made}.1", None, ""
        customer = self._customer(invoice.currency)
        for number in range(MOST_STEPS):
            here_named = msgspec.structs.replace(invoice, id=remote_id, customer=customer)
            step = self.documents.step(WantedDocument(document=here_named, mark=mark), raw)
            if step is None:
                assert raw is not None
                found = self.documents.read("invoice", raw).document
                assert isinstance(found, Invoice)
                assert found.customer == customer
                return found
            write = Write(
                key=f"{mark}-{number}",
                action=step.action,
                kind=kind_of(invoice),
                remote_id=remote_id or None,
                body=json.loads(json.dumps(step.body)),
            )
            (receipt,) = await self._connector.write([write])
            if isinstance(receipt, AccordError):
                raise receipt
            assert isinstance(receipt, Written)
            remote_id, raw = receipt.sighting.id, receipt.sighting.raw
        raise AssertionError(f"the steps never end: {invoice}")
