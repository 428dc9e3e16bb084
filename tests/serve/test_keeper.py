"""Who keeps a process with privileges running, and how both end."""

import os
import signal
import time

import pytest

from blocker.config import Process
from blocker.serve import capabilities, keeper
from blocker.serve.capabilities import EGRESS
from blocker.sinks.region import Region, Word

LIMIT = 10.0  # seconds


def eventually(found):
    deadline = time.monotonic() + LIMIT
    while not (result := found()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return result


@pytest.fixture
def region():
    return Region()


def child_of(region, body, process=None):
    """Start a keeper, and return its process id; its child puts its own into the region."""
    assert os.geteuid() == 0, "run this as root"

    def main():
        region.words[Word.PID] = os.getpid()
        region.words[Word.READY] = 1
        return body()

    supervisor = os.getpid()
    pid = os.fork()
    if not pid:
        try:
            os._exit(keeper.run("egress", process or Process(), region, supervisor, main))
        finally:
            os._exit(70)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def pause():
    time.sleep(LIMIT)
    return 1


def test_one_that_dies_is_started_again_with_its_privileges(region):
    def body():
        region.words[Word.GENERATION] = int(capabilities.held() == EGRESS)
        return pause()

    pid = child_of(region, body, Process(user="nobody"))
    first = eventually(lambda: region.words[Word.READY] and region.words[Word.PID])
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: region.words[Word.PID] != first and region.words[Word.READY] and region.words[Word.PID])
    eventually(lambda: region.words[Word.GENERATION] == 1)
    assert region.words[Word.RESTARTS] == 1
    os.kill(pid, signal.SIGKILL)
    os.kill(second, signal.SIGKILL)
    assert ended(pid) == -signal.SIGKILL


def test_one_that_ends_by_itself_was_told_so(region):
    assert ended(child_of(region, lambda: 0)) == 0
    assert (region.words[Word.RESTARTS], region.words[Word.READY]) == (0, 0)


def test_both_end_when_the_supervisor_is_gone(region):
    reader, writer = os.pipe()
    supervisor = os.fork()
    if not supervisor:
        os.write(writer, b"%d" % child_of(region, pause))
        eventually(lambda: region.words[Word.READY])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        kept = int(said.read())  # until the keeper and its child are gone: they hold the other end
    assert ended(supervisor) == 0
    assert kept
    with pytest.raises(ProcessLookupError):
        os.kill(region.words[Word.PID], 0)
