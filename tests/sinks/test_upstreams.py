"""What is known of the upstreams, over all workers."""

import pytest

from blocker.sinks import upstreams
from blocker.sinks.region import Region, UpstreamWord


def seen_by(name: str, *, healthy: int, responses: int, srtt: int) -> Region:
    """Return the region of a worker that knows one upstream."""
    region = Region()
    words = region.upstream(0, name)
    words[UpstreamWord.HEALTHY] = healthy
    words[UpstreamWord.RESPONSES] = responses
    words[UpstreamWord.SRTT_NS] = srtt
    return region


@pytest.mark.parametrize(
    ("workers", "healthy", "responses", "smoothed"),
    [
        ([(1, 10, 2_000_000), (1, 20, 4_000_000)], 1.0, 30, 0.003),
        ([(1, 10, 2_000_000), (0, 20, 2_000_000)], 0.5, 30, 0.002),  # one of two finds it down
        ([(1, 10, 2_000_000), (1, 0, 0)], 1.0, 10, 0.002),  # one has not measured it yet
        ([(1, 0, 0)], 1.0, 0, 0.0),
    ],
)
def test_workers_together(workers: list[tuple[int, int, int]], healthy: float, responses: int, smoothed: float) -> None:
    regions = [seen_by("192.0.2.1:53", healthy=h, responses=r, srtt=s) for h, r, s in workers]
    (found,) = upstreams.look(regions)
    assert found.healthy == healthy
    assert found.words[UpstreamWord.RESPONSES] == responses
    assert found.smoothed == pytest.approx(smoothed)


def test_upstreams_come_by_name_wherever_they_stand() -> None:
    regions = [seen_by(name, healthy=1, responses=1, srtt=1) for name in ("b:53", "a:53", "b:53")]
    assert [(found.name, found.words[UpstreamWord.RESPONSES]) for found in upstreams.look(regions)] == [
        ("a:53", 1),
        ("b:53", 2),
    ]
