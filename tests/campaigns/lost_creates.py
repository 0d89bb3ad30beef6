"""Creates whose first answer is lost after they happened: not one may be made twice.

`python -m tests.campaigns.lost_creates [NUMBER]`: so many customers, made at each provider, every one of them with its
answer lost. Exit 1 when a provider has anything but one object per customer.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from core.model.policy import Guard
from core.ports import Exchange, HttpRequest, HttpResponse
from core.store import intents
from core.sync import registry
from tests.support.acting import with_policy
from tests.support.world import NAMES, World, config_of

PATHS = {"stripe": ("/v1/customers",), "hubspot": ("/batch/upsert",), "quickbooks": ("/customer", "/batch")}


class Lossy:
    """Executes every create, of one or of a batch, and loses the first answer to each request."""

    def __init__(self, name: str, answer: Exchange) -> None:
        """Before `answer`."""
        self._ends, self._answer = PATHS[name], answer
        self._lost: set[bytes] = set()
        self.lost = 0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Time out once per body."""
        answer = self._answer(request)
        is_create = request.method == "POST" and request.url.partition("?")[0].endswith(self._ends)
        if is_create and request.body not in self._lost:
            self._lost.add(request.body)
            self.lost += 1
            raise TimeoutError("the answer is lost")
        return answer


async def campaign(number: int) -> dict[str, Any]:
    """Make so many customers everywhere; how many objects of each there are at each provider."""
    config = with_policy(config_of(NAMES))
    policy = config.policy
    guard = Guard(overwrite_count=10**9, overwrite_share=1)
    config = type(config)(connections=config.connections, policy=type(policy)(**_fields(policy) | {"guard": guard}))
    world = World(config=config)
    await world.activate_all()
    lossy = {name: Lossy(name, world.exchanges[name]) for name in NAMES}
    world.exchanges.update(lossy)

    def make(tx: Any) -> None:
        for one in range(number):
            values = {"name": f"Customer {one}", "email": f"customer{one}@example.test"}
            registry.create(tx, world.hub, f"customer-{one}", values, actor="campaign", trace="")

    world.db.run_now(make)
    await world.settle(rounds=100 * number, patience=7 * 86_400.0)
    result: dict[str, Any] = {"customers": number}
    for name in NAMES:
        emails = Counter(str(one["email"]) for one in world.neutral(name).values())
        result[name] = {
            "answers_lost": lossy[name].lost,
            "objects": sum(emails.values()),
            "duplicates": sum(times - 1 for times in emails.values()),
            "missing": number - len(emails),
        }
    result["open_intents"] = len(world.db.read_now(intents.all_open))
    return result


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def is_clean(result: dict[str, Any]) -> bool:
    """One object per customer everywhere, and nothing in doubt."""
    return result["open_intents"] == 0 and all(
        result[name]["duplicates"] == result[name]["missing"] == 0 for name in NAMES
    )


def main() -> int:
    """Run and print."""
    import structlog  # noqa: PLC0415 - only the command is quiet

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    result = asyncio.run(campaign(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
    print(json.dumps(result, indent=1))
    return 0 if is_clean(result) else 1


if __name__ == "__main__":
    sys.exit(main())
