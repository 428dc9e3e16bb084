"""What Prometheus sees: the regions of all workers, summed, and the facts about lists and reloads.

Labels come from closed sets or from the configuration, never from a packet, so that series stay bounded.
Reads shared memory only; a scrape costs the workers nothing.
"""

import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

import blocker
from blocker import events
from blocker.events import ENDINGS, Labels
from blocker.sinks import (
    candidates,
    capture,
    companions,
    egress,
    exceptions,
    feeds,
    gate,
    learned,
    rollouts,
    selftest,
    sinkhole,
    upstreams,
    workers,
    zones,
)
from blocker.sinks.facts import Facts
from blocker.sinks.region import BUCKETS, MALFORMED_REASONS, Region, Word
from blocker.sinks.rollouts import Counts
from blocker.sinks.workers import Worker

_COUNTERS: Final = (
    (Word.CACHE_MISSES, "blocker_cache_misses", "Queries for which upstream was asked."),
    (Word.CACHE_EVICTED, "blocker_cache_evictions", "Cache entries that made room for others."),
    (Word.PREFETCHES, "blocker_cache_prefetches", "Cache entries that were asked for anew before their end."),
    (Word.FAST_ANSWERS, "blocker_fast_answers", "Queries answered with the very bytes of an earlier answer."),
    (Word.COALESCED, "blocker_upstream_coalesced", "Queries that joined one already on its way upstream."),
    (Word.MISMATCHED, "blocker_upstream_mismatched", "Upstream packets that matched no query: late, or forged."),
    (
        Word.TCP_REFUSED,
        "blocker_tcp_refused",
        "TCP connections refused, or closed while idle, because a limit was reached.",
    ),
    (Word.UNJUDGED, "blocker_unjudged", "Answers not told, because their name servers could not be learned."),
    (Word.LIMITED, "blocker_limited", "Queries refused because a limit was reached."),
    (Word.SEND_ERRORS, "blocker_send_errors", "Answers that the kernel did not take."),
    (Word.RECEIVED_BYTES, "blocker_received_bytes", "Octets of queries received."),
    (Word.SENT_BYTES, "blocker_sent_bytes", "Octets of answers sent."),
)
_GAUGES: Final = (
    (Word.CACHE_ENTRIES, "blocker_cache_entries", "Upstream answers in the cache."),
    (Word.CACHE_BYTES, "blocker_cache_size_bytes", "Memory the cache accounts for."),
    (Word.IN_FLIGHT, "blocker_upstream_in_flight", "Queries waiting for upstream."),
    (Word.TCP_CONNECTIONS, "blocker_tcp_connections", "Open TCP connections of clients."),
)


class Collector:
    """Collects everything at each scrape; registered with a prometheus_client registry."""

    def __init__(
        self,
        regions: Sequence[Region],
        facts: Callable[[], Facts],
        clock: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], float] = time.time,
        beside: Mapping[str, Region] = MappingProxyType({}),
        counted: Callable[[], Mapping[str, Counts]] = dict,
        kept: Callable[[], bool] = lambda: True,
    ) -> None:
        """Look at the workers' `regions` and those `beside` them, by process.

        `clock` tells monotonic nanoseconds, `wall` unix seconds, `counted` what rollouts have hit,
        `kept` whether the store of exceptions can be used.
        """
        self._kept = kept
        self._counted = counted
        self._regions = regions
        self._beside = beside
        self._facts = facts
        self._clock = clock
        self._wall = wall

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield from _tallies(self._regions)
        yield _durations(self._regions)
        yield _cache_hits(self._regions)
        for word, name, text in _COUNTERS:
            yield CounterMetricFamily(name, text, value=self._sum(word))
        for word, name, text in _GAUGES:
            yield GaugeMetricFamily(name, text, value=self._sum(word))
        yield CounterMetricFamily(
            "blocker_errors",
            "Bugs of ours: exceptions nobody expected; a client heard SERVFAIL, or something was passed over.",
            value=self._sum(Word.ERRORS) + companions.errors(self._beside),
        )
        yield _malformed(self._regions)
        yield CounterMetricFamily(
            "blocker_events_dropped",
            "Log events lost: the journal had no room, or the log could not be written.",
            value=self._sum(Word.DROPPED) + self._sum(Word.LOG_DROPPED) + companions.dropped(self._beside),
        )
        yield from _evidence(self._regions, self._beside)
        yield from companions.collect(self._beside, self._clock())
        yield from gate.collect(self._regions, self._beside)
        yield from sinkhole.collect(self._beside)
        yield from capture.collect(self._beside)
        yield from upstreams.collect(self._regions)
        facts = self._facts()
        if facts.generation:
            yield from _lists(facts)
            yield from _reloads(facts)
            yield from feeds.collect(facts.feeds, self._wall())
            yield from zones.collect(facts.zones, self._wall())
            yield from selftest.collect(facts.selftest)
            yield from egress.collect(facts.egress)
            yield from learned.collect(facts.egress)
            yield from candidates.collect(facts.candidates, facts.apps)
            yield from _bundle(facts)
            seen = outcomes((*self._regions, *self._beside.values()))
            yield from rollouts.collect(facts.rollouts, seen, self._counted())
            yield from exceptions.collect(facts.exceptions, self._wall(), kept=self._kept())
        yield from _workers(workers.look(self._regions, self._clock()))
        yield _build()

    def _sum(self, word: Word) -> int:
        return sum(region.words[word] for region in self._regions)


def _tallies(regions: Iterable[Region]) -> Iterator[Metric]:
    """Break the outcomes down, each into the metrics that it counts for."""
    queries: Counter[tuple[str, ...]] = Counter()
    responses: Counter[tuple[str, ...]] = Counter()
    blocked: Counter[tuple[str, ...]] = Counter()
    monitored: Counter[tuple[str, ...]] = Counter()
    shadowed: Counter[tuple[str, ...]] = Counter()
    excepted: Counter[tuple[str, ...]] = Counter()
    for labels, count in outcomes(regions):
        queries[labels.transport, labels.qtype] += count
        if labels.rcode != "none":
            responses[labels.rcode,] += count
        if labels.monitored == events.EXCEPTED:
            excepted[labels.app, labels.group, labels.trigger] += count
        elif labels.monitored == "shadow":
            shadowed[labels.app, labels.group, labels.trigger] += count
        elif labels.monitored:
            monitored[labels.app, labels.group, labels.trigger] += count
        elif labels.app and labels.ending == events.BLOCKED:
            blocked[labels.app, labels.group, labels.action, labels.trigger] += count
    yield _counter("blocker_queries", "Queries.", ("transport", "type"), queries)
    yield _counter("blocker_responses", "Answers sent to clients.", ("rcode",), responses)
    yield _counter("blocker_blocked", "Blocked attempts.", ("app", "group", "action", "trigger"), blocked)
    yield _counter(
        "blocker_monitored", "Attempts answered truthfully, but noted.", ("app", "group", "trigger"), monitored
    )
    yield _counter(
        "blocker_shadowed",
        "Attempts answered truthfully because the entry is in shadow.",
        ("app", "group", "trigger"),
        shadowed,
    )
    yield _counter("blocker_excepted", "Attempts that an exception let pass.", ("app", "group", "trigger"), excepted)


def outcomes(regions: Iterable[Region]) -> Iterator[tuple[Labels, int]]:
    """Yield the labels and the count of each outcome that there was, of each region."""
    for region in regions:
        for _, labels, count in region.cells():
            if count:
                yield labels, count


def _counter(name: str, text: str, labels: Sequence[str], counts: Counter[tuple[str, ...]]) -> Metric:
    metric = CounterMetricFamily(name, text, labels=labels)
    for values, count in sorted(counts.items()):
        metric.add_metric(values, count)
    return metric


def _durations(regions: Sequence[Region]) -> Metric:
    metric = HistogramMetricFamily(
        "blocker_query_duration_seconds", "Time from a query's arrival to its answer.", labels=("outcome",)
    )
    bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
    for number, ending in enumerate(ENDINGS):
        found = [region.histogram(number) for region in regions]
        below, buckets = 0, []
        for bound, counts in zip(bounds, zip(*(counts for counts, _ in found), strict=True), strict=True):
            below += sum(counts)
            buckets.append((bound, float(below)))
        metric.add_metric((ending,), buckets, sum(total for _, total in found))
    return metric


def _cache_hits(regions: Iterable[Region]) -> Metric:
    """Count the endings, not Word.CACHE_HITS: the drain gives cached answers too, without asking the cache."""
    cached = ENDINGS.index(events.CACHE)
    return CounterMetricFamily(
        "blocker_cache_hits",
        "Queries answered from what upstreams said before.",
        value=sum(sum(region.histogram(cached)[0]) for region in regions),
    )


def _malformed(regions: Sequence[Region]) -> Metric:
    metric = CounterMetricFamily("blocker_malformed", "Packets that were no query we answer.", labels=("reason",))
    for at, reason in enumerate(MALFORMED_REASONS, Word.MALFORMED):
        metric.add_metric((reason,), sum(region.words[at] for region in regions))
    return metric


def _evidence(regions: Sequence[Region], beside: Mapping[str, Region]) -> Iterator[Metric]:
    """Tell how the chain of attempts does, if they are one; the first region holds what the log's writer says."""
    if not regions or not regions[0].words[Word.EVIDENCE]:
        return
    words = regions[0].words
    yield CounterMetricFamily(
        "blocker_evidence_records", "Lines of the chain of attempts written, notes included.", value=words[Word.CHAINED]
    )
    yield GaugeMetricFamily(
        "blocker_evidence_checkpoint_timestamp_seconds", "When the chain had its last checkpoint; 0: none yet.",
        value=words[Word.CHECKPOINT],
    )  # fmt: skip
    yield GaugeMetricFamily(
        "blocker_evidence_broken", "1 if the chain could not go on where it had ended; see the operators' log.",
        value=words[Word.UNCHAINED],
    )  # fmt: skip
    yield GaugeMetricFamily(
        "blocker_evidence_waiting_bytes", "Octets of attempts in the journals that are not written yet.",
        value=sum(region.words[Word.HEAD] - region.words[Word.TAIL] for region in (*regions, *beside.values())),
    )  # fmt: skip


def _lists(facts: Facts) -> Iterator[Metric]:
    entries = GaugeMetricFamily("blocker_list_entries", "Entries in force.", labels=("app",))
    for app, said in sorted(facts.apps.items()):
        entries.add_metric((app,), said.entries)
    yield entries
    yield GaugeMetricFamily(
        "blocker_list_compiled_timestamp_seconds", "When the lists in force were compiled.", value=facts.compiled
    )
    yield InfoMetricFamily("blocker_lists", "The lists in force.", value={"digest": facts.digest})


def _bundle(facts: Facts) -> Iterator[Metric]:
    if facts.bundle is None:
        return
    yield GaugeMetricFamily("blocker_bundle_serial", "Serial of the bundle in force.", value=facts.bundle.serial)
    yield GaugeMetricFamily(
        "blocker_bundle_expiry_timestamp_seconds", "When the bundle in force expires.", value=facts.bundle.expires
    )
    refused = CounterMetricFamily("blocker_bundle_refused", "Bundles that were not installed.", labels=("reason",))
    for why, count in sorted(facts.bundle.refused.items()):
        refused.add_metric((why,), count)
    yield refused


def _reloads(facts: Facts) -> Iterator[Metric]:
    reloads = CounterMetricFamily("blocker_reload", "Reloads of lists and configuration.", labels=("result",))
    reloads.add_metric(("success",), facts.succeeded)
    reloads.add_metric(("refused",), facts.refused)
    yield reloads
    yield GaugeMetricFamily(
        "blocker_reload_last_success_timestamp_seconds", "When lists were last put in force.", value=facts.last_success
    )
    yield GaugeMetricFamily(
        "blocker_reload_last_duration_seconds", "How long the last reload took.", value=facts.last_duration
    )
    yield GaugeMetricFamily(
        "blocker_reload_last_successful", "1 if the last reload was put in force, 0 if refused.",
        value=not facts.problems,
    )  # fmt: skip
    yield GaugeMetricFamily("blocker_reload_generation", "Number of the generation in force.", value=facts.generation)


def _workers(seen: Sequence[Worker]) -> Iterator[Metric]:
    def gauge(name: str, text: str, value: Callable[[Worker], float]) -> Metric:
        metric = GaugeMetricFamily(name, text, labels=("worker",))
        for worker in seen:
            metric.add_metric((str(worker.number),), value(worker))
        return metric

    yield gauge("blocker_worker_up", "1 while the worker serves.", lambda worker: worker.up)
    yield gauge(
        "blocker_worker_pulse_age_seconds", "Time since the worker's last sign of life.", lambda worker: worker.silence
    )
    yield gauge(
        "blocker_worker_started_timestamp_seconds", "When the worker was started.", lambda worker: worker.started
    )
    yield gauge("blocker_worker_generation", "Generation that the worker serves.", lambda worker: worker.generation)
    restarts = CounterMetricFamily("blocker_worker_restarts", "Workers that were replaced.", labels=("worker",))
    memory = GaugeMetricFamily(
        "blocker_worker_resident_memory_bytes", "Resident memory, shared pages included.", labels=("worker",)
    )
    spent = CounterMetricFamily("blocker_worker_cpu_seconds", "Processor time.", labels=("worker",))
    for worker in seen:
        label = (str(worker.number),)
        restarts.add_metric(label, worker.restarts)
        if worker.pid and (used := workers.usage(worker.pid)) is not None:
            memory.add_metric(label, used[0])
            spent.add_metric(label, used[1])
    yield from (restarts, memory, spent)


def _build() -> Metric:
    return InfoMetricFamily(
        "blocker_build",
        "What runs.",
        value={
            "version": blocker.__version__,
            "python": platform.python_version(),
            "accelerated": "yes" if find_spec("blocker.serve._udp") else "no",
        },
    )
