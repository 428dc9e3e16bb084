"""What can be seen of workers from outside."""

import os

import pytest

from blocker.sinks import workers
from blocker.sinks.region import Region, Word

NOW = 1_000_000_000_000  # monotonic ns


@pytest.mark.parametrize(
    ("ready", "silence", "trouble"),
    [
        (1, 0.0, ""),
        (1, 4.9, ""),
        (1, 5.0, "worker 0: no sign of life for 5.0 s"),
        (1, -0.1, ""),  # it pulsed while we looked
        (0, 0.0, "worker 0: not ready"),
    ],
)
def test_up(ready: int, silence: float, trouble: str) -> None:
    region = Region()
    region.words[Word.READY] = ready
    region.words[Word.PULSE] = NOW - int(silence * 1e9)
    (worker,) = workers.look([region], NOW)
    assert worker.trouble == trouble
    assert worker.up == (not trouble)


def test_a_worker_that_never_was_is_not_up() -> None:
    (worker,) = workers.look([Region()], NOW)
    assert not worker.up
    assert worker.pid == 0


def test_usage_of_this_process() -> None:
    found = workers.usage(os.getpid())
    assert found is not None
    memory, seconds = found
    assert memory > 1 << 20
    assert seconds == pytest.approx(sum(os.times()[:2]), abs=0.1)


def test_usage_of_nobody() -> None:
    assert workers.usage(1 << 30) is None
