"""The egress process's side: one transaction for all that has arrived, and what happens when the kernel refuses."""

import contextlib
import errno
import select
import socket
import time

import pytest

from blocker.config import Gating
from blocker.egress import gatekeeper, talk
from blocker.egress.elements import Drop, Element, Put, concatenated
from blocker.egress.gatekeeper import Gatekeeper
from blocker.egress.neighbours import Neighbours
from blocker.egress.netlink import Netlink
from blocker.egress.talk import Ask, Done, Forget, Status
from blocker.errors import KernelError
from blocker.sinks.region import Region, Word
from tests.egress.namespace import Namespace
from tests.egress.test_neighbours import neighbour

ALICE, BOB, SIX = b"\x0a\0\0\1", b"\x0a\0\0\2", bytes(15) + b"\1"
FAR, LINK_LOCAL = b"\x20\1" + bytes(13) + b"\7", b"\xfe\x80" + bytes(13) + b"\1"
PATIENCE = 10.0  # seconds
SETS = """table inet blocker {
    set gate_4 { type ipv4_addr . ipv4_addr; flags timeout; size 1048576; }
    set gate_6 { type ipv6_addr . ipv6_addr; flags timeout; size 1048576; }
}
"""


def address(number):
    return (0xC0000200 + number).to_bytes(4)


class Fake:
    """A kernel that remembers, and refuses what it is told to."""

    def __init__(self, held=()):
        self.held = dict(held)
        self.transactions = []
        self.refused = {}  # key: errno

    def apply(self, changes):
        self.transactions.append(changes)
        for change in changes:
            for each in change.elements if isinstance(change, Put) else ():
                if each.key in self.refused:
                    raise KernelError("refused", self.refused[each.key])
        for change in changes:
            if isinstance(change, Put):
                self.held.update({(change.set, each.key): each.left for each in change.elements})
            else:
                for key in change.keys:
                    self.held.pop((change.set, key), None)

    def holds(self, name, key):
        return (name, key) in self.held

    def dump(self, name):
        return [Element(key, left) for (held, key), left in self.held.items() if held == name]


class Rtnetlinkless:
    """Neighbours as a test says."""

    def __init__(self):
        self.known = Neighbours()
        self.socket, self._test = socket.socketpair()
        self._news = []

    def meet(self, *addresses, hardware=b"\2\0\0\0\0\1"):
        for each in addresses:
            found, _ = self.known.heard(neighbour(each, hardware), 0.0)
            self._news += found
        self._test.send(b"\0")

    def read(self):
        with contextlib.suppress(BlockingIOError):
            self.socket.recv(100)
        news, self._news = self._news, []
        return news

    def close(self):
        self.socket.close()
        self._test.close()


class Rig:
    """A gatekeeper without its thread, two workers and a kernel."""

    def __init__(self, folder, kernel=None, devices=None, reader=None, **config):
        self.kernel = kernel or Fake()
        self.region = Region()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(folder / "egress.sock"))
        self.listener.listen()
        self.devices = devices or Rtnetlinkless()
        self.keeper = Gatekeeper(
            self.listener, self.kernel, reader or self.kernel, self.devices, Gating(**config), self.region
        )
        self.workers = [self.connect(folder) for _ in range(2)]

    def connect(self, folder):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(PATIENCE)
        sock.connect(str(folder / "egress.sock"))
        self.step()
        return sock

    def close(self):
        self.keeper.close()
        for each in (*self.workers, self.listener, self.devices):
            each.close()

    def ask(self, worker, number, *asks):
        self.workers[worker].send(talk.asks(number, asks))

    def step(self):
        self.keeper.step(0)

    def wishes(self):
        while self.keeper._wishes:
            self.keeper._wishes.popleft()()

    def heard(self, worker):
        return talk.read(self.workers[worker].recv(talk.MAX_MESSAGE))

    def quiet(self, worker):
        return not select.select([self.workers[worker]], [], [], 0)[0]


@pytest.fixture
def made(tmp_path):
    """Make rigs."""
    rigs = []

    def make(*arguments, **config):
        rigs.append(Rig(tmp_path, *arguments, **config))
        return rigs[-1]

    yield make
    for each in rigs:
        each.close()


def key(device, where):
    return concatenated(device, where)


def test_all_that_has_arrived_is_one_transaction(made):
    rig = made()
    rig.ask(0, 1, Ask(ALICE, 60, [address(1), address(2)]), Ask(BOB, 90, [address(1)]))
    rig.ask(0, 2, Ask(ALICE, 30, [address(1)]))  # open for longer already
    rig.ask(1, 7, Ask(SIX, 60, [SIX, address(1)]))  # an address of the other family is nothing that it could reach
    rig.step()
    (changes,) = rig.kernel.transactions
    assert [(change.set, len(change.elements)) for change in changes] == [("gate_4", 3), ("gate_6", 1)]
    assert rig.kernel.held == {
        ("gate_4", key(ALICE, address(1))): 60_000,
        ("gate_4", key(ALICE, address(2))): 60_000,
        ("gate_4", key(BOB, address(1))): 90_000,
        ("gate_6", key(SIX, SIX)): 60_000,
    }
    assert [rig.heard(0), rig.heard(0), rig.heard(1)] == [Done(number, Status.OPEN) for number in (1, 2, 7)]
    assert rig.region.words[Word.GATE_PAIRS] == 5


def test_what_is_open_for_long_enough_costs_nothing(made):
    rig = made()
    for number in range(3):
        rig.ask(0, number, Ask(ALICE, 60 - number, [address(1)]))
        rig.step()
        assert rig.heard(0) == Done(number, Status.OPEN)
    assert [len(changes) for changes in rig.kernel.transactions] == [1, 0, 0]


def test_before_the_first_rules_what_there_are_no_sets_for_waits(made):
    rig = made()
    rig.kernel.refused = {key(BOB, address(1)): errno.ENOENT, key(BOB, address(2)): errno.ENFILE}
    for number, asked in enumerate(([ALICE, 1], [BOB, 1], [BOB, 2])):
        rig.ask(0, number, Ask(asked[0], 60, [address(asked[1])]))
        rig.step()
    assert [rig.heard(0), rig.heard(0)] == [Done(0, Status.OPEN), Done(2, Status.FULL)]
    rig.kernel.refused.clear()
    rig.keeper.adopt(Gating())
    rig.wishes()
    assert rig.heard(0) == Done(1, Status.OPEN)
    rig.kernel.refused = {key(BOB, address(3)): errno.ENOENT}
    rig.ask(0, 4, Ask(BOB, 60, [address(3)]))
    rig.step()
    assert rig.heard(0) == Done(4, Status.FAILED)  # somebody has removed them


def test_no_more_waits_for_the_first_rules_than_may(made, monkeypatch):
    monkeypatch.setattr(gatekeeper, "_EARLY", 2)
    rig = made()
    rig.kernel.refused = {key(ALICE, address(1)): errno.ENOENT}
    for number in range(3):
        rig.ask(0, number, Ask(ALICE, 60, [address(1)]))
        rig.step()
    assert rig.heard(0) == Done(2, Status.FAILED)


def test_what_the_kernel_refuses_refuses_one_request_alone(made):
    rig = made()
    rig.keeper.adopt(Gating())
    rig.wishes()
    rig.kernel.refused = {key(BOB, address(1)): errno.ENFILE, key(BOB, address(2)): errno.ENOENT}
    rig.ask(0, 1, Ask(ALICE, 60, [address(1)]))
    rig.ask(0, 2, Ask(BOB, 60, [address(1)]))
    rig.ask(0, 3, Ask(BOB, 60, [address(2)]))
    rig.step()
    assert [rig.heard(0) for _ in range(3)] == [Done(1, Status.OPEN), Done(2, Status.FULL), Done(3, Status.FAILED)]
    assert list(rig.kernel.held) == [("gate_4", key(ALICE, address(1)))]
    rig.kernel.refused.clear()
    rig.ask(0, 4, Ask(BOB, 60, [address(1)]))  # nobody believes that it is open
    rig.step()
    assert rig.heard(0) == Done(4, Status.OPEN)
    assert ("gate_4", key(BOB, address(1))) in rig.kernel.held


def test_a_device_that_is_told_too_much(made):
    rig = made(per_device=128)
    for number in range(129):
        rig.ask(0, number, Ask(ALICE, 60, [address(number)]))
        rig.step()
    assert {each for _, each in rig.kernel.held} == {key(ALICE, address(number)) for number in range(17, 129)}
    said = [rig.heard(0) for _ in range(130)]
    assert [each for each in said if isinstance(each, Forget)] == [Forget([ALICE])]  # once for many
    assert rig.heard(1) == Forget([ALICE])  # whatever worker told it
    assert rig.region.words[Word.GATE_EVICTED] == 17


def test_more_than_a_device_may_hold_in_one_transaction(made):
    rig = made(per_device=128)
    rig.ask(0, 1, *(Ask(ALICE, 60, [address(number)]) for number in range(400)), Ask(ALICE, 60, [address(0)]))
    rig.step()
    held = {each for _, each in rig.kernel.held}
    assert 112 <= len(held) <= 128
    assert {key(ALICE, address(0)), *(key(ALICE, address(number)) for number in range(300, 400))} <= held


def test_a_device_asks_over_one_ip_version_and_connects_over_another(made):
    rig = made()
    rig.devices.meet(ALICE, SIX, LINK_LOCAL)
    rig.step()
    rig.ask(0, 1, Ask(ALICE, 60, [FAR, address(1)]))
    rig.step()
    assert set(rig.kernel.held) == {("gate_4", key(ALICE, address(1))), ("gate_6", key(SIX, FAR))}
    rig.ask(0, 2, Ask(LINK_LOCAL, 60, [FAR, address(2)]))  # the resolver's address came with a router advertisement
    rig.step()
    assert ("gate_4", key(ALICE, address(2))) in rig.kernel.held
    assert ("gate_6", key(SIX, FAR)) in rig.kernel.held


def test_an_address_that_turns_up_later(made):
    rig = made()
    rig.devices.meet(ALICE)
    rig.ask(0, 1, Ask(ALICE, 60, [FAR, address(1)]))
    rig.step()
    assert set(rig.kernel.held) == {("gate_4", key(ALICE, address(1)))}
    rig.devices.meet(SIX)
    rig.step()
    assert 59_000 <= rig.kernel.held["gate_6", key(SIX, FAR)] <= 61_000
    rig.devices.meet(BOB, hardware=b"\2\0\0\0\0\2")  # somebody else
    rig.step()
    assert len(rig.kernel.held) == 2


def test_an_address_that_turns_up_while_the_set_is_full(made):
    rig = made()
    rig.devices.meet(ALICE)
    rig.ask(0, 1, Ask(ALICE, 60, [FAR]))
    rig.step()
    rig.kernel.refused = {key(SIX, FAR): errno.ENFILE}
    rig.devices.meet(SIX)
    rig.step()
    rig.ask(0, 2, Ask(ALICE, 60, [address(1)]))
    rig.step()
    assert [rig.heard(0), rig.heard(0)] == [Done(1, Status.OPEN), Done(2, Status.OPEN)]


def test_restoring(made):
    rig = made(Fake({("gate_4", key(ALICE, address(1))): 60_000, ("gate_6", key(SIX, SIX)): 30_000}))
    rig.keeper.restore()
    rig.wishes()
    rig.kernel.transactions.clear()
    rig.ask(0, 1, Ask(ALICE, 50, [address(1)]), Ask(SIX, 50, [SIX]))
    rig.step()
    ((change,),) = rig.kernel.transactions
    assert change == Put("gate_6", [Element(key(SIX, SIX), 50_000)])


def test_what_a_former_process_opened_is_bounded_as_well(made):
    rig = made(Fake({("gate_4", key(ALICE, address(number))): 60_000 for number in range(300)}), per_device=128)
    rig.keeper.restore()
    rig.wishes()
    assert 112 <= len(rig.kernel.held) <= 128


def test_without_sets_nothing_is_restored(made):
    rig = made(Fake())
    rig.kernel.dump = no_sets
    rig.keeper.restore()
    rig.wishes()
    rig.ask(0, 1, Ask(ALICE, 50, [address(1)]))
    rig.step()
    assert rig.heard(0) == Done(1, Status.OPEN)


def no_sets(name):
    raise KernelError(name, errno.ENOENT)


def test_sets_that_were_emptied_are_noticed(made):
    rig = made()
    rig.ask(0, 1, Ask(ALICE, 60, [address(1)]))
    rig.step()
    assert rig.heard(0) == Done(1, Status.OPEN)
    rig.keeper.tend(time.monotonic())
    assert rig.quiet(0)
    rig.kernel.held.clear()
    rig.keeper.tend(time.monotonic())
    assert rig.heard(0) == rig.heard(1) == Forget([])
    rig.ask(0, 2, Ask(ALICE, 60, [address(1)]))
    rig.step()
    assert rig.kernel.held


def test_a_pair_that_made_room_or_ended_is_no_sign_of_that(made):
    rig = made(per_device=128)
    for number in range(140):
        rig.ask(0, number, Ask(ALICE, 60, [address(number % 130)]))
        rig.step()
    rig.ask(1, 99, Ask(SIX, 60, [SIX]))
    rig.step()
    rig.kernel.held.pop(("gate_6", key(SIX, SIX)))
    rig.keeper.tend(time.monotonic() + 61)
    while isinstance(said := rig.heard(1), Forget):
        assert said != Forget([])
    assert said == Done(99, Status.OPEN)
    assert rig.quiet(1)


@pytest.mark.parametrize("message", [b"nonsense", talk.done(1, Status.OPEN)])
def test_what_no_worker_says(made, message):
    rig = made()
    rig.workers[0].send(message)
    rig.ask(0, 1, Ask(ALICE, 60, [address(1)]))
    rig.step()
    assert rig.heard(0) == Done(1, Status.OPEN)


def test_a_worker_that_is_gone_for_good(made):
    rig = made()
    rig.workers[0].close()
    rig.ask(1, 1, Ask(ALICE, 60, [address(1)]))
    rig.step()
    rig.step()
    assert rig.heard(1) == Done(1, Status.OPEN)


def test_a_worker_that_does_not_read_stops_nobody(made):
    rig = made()
    for number in range(2000):
        rig.ask(0, number, Ask(ALICE, 60, [address(1)]))
        rig.step()
    rig.ask(1, 1, Ask(ALICE, 60, [address(1)]))
    rig.step()
    assert rig.heard(1) == Done(1, Status.OPEN)


def test_as_a_thread_against_the_kernel(made):
    with Namespace() as inside:
        inside.nft(SETS)
        with inside.run(Netlink) as kernel, inside.run(Netlink) as other:
            other.apply([Put("gate_4", [Element(key(BOB, address(9)), 60_000)])])
            rig = made(kernel, reader=other)
            rig.keeper.start()
            rig.ask(0, 1, Ask(ALICE, 60, [address(1)]), Ask(SIX, 60, [SIX]))
            assert rig.heard(0) == Done(1, Status.OPEN)
            with inside.run(Netlink) as third:
                assert {each.key for each in third.dump("gate_4")} == {key(ALICE, address(1)), key(BOB, address(9))}
                assert [each.key for each in third.dump("gate_6")] == [key(SIX, SIX)]
                third.apply([Drop("gate_4", [key(ALICE, address(1))])])  # somebody emptied the set
                assert rig.heard(0) == Forget([])
                rig.ask(0, 2, Ask(ALICE, 60, [address(1)]))
                assert rig.heard(0) == Done(2, Status.OPEN)
                assert third.holds("gate_4", key(ALICE, address(1)))
                rig.keeper.adopt(Gating(per_device=128))
                rig.ask(0, 3, *(Ask(ALICE, 60, [address(number)]) for number in range(300)))
                while isinstance(rig.heard(0), Forget):
                    pass
                rig.keeper.stop()
                held = [each.key for each in third.dump("gate_4")]
                assert 112 <= len(held) <= 300 + 1  # what is open stays open


def test_very_many_pairs_are_bounded_in_the_kernel_too(made):
    """What is asked for without end costs no more room than is configured, here or there."""
    with Namespace() as inside:
        inside.nft(SETS)
        with inside.run(Netlink) as kernel:
            rig = made(kernel, per_device=2048, pairs=20_000)
            for number in range(200):
                device = (0x0A000000 + number % 20).to_bytes(4)
                told = [(0x20000000 + number * 1000 + each).to_bytes(4) for each in range(1000)]
                rig.ask(0, number, *(Ask(device, 600, told[at : at + 50]) for at in range(0, 1000, 50)))
                rig.step()
                while not isinstance(said := rig.heard(0), Done):
                    if not rig.quiet(1):
                        rig.heard(1)
                assert said == Done(number, Status.OPEN)
            assert len(kernel.dump("gate_4")) == rig.region.words[Word.GATE_PAIRS] <= 20_000
