"""Who is replaced, when, and what a reload does to whom: the supervisor's parts, with a test for processes."""

import contextlib
import json
import os
import selectors
import signal
import socket
import time

import pytest
from structlog.testing import capture_logs

from blocker.config import Config
from blocker.errors import BlockerError, ProblemsError
from blocker.serve import beside, capabilities, preparer, worker
from blocker.serve.companion import Companion
from blocker.serve.reloads import Reloads
from blocker.serve.slot import Slot
from blocker.serve.supervisor import Supervisor
from blocker.serve.systemd import Systemd
from blocker.serve.worker import Sockets
from blocker.sinks.region import Region, Word

NOW = 1000.0  # monotonic seconds
SAID = {
    "path": "/state/generation-{}.json",
    "digest": "abc",
    "policy": "fed",
    "compiled": 1.7e9,
    "apps": {},
    "watch": [],
    "looked": "",
    "at_start": {"listen": "a", "log": "b"},
    "duration": 0.1,
}
WALL = 1_795_600_000.0  # unix time


def said(number, seq=0, granted=None):
    excepted = {"path": f"/state/exceptions-{number}.json", "number": number, "seq": seq, "granted": granted or {}}
    return SAID | {"number": number, "path": SAID["path"].format(number), "exceptions": excepted}


@pytest.fixture
def killed(monkeypatch):
    """What would have been killed, and with what."""
    found = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


@pytest.fixture
def selector():
    with selectors.DefaultSelector() as made:
        yield made


def slot(number=0, *, pid=100, ready=True, pulse=NOW):
    region = Region()
    region.words[Word.READY] = ready
    region.words[Word.PULSE] = int(pulse * 1e9)
    return Slot(number, region, Sockets([], []), pid=pid)


# Slots.


@pytest.mark.parametrize(
    ("pid", "ready", "silence", "aborted"),
    [
        (100, True, 0, False),
        (100, True, 9.9, False),
        (100, True, 10, True),
        (100, False, 29.9, False),  # starting
        (100, False, 30, True),  # hangs
        (0, True, 60, False),
    ],
)
def test_a_silent_worker_is_aborted(killed, pid, ready, silence, aborted):
    place = slot(pid=pid, ready=ready, pulse=NOW - silence)
    assert place.check_pulse(NOW) is aborted
    assert killed == ([(100, signal.SIGABRT)] if aborted else [])


def test_a_worker_that_survives_the_abort_is_killed(killed):
    place = slot(pulse=NOW - 60)
    assert [place.check_pulse(NOW + after) for after in (0, 1, 1.9, 2)] == [True, False, False, False]
    assert killed == [(100, signal.SIGABRT), (100, signal.SIGKILL)]


def test_a_dead_worker_is_replaced_at_once_but_not_for_ever():
    place = slot()
    starts = []
    for number in range(6):
        place.died(NOW + number)
        starts.append(place.start_at - (NOW + number))
    assert starts == [0, 0, 0, 0, 2, 2]
    assert place.region.words[Word.RESTARTS] == 6
    assert (place.pid, place.ready) == (0, False)
    place.died(NOW + 100)  # the former ones are forgotten
    assert place.start_at == NOW + 100


def test_nobody_is_told_or_killed_where_nobody_is(killed, selector):
    place = slot(pid=0)
    place.tell({"stop": True})
    place.kill(signal.SIGKILL)
    place.hang_up(selector)
    assert killed == []


def test_telling_a_worker_that_is_dying_raises_nothing():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    place = slot()
    place.channel = ours
    theirs.close()
    place.tell({"adopt": "x"})
    ours.close()


# Reloads.


class Rig:
    """Reloads, with pipes that the test holds instead of preparers, and channels instead of workers."""

    def __init__(self, selector, workers=2):
        self.selector = selector
        self.told = []
        self.prepared = []  # number, the preparer's end
        self.bases = []  # what each was to start from
        self.pipes = []
        self.slots = [slot(number) for number in range(workers)]
        self.channels = []
        for place in self.slots:
            place.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            theirs.settimeout(1)
            self.channels.append(theirs)
        self.wall, self.boot = WALL, 0.0
        self.reloads = Reloads(
            selector, self.slots, self._start, self.told.append, Systemd(), lambda: (self.wall, self.boot)
        )
        self.reloads._put(said(1))
        self.reloads._at_start = said(1)["at_start"]

    def pass_by(self, seconds, *, back=0.0):
        """Let time pass, on a wall clock that may be set back meanwhile."""
        self.boot += seconds
        self.wall += seconds - back
        self.reloads.look(time.monotonic())

    def adopted(self, turns=None):
        """Let every worker adopt what it is told, and return what the first of them was told last."""
        last = None
        for place, channel in zip(self.slots, self.channels, strict=True):
            channel.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    message = json.loads(channel.recv(65536))
                    last = message if place is self.slots[0] else last
                    self.reloads.heard(place, {"adopted": message["told"], "turns": turns})
        self.reloads.look(time.monotonic())
        return last

    def _start(self, number, before):
        self.bases.append(before)
        ours, theirs = socket.socketpair()
        self.prepared.append((number, theirs))
        self.pipes.append(ours)
        return 12345, ours

    def result(self, **result):
        """Let the preparer under way say this, and be gone."""
        _, pipe = self.prepared[-1]
        if result:
            pipe.sendall(json.dumps(result).encode())
        pipe.close()
        for key, _ in self.selector.select(1):
            key.data(key.fileobj)

    def close(self):
        for sock in (
            *self.channels,
            *(place.channel for place in self.slots),
            *(pipe for _, pipe in self.prepared),
            *self.pipes,
        ):
            sock.close()


@pytest.fixture
def rig(selector):
    made = Rig(selector)
    yield made
    made.close()


def replies(rig):
    return [message for message in rig.told if "event" not in message]


def test_a_reload_is_over_when_every_worker_has_adopted(rig):
    rig.reloads.begin(rig.told.append)
    rig.result(**said(2))
    for channel in rig.channels:
        told = json.loads(channel.recv(4096))
        assert told["adopt"]["generation"] == said(2)["path"]
    rig.reloads.heard(rig.slots[0], {"adopted": told["told"], "turns": None})
    rig.reloads.look(time.monotonic())
    assert rig.told == []
    rig.reloads.heard(rig.slots[1], {"adopted": told["told"], "turns": None})
    rig.reloads.look(time.monotonic())
    event, reply = rig.told
    assert (event["event"], event["number"], event["problems"], event["reloads"]["succeeded"]) == (
        "generation",
        2,
        [],
        1,
    )
    assert (reply["ok"], reply["generation"], reply["problems"]) == (True, 2, [])


def test_what_only_a_start_puts_in_force_is_told(rig):
    with capture_logs() as logged:
        rig.reloads.begin(rig.told.append)
        rig.result(**said(2) | {"at_start": SAID["at_start"] | {"log": "another"}})
        rig.adopted()
    assert replies(rig)[0]["only_after_a_restart"] == ["log"]
    assert [line["keys"] for line in logged if line["log_level"] == "warning"] == ["log"]


def test_lost_files_are_made_again_but_not_all_the_time(rig):
    now = time.monotonic()
    for later in (0.0, 0.1, 9.0):  # while it is under way, and soon after
        rig.reloads.mend(now + later)
    assert len(rig.prepared) == 1
    rig.result(problems=["the disk is full"])
    rig.reloads.mend(now + 9.9)
    assert len(rig.prepared) == 1
    rig.reloads.mend(now + 10.0)
    assert len(rig.prepared) == 2


@pytest.mark.parametrize(
    ("result", "problems"),
    [({"problems": ["own.yaml:3: why"]}, ["own.yaml:3: why"]), ({}, [preparer.DIED])],
)
def test_a_refused_reload_changes_nothing(rig, result, problems):
    rig.reloads.begin(rig.told.append)
    rig.result(**result)
    assert rig.reloads.current == said(1)
    assert [(each["ok"], each["problems"], each["generation"]) for each in replies(rig)] == [(False, problems, 1)]
    for channel in rig.channels:
        channel.setblocking(False)
        with pytest.raises(BlockingIOError):
            channel.recv(1)


def test_what_is_asked_for_meanwhile_is_read_afterwards(rig):
    rig.reloads.begin(rig.told.append)
    rig.reloads.begin(rig.told.append)
    rig.reloads.begin(rig.told.append)
    rig.result(problems=["bad"])
    assert len(replies(rig)) == 1  # the others want what was written after the first began to read
    assert len(rig.prepared) == 2
    rig.result(problems=["still bad"])
    assert [reply["problems"] for reply in replies(rig)] == [["bad"], ["still bad"], ["still bad"]]
    assert len(rig.prepared) == 2
    assert rig.prepared[1][0] > rig.prepared[0][0]


def test_a_worker_that_dies_is_not_waited_for(rig):
    rig.reloads.begin(rig.told.append)
    rig.result(**said(2))
    rig.reloads.heard(rig.slots[0], {"adopted": 1, "turns": None})
    rig.reloads.left(rig.slots[1])
    rig.reloads.look(time.monotonic())
    assert replies(rig)[0]["ok"] is True


def test_a_worker_that_cannot_adopt_is_replaced(rig, killed):
    rig.reloads.begin(rig.told.append)
    rig.result(**said(2))
    rig.reloads.heard(rig.slots[0], {"adopted": 1, "turns": None})
    rig.reloads.heard(rig.slots[1], {"refused": 1, "why": "damaged"})
    assert killed == [(100, signal.SIGTERM)]


def test_a_worker_that_says_nothing_is_not_waited_for_for_ever(rig):
    rig.reloads.begin(rig.told.append)
    rig.result(**said(2))
    rig.reloads.heard(rig.slots[0], {"adopted": 1, "turns": None})
    rig.reloads.look(time.monotonic() + 25)
    assert replies(rig) == []
    rig.reloads.look(time.monotonic() + 31)
    (reply,) = replies(rig)
    assert (reply["ok"], reply["problems"]) == (False, ["worker 1 did not adopt it in time; replaced"])


def test_a_preparer_that_hangs_is_killed(rig, killed):
    rig.reloads.begin()
    rig.reloads.look(time.monotonic() + 110)
    assert killed == []
    rig.reloads.look(time.monotonic() + 121)
    assert killed == [(12345, signal.SIGKILL)]


# Exceptions and turns.


def test_exceptions_come_into_force_while_lists_are_being_compiled(rig):
    rig.reloads.begin(rig.told.append)
    rig.reloads.begin(rig.told.append, amends=True)
    assert rig.bases == [None, said(1)]
    rig.result(path="/state/exceptions-5.json", number=5, seq=5, granted={"1": [0, WALL + 9]})
    told = rig.adopted(turns=WALL + 9)
    assert (told["adopt"]["generation"], told["adopt"]["exceptions"]) == (said(1)["path"], "/state/exceptions-5.json")
    assert [reply["ok"] for reply in replies(rig)] == [True]
    rig.prepared.pop()
    rig.result(**said(2, seq=4))  # it had read the exceptions before
    told = rig.adopted(turns=WALL + 9)
    assert (told["adopt"]["generation"], told["adopt"]["exceptions"]) == (said(2)["path"], "/state/exceptions-5.json")
    assert [reply["ok"] for reply in replies(rig)] == [True, True]
    assert rig.bases[2:] == [rig.reloads.current]  # and once more, for what a bundle may have brought with the lists


def test_a_store_that_was_put_away_is_not_in_force_for_its_long_log(rig):
    """People move a damaged one and its log away, and ask anew: what it held is over."""
    rig.reloads._put(said(2, seq=16, granted={"1": [0, WALL + 9]}))
    for amends in (True, False):
        rig.reloads.begin(rig.told.append, amends=amends)
        new = said(3, seq=-1)
        rig.result(**(new["exceptions"] if amends else new))
        rig.adopted()
        assert rig.reloads.current["exceptions"] == new["exceptions"]
    assert len(rig.bases) == 2  # and nothing is read again and again


def test_exceptions_read_by_a_configuration_that_is_over_are_read_anew(rig):
    """It may have named another store."""
    rig.reloads.begin(rig.told.append)
    rig.reloads.begin(rig.told.append, amends=True)
    amendment = rig.prepared.pop()
    rig.result(**said(2))
    rig.adopted()
    rig.prepared.append(amendment)
    rig.result(**said(3)["exceptions"])
    rig.adopted()
    assert [base and base["path"] for base in rig.bases] == [None, said(1)["path"], said(2)["path"]]


def test_refused_exceptions_change_nothing_and_count_as_no_reload(rig):
    rig.reloads.begin(rig.told.append, amends=True)
    rig.result(problems=["exceptions.db: damaged"])
    assert rig.reloads.current == said(1)
    event, reply = rig.told
    assert (event["unamended"], event["problems"], event["reloads"]["refused"]) == (["exceptions.db: damaged"], [], 0)
    assert not reply["ok"]


def test_time_turns_what_is_in_force_whatever_else_goes_on(rig, monkeypatch):
    rig.reloads._put(said(1, granted={"1": [0, WALL + 100], "2": [0, WALL + 500]}))
    rig.reloads.heard(rig.slots[0], {"adopted": 0, "turns": WALL + 100})
    rig.reloads.begin()  # which takes its time
    rig.pass_by(99.9)
    assert rig.adopted() is None
    rig.pass_by(0.2)
    told = rig.adopted(turns=WALL + 500)
    assert told["adopt"] == {
        "generation": said(1)["path"], "exceptions": "/state/exceptions-1.json", "moment": rig.wall, "ends": {"1": 0},
    }  # fmt: skip
    event = rig.told[-1]
    assert (event["turns"], event["standing"]["ends"]) == (WALL + 500, {"1": 0})
    assert rig.reloads.standing.ends == {"1": 0}  # what a worker that starts now is told
    rig.pass_by(10)
    assert rig.adopted() is None


def test_a_clock_that_is_set_back_makes_no_exception_longer(rig):
    rig.reloads._put(said(1, granted={"1": [0, WALL + 100]}))
    rig.reloads.heard(rig.slots[0], {"adopted": 0, "turns": WALL + 100})
    rig.pass_by(30, back=3600)
    assert rig.adopted(turns=WALL - 3500)["adopt"]["ends"] == {"1": WALL + 100 - 3600}
    rig.pass_by(69)
    assert rig.adopted() is None
    rig.pass_by(1.5)
    assert rig.adopted()["adopt"]["ends"] == {"1": 0}


def test_a_turn_that_nobody_could_follow_is_told_to_those_who_start(rig, killed):
    rig.reloads._put(said(1, granted={"1": [0, WALL + 1]}))
    rig.reloads.heard(rig.slots[0], {"adopted": 0, "turns": WALL + 1})
    rig.pass_by(2)
    rig.reloads.look(time.monotonic() + 31)
    assert killed == [(100, signal.SIGTERM)] * 2
    rig.reloads.heard(rig.slots[0], {"adopted": rig.reloads.told, "turns": WALL + 50})
    assert rig.reloads._turns.next == WALL + 50


# The supervisor.


@pytest.fixture
def supervisor():
    made = Supervisor(None, {}, Config())
    yield made
    made._selector.close()
    made._woken.close()
    made._waker.close()


@pytest.mark.parametrize("unread", [False, True], ids=["end", "reset"])
def test_a_channel_whose_worker_is_gone_is_let_go(supervisor, unread):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    place = slot()
    place.channel = ours
    supervisor._selector.register(ours, selectors.EVENT_READ, None)
    if unread:
        place.tell({"adopt": "x"})  # killed before it has read this: the kernel resets the channel
    theirs.close()
    supervisor._hear_worker(place, ours)
    assert place.channel is None
    assert ours.fileno() == -1


@pytest.mark.parametrize("unread", [False, True], ids=["end", "reset"])
def test_a_companion_that_is_gone_is_let_go(supervisor, unread):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    companion = Companion("control", lambda _channel: 0, pid=7, channel=ours)
    supervisor._companions.append(companion)
    supervisor._selector.register(ours, selectors.EVENT_READ, None)
    if unread:
        supervisor._tell({"event": "reopen"})
    theirs.close()
    supervisor._hear_companion(companion, ours)
    assert companion.channel is None


def test_a_companion_that_died_is_started_again_after_a_pause():
    companion = Companion("control", lambda _channel: 0, pid=7)
    companion.died(NOW, -9)
    assert (companion.pid, companion.start_at) == (0, NOW + 0.5)
    companion.tell({"event": "reopen"})  # to nobody


def test_what_a_companion_counted_survives_it():
    companion = Companion("egress", lambda _channel: 0, pid=7, region=Region())
    companion.region.words[Word.READY] = 1
    companion.died(NOW, -9)
    assert (companion.region.words[Word.READY], companion.region.words[Word.RESTARTS]) == (0, 1)


@pytest.mark.parametrize(
    ("served_before", "ready", "status", "stopping"),
    [
        (False, False, 1, True),  # at the start: a failed unit beats a crash loop
        (True, False, 0, False),  # a replacement that dies early is replaced again
        (True, True, 0, False),
        (False, True, 0, False),
    ],
)
def test_a_worker_that_dies_before_it_served_stops_the_start(supervisor, served_before, ready, status, stopping):
    place = slot(ready=ready)
    supervisor._slots.append(place)
    supervisor._ready = served_before
    supervisor._died(place, 1)
    assert (supervisor._status, supervisor._stopping) == (status, stopping)


@pytest.mark.parametrize(("served_before", "code", "status", "lines"), [
    (True, -9, 1, 1), (True, 0, 0, 0),
    (False, 1, 1, 0),  # another one died before, and that was said
])  # fmt: skip
def test_a_worker_that_dies_while_we_stop(supervisor, served_before, code, status, lines):
    supervisor._slots.append(slot(ready=False))  # it drains
    supervisor._ready, supervisor._stopping = served_before, True
    with capture_logs() as logs:
        supervisor._died(supervisor._slots[0], code)
    assert supervisor._status == status
    assert [each["event"] for each in logs] == ["worker died before all was answered"] * lines


def test_a_worker_found_dead_is_replaced_in_the_same_step(supervisor, monkeypatch):
    """Else the next step comes only when something else wakes the supervisor, or its wait is over."""
    place = slot(ready=True)
    ended = iter([(place.pid, signal.SIGKILL)])
    started = []
    monkeypatch.setattr(os, "waitpid", lambda _pid, _how: next(ended, (0, 0)))
    monkeypatch.setattr(supervisor, "_start", started.append)
    monkeypatch.setattr(supervisor._selector, "select", lambda _timeout: [])
    supervisor._slots.append(place)
    supervisor._ready = True
    supervisor._signals = {signal.SIGCHLD}
    supervisor._step()
    assert started == [place]


@pytest.mark.parametrize(("code", "mends"), [(worker.UNOPENED, 1), (1, 0), (-9, 0)])
def test_lost_files_are_made_again_when_a_worker_misses_them(supervisor, monkeypatch, code, mends):
    times = []
    monkeypatch.setattr(supervisor._reloads, "mend", times.append)
    supervisor._slots.append(slot())
    supervisor._ready = True
    supervisor._died(supervisor._slots[0], code)
    assert len(times) == mends


# The preparer.


def test_without_a_first_generation_there_is_no_start(rig, monkeypatch):
    def start(_number, _before):
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if not pid:
            theirs.sendall(b'{"problems": ["one", "two"]}')
            os._exit(0)
        theirs.close()
        return pid, ours

    rig.reloads._start_preparer = start
    with pytest.raises(ProblemsError) as found:
        rig.reloads.first()
    assert found.value.problems == ("one", "two")


@pytest.mark.parametrize(("companion", "ready", "due"), [
    ({}, False, True),
    ({"pid": 7}, True, False),  # it runs
    ({"start_at": NOW + 1}, True, False),  # it has just died
    ({"early": True}, True, False),  # nobody could give it its privileges back
    ({"late": True}, False, False),  # it could ask for a reload before the workers serve
    ({"late": True}, True, True),
    ({"wanted": lambda generation: bool(generation["feeds"])}, True, False),
])  # fmt: skip
def test_when_a_companion_is_started(companion, ready, due):
    made = Companion("some", lambda _channel: 0, **companion)
    assert made.due(NOW, {"feeds": {}}, ready=ready) is due


def test_without_its_privileges_the_egress_half_is_not_begun(monkeypatch):
    monkeypatch.setattr(capabilities, "held", lambda: frozenset({capabilities.Capability.NET_RAW}))
    config = Config.model_validate({"egress": {"enabled": True, "mode": "node"}, "process": {"user": "blocker"}})
    with pytest.raises(BlockerError, match="CAP_NET_ADMIN is missing"):
        beside.companions(config)


def test_who_runs_beside_the_workers():
    assert [each.name for each in beside.companions(Config())] == ["feeds"]
