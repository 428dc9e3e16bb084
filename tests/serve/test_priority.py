"""What the kernel is asked for, and what it says: in forked processes, since nobody gets a priority back."""

import ctypes
import os
import platform
import resource
import signal
import struct
import time

import pytest

from blocker.serve import capabilities, priority
from tests.e2e.conftest import need

_GETATTR = {"x86_64": 315, "aarch64": 275}  # sched_getattr(2)


def in_child(work):
    """Return what `work` returns in a forked process: some bytes."""
    reads, writes = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writes, work())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def attributes():
    """Return nice value and length of a turn in ns, as the kernel has them for this process."""
    buffer = ctypes.create_string_buffer(56)
    assert ctypes.CDLL(None).syscall(_GETATTR[platform.machine()], 0, buffer, 56, 0) == 0
    _, _, _, nice, _, turn, _, _ = struct.unpack_from("=IIQiIQQQ", buffer.raw)
    return nice, turn


def comes(policy, pid, within=20.0):
    """Tell whether the main thread of a process comes to stand under `policy`."""
    deadline = time.monotonic() + within
    while os.sched_getscheduler(pid) != policy:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def forked(work):
    """Return the pid of a process that does `work` for ever, on the core that the tests may use first."""
    pid = os.fork()
    if not pid:
        try:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            work()
            while True:
                pass
        finally:
            os._exit(1)
    return pid


def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def prompt(nice=0, allowed=True):
    """Return whether the kernel agreed, nice value and turn of a process that started with `nice` and asks."""

    def ask():
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        if not allowed:
            resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
            capabilities.limit(frozenset())
        return struct.pack("=?iQ", priority.be_prompt(), *attributes())

    return struct.unpack("=?iQ", in_child(ask))


MAY = 23 in capabilities.held()  # CAP_SYS_NICE
MAY_ALLOW = 24 in capabilities.held()  # CAP_SYS_RESOURCE
WITH_IT = [(0, True, -5), (-7, True, -7)] if MAY else []


@pytest.mark.parametrize(("started_with", "allowed", "nice"), [(0, False, 0), (5, True, 5), *WITH_IT])
def test_a_worker_asks_for_short_turns_and_more_weight(started_with, allowed, nice):
    assert prompt(started_with, allowed) == (True, nice, 100_000)


def test_an_account_without_privileges_may_be_prompt_if_it_was_allowed_to():
    def ask():
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # whoever started the tests
        priority.allow_prompt()
        capabilities.limit(frozenset())
        return struct.pack("=?iQ", priority.be_prompt(), *attributes())

    assert struct.unpack("=?iQ", in_child(ask))[:2] == (True, -5 if MAY_ALLOW else 0)


def test_a_preparer_gives_way():
    agreed, nice, _ = struct.unpack("=?iQ", in_child(lambda: struct.pack("=?iQ", priority.give_way(), *attributes())))
    assert (agreed, nice) == (True, max(10, os.getpriority(os.PRIO_PROCESS, 0)))


def test_who_stands_back_gets_a_share_while_it_starves():
    need(MAY, "needs CAP_SYS_NICE: this account may not come back from SCHED_IDLE, and so does not stand back")
    who = forked(priority.stand_back)
    try:
        assert comes(os.SCHED_IDLE, who)
        other = forked(lambda: None)
        try:
            assert comes(os.SCHED_OTHER, who)
            assert os.getpriority(os.PRIO_PROCESS, who) == max(10, os.getpriority(os.PRIO_PROCESS, 0))
        finally:
            end(other)
        assert comes(os.SCHED_IDLE, who)
    finally:
        end(who)


def test_who_may_not_come_back_does_not_stand_back():
    def stand_back():
        resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
        capabilities.limit(frozenset())
        priority.stand_back()

    who = forked(stand_back)
    try:
        assert not comes(os.SCHED_IDLE, who, within=1.0)
        assert os.getpriority(os.PRIO_PROCESS, who) == max(10, os.getpriority(os.PRIO_PROCESS, 0))
    finally:
        end(who)


@pytest.mark.parametrize(("policy", "ran", "waited", "then"), [
    (priority.IDLE, 0.5, 0.0, priority.IDLE), (priority.IDLE, 0.0, 0.0, priority.IDLE),  # alone, and asleep
    (priority.IDLE, 0.3, 0.2, priority.IDLE), (priority.IDLE, 0.02, 0.48, priority.IDLE),  # a share is left for it
    (priority.IDLE, 0.0, 0.48, priority.OTHER), (priority.IDLE, 0.01, 0.49, priority.OTHER),
    (priority.OTHER, 0.016, 0.48, priority.OTHER), (priority.OTHER, 0.1, 0.06, priority.OTHER),
    (priority.OTHER, 0.5, 0.01, priority.IDLE), (priority.OTHER, 0.0, 0.0, priority.IDLE),
])  # fmt: skip
def test_what_is_wanted_after_a_look(policy, ran, waited, then):
    assert priority.wanted(policy, ran, waited) == then


@pytest.mark.parametrize("ask", [priority.be_prompt, priority.give_way])
def test_a_machine_that_nobody_knows_is_left_as_it_is(ask, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    assert ask() is False


def test_a_kernel_that_refuses_is_no_failure(monkeypatch):
    monkeypatch.setitem(priority._CALLS, platform.machine(), 100_000)  # no such call
    assert priority.give_way() is False
