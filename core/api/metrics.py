"""Prometheus metrics: counters of this process, and the registry's numbers read at each scrape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from core.api.recount import Recount
from core.sync.batch import Report

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BY_CONNECTION: Final[Mapping[str, str]] = {
    "mappings": "Live mappings",
    "pending": "Customers to be created there",
    "gone": "Mappings whose object is gone",
    "objects": "Remote objects seen",
    "waiting": "Subjects that wait for a reconcile",
    "to_archive": "Objects of archived customers that wait to be archived",
    "inbox": "Webhook deliveries not yet looked at",
    "poison": "Webhook deliveries that cannot be understood",
    "held": "Open holds: decisions that wait for a person",
    "failing": "Records that fail and are retried",
    "dead": "Records that failed too often: a person must retry",
    "in_doubt": "Writes whose outcome is not known yet",
}
_OF_DOCUMENTS: Final[Mapping[str, str]] = {
    "mappings": "Documents made there, and copies",
    "unequal": "Copies that were not last seen equal to the minor unit, or are gone",
    "pending": "Copies of documents that are still to be made",
    "held": "Documents about which a person is asked",
    "ownerless": "Documents not taken, because their customer is not known",
}
_RESTS: Final[Mapping[str, frozenset[str]]] = {
    "full": frozenset({"full", "changes"}),
    "changes": frozenset({"changes"}),
}
"""Sweeps of a kind rest while a connection says one of these."""
_ALLOWANCES: Final[Mapping[str, str]] = {
    "calls": "Calls that the provider allows within an allowance's time",
    "used": "Calls that were made of an allowance within its time",
}
_AGES: Final[Mapping[str, str]] = {
    "last_full_sweep": "Seconds since the last complete sweep ended",
    "last_changes": "Seconds since the last sweep of changes ended",
}


class Metrics:
    """One process's counters, in a registry of their own."""

    def __init__(self) -> None:
        """Everything at zero."""
        self.registry = CollectorRegistry(auto_describe=False)
        self._webhooks = Counter(
            "accord_webhooks", "Webhook deliveries by outcome", ["connection", "outcome"], registry=self.registry
        )
        self._jobs = Counter("accord_jobs", "Scheduled jobs by outcome", ["job", "outcome"], registry=self.registry)
        self._ready = Gauge("accord_ready", "1 while the daemon is ready", registry=self.registry)
        self._seen: dict[tuple[str, str], Any] = {}
        self.recount = Recount()

    def webhook(self, connection: str, outcome: str) -> None:
        """Count one delivery; `connection` is "" for one that is not configured."""
        child = self._seen.get((connection, outcome))
        if child is None:
            child = self._seen[connection, outcome] = self._webhooks.labels(connection, outcome)
        child.inc()

    def job(self, name: str, outcome: str) -> None:
        """Count one run of a job: done | failed."""
        self._jobs.labels(name, outcome).inc()

    def exposed(self, status: Mapping[str, Any], totals: Mapping[str, Report], now: float, *, is_ready: bool) -> bytes:
        """Everything, in Prometheus' text format."""
        self._ready.set(1 if is_ready else 0)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Numbers(status, totals, now, self.recount.ages(now)))
        return generate_latest(self.registry) + generate_latest(registry)


class _Numbers(Collector):
    """One look at the registry."""

    def __init__(
        self, status: Mapping[str, Any], totals: Mapping[str, Report], now: float, counted: Mapping[str, float]
    ) -> None:
        self._status = status
        self._totals = totals
        self._now = now
        self._counted = counted

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("accord_customers", "Live customers", value=self._status["customers"])
        # of one that was taken out of accord.toml nothing can be done about what stands there: no alarm would end
        configured = [one for one in self._status["connections"] if one["is_configured"]]
        for name, text in _BY_CONNECTION.items():
            family = GaugeMetricFamily(f"accord_{name}", text, labels=["connection"])
            for one in configured:
                family.add_metric([one["connection"]], one[name])
            yield family
        yield from self._documents(configured)
        yield self._count_ages(configured)
        for name, text in _AGES.items():
            family = GaugeMetricFamily(f"accord_{name}_age_seconds", text, labels=["connection"])
            for one in configured:
                if one[name] is not None:
                    family.add_metric([one["connection"]], max(0.0, self._now - one[name]))
            yield family
        yield self._states(configured)
        yield from self._paces(configured)
        yield from self._waits(configured)
        yield self._lanes()

    @staticmethod
    def _documents(shown: Iterable[Mapping[str, Any]]) -> Iterable[Metric]:
        for name, text in _OF_DOCUMENTS.items():
            family = GaugeMetricFamily(f"accord_documents_{name}", text, labels=["connection"])
            for one in shown:
                if one["documents"] is not None:
                    family.add_metric([one["connection"]], one["documents"][name])
            yield family

    def _count_ages(self, shown: Iterable[Mapping[str, Any]]) -> Metric:
        text = "Seconds since copies were last compared for accord_documents_unequal"
        family = GaugeMetricFamily("accord_documents_unequal_age_seconds", text, labels=["connection"])
        for one in shown:
            if one["documents"] is not None and one["connection"] in self._counted:
                family.add_metric([one["connection"]], self._counted[one["connection"]])
        return family

    @staticmethod
    def _states(shown: Iterable[Mapping[str, Any]]) -> Metric:
        text = "1 for the state a connection is in: observing | active | reauthorize"
        family = GaugeMetricFamily("accord_connection_state", text, labels=["connection", "state"])
        for one in shown:
            family.add_metric([one["connection"], one["state"]], 1)
        return family

    @staticmethod
    def _paces(shown: Iterable[Mapping[str, Any]]) -> Iterable[Metric]:
        text = "Seconds from one look for changes to the next"
        pace = GaugeMetricFamily("accord_changes_every_seconds", text, labels=["connection"])
        for one in shown:
            pace.add_metric([one["connection"]], one["changes_every"])
        yield pace
        for name, said in _ALLOWANCES.items():
            family = GaugeMetricFamily(f"accord_allowance_{name}", said, labels=["connection", "allowance"])
            for one in shown:
                for part in one["allowances"]:
                    family.add_metric([one["connection"], part["name"]], part[name])
            yield family

    def _waits(self, shown: Iterable[Mapping[str, Any]]) -> Iterable[Metric]:
        text = "1 while such sweeps wait because few calls are left: full | changes"
        rests = GaugeMetricFamily("accord_sweeps_rest", text, labels=["connection", "sweeps"])
        text = "Seconds until a connection that has trouble is tried again"
        paused = GaugeMetricFamily("accord_paused_seconds", text, labels=["connection", "code"])
        for one in shown:
            says = one["rest"]["sweeps"] if one["rest"] else ""
            for sweeps, among in _RESTS.items():
                rests.add_metric([one["connection"], sweeps], int(says in among))
            if (waits := (one["paused_until"] or 0.0) - self._now) > 0:
                paused.add_metric([one["connection"], one["error_code"]], waits)
        yield rests
        yield paused

    def _lanes(self) -> Metric:
        text = "What each lane did since the process began"
        family = CounterMetricFamily("accord_lane_records", text, labels=["connection", "what"])
        for name, total in sorted(self._totals.items()):
            for what in Report.__slots__:
                family.add_metric([name, what], getattr(total, what))
        return family
