"""What the kernel is asked for, and what it says: in forked processes, since nobody gets a priority back."""

import ctypes
import os
import platform
import resource
import signal
import struct
import threading
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
    finally:
        end(who)


def test_it_stands_back_again_when_the_others_have_gone(monkeypatch):
    """Seven is the main thread, eight one that ends, nine one that begins; in the end nobody can look any more."""
    looks = [
        {7: (1.0, 1.0), 8: (9.0, 9.0)}, {7: (1.0, 1.01), 8: (9.0, 9.0)}, {7: (1.0, 1.02)},
        {7: (1.01, 1.02), 9: (0.0, 0.0)}, {7: (1.02, 1.02), 9: (0.0, 0.0)}, {},
    ]  # fmt: skip
    told = []

    def times():
        told.append(set())
        return looks.pop(0)

    def told_to(_nice, _turn, policy=priority.OTHER, thread=0):
        if thread:
            told[-1].add((thread, policy))
        return True

    monkeypatch.setattr(priority, "_times", times)
    monkeypatch.setattr(priority, "_set", told_to)
    monkeypatch.setattr(priority, "LOOK", 0.01)
    priority._watch(7)
    idle, share = priority.IDLE, priority.OTHER
    assert told == [
        {(7, idle), (8, idle)}, {(7, share), (8, share)}, {(7, share)}, {(7, idle), (9, idle)}, {(7, idle), (9, idle)},
        {(7, share)},
    ]  # fmt: skip


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


@pytest.mark.parametrize("trouble", [FileNotFoundError, OSError(24, "Too many open files")])
def test_where_nobody_can_tell_who_starves_it_has_its_share(trouble):
    def stand_back():
        def times():
            looked.append(None)
            if len(looked) == 1:
                return {main: (0.0, 0.0)}
            raise trouble

        looked = []
        main = threading.get_native_id()
        priority._times, priority.LOOK = times, 2.0
        priority.stand_back()

    who = forked(stand_back)
    try:
        assert comes(os.SCHED_IDLE, who) == MAY
        assert comes(os.SCHED_OTHER, who)
    finally:
        end(who)


@pytest.mark.parametrize("times", [{}, {1: (0.0, 0.0)}])
def test_without_the_kernels_times_nobody_stands_back(times, monkeypatch):
    asked = []
    monkeypatch.setattr(priority, "_times", lambda: times)
    monkeypatch.setattr(
        priority, "_set", lambda nice, _turn, policy=0, thread=0: asked.append((policy, thread)) or True
    )
    priority._watch(7)
    assert {each for each in asked if each[1] == 7} == {(priority.OTHER, 7)}


def test_no_thread_left_is_no_failure(monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(priority, "give_way", lambda: True)
    priority.stand_back()


def test_times_are_of_the_other_threads():
    running = threading.Event()
    ended = threading.Event()
    found = []

    def other():
        running.set()
        ended.wait()

    thread = threading.Thread(target=other)
    thread.start()
    running.wait()
    looker = threading.Thread(target=lambda: found.append((threading.get_native_id(), priority._times())))
    looker.start()
    looker.join()
    ended.set()
    thread.join()
    ((own, times),) = found
    assert own not in times
    assert {thread.native_id, os.getpid()} <= times.keys()
    ran, waited = times[os.getpid()]
    assert ran > 0.1
    assert waited >= 0.0


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
