"""The drain, plain and compiled: the same tests for both, and in the end the same octets in shared memory."""

import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from blocker.events import ATTEMPT, ENDINGS, QUERY, SEARCH, Labels
from blocker.fast import FOREVER, Given
from blocker.serve import udp
from blocker.serve.udp import BATCH, PlainDrain, new_drain
from blocker.sinks.region import JOURNAL_SIZE, Region, Word
from tests.oracle import taken

ROOT = Path(__file__).parents[2]
BUILD = """
from setuptools import Extension, setup
from Cython.Build import cythonize
drain = Extension("blocker.serve._udp", ["blocker/serve/_udp.pyx"])
setup(name="blocker", packages=[], ext_modules=cythonize([drain], quiet=True))
"""
QUESTION = b"\3www\6banned\7example\0\0\1\0\1"
PACKET = b"\xbe\xef\1\0\0\1\0\0\0\0\0\0" + QUESTION
ANSWER = (
    b"\x81\x80\0\1\0\2\0\0\0\0"
    + QUESTION
    + b"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\1\2\3\4"
    + b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\5"
)
TTLS = (len(ANSWER) - 26, len(ANSWER) - 10)
# Monotonic seconds: durations count from a moment that has been, and the machine may have just booted.
NOW = int(time.monotonic())
LABELS = Labels("udp", "A", "NOERROR", "blocked", "default", "banned", "sinkhole", "qname")
HOSTS = {
    "v4": ("127.0.0.1", "127.0.0.1"),
    "v6": ("::1", "::1"),
    "any4": ("0.0.0.0", "127.0.0.77"),
    "any6": ("::", "::1"),
}
LOOPBACK = {"v4": b"\x7f\0\0\1", "v6": bytes(15) + b"\1"}


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    """The compiled drain must be there: build it in place where it is not."""
    if udp._udp is None:
        done = subprocess.run(
            [sys.executable, "-c", BUILD, "build_ext", "--inplace"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"the compiled drain cannot be built: {done.stderr[-500:]}")
        from blocker.serve import _udp

        udp._udp = _udp


class Rig:
    """A drain on a socket of loopback, a client, and the region that they write to."""

    def __init__(self, kind, host):
        bound, self.asked = HOSTS[host]
        self.family = socket.AF_INET6 if ":" in bound else socket.AF_INET
        self.sock = socket.socket(self.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((bound, 0))
        self.client = socket.socket(self.family, socket.SOCK_DGRAM)
        self.client.connect((self.asked, self.sock.getsockname()[1]))  # takes answers from this address only
        self.client.settimeout(2.0)
        self.address = socket.inet_pton(self.family, self.client.getsockname()[0])
        self.region = Region()
        self.drain = new_drain(self.sock, self.region) if kind == "compiled" else PlainDrain(self.sock, self.region)
        assert isinstance(self.drain, PlainDrain) == (kind == "plain")
        self.outcome = self.region.outcome(LABELS, attempt=True)

    def given(self, answer=ANSWER, expires=FOREVER, stored=0, offsets=(), flags=0, tail=b""):
        return Given(answer, expires, stored, offsets, self.outcome.cell, self.outcome.ending, flags, tail)

    def tables(self, given=None, packet=PACKET):
        return {self.address: {packet[2:]: given or self.given()}}

    def receive(self, tables, now=None):
        return self.drain.receive(tables, time.monotonic() if now is None else now)

    def counted(self):
        """Return how often the outcome was counted, by cell, by histogram and by the word for fast answers."""
        (cell,) = [count for number, _, count in self.region.cells() if number == self.outcome.cell]
        return cell, sum(self.region.histogram(self.outcome.ending)[0]), self.region.words[Word.FAST_ANSWERS]

    def close(self):
        self.sock.close()
        self.client.close()


@pytest.fixture(params=["plain", "compiled"])
def kind(request):
    return request.param


@pytest.fixture(params=list(HOSTS))
def rig(request, kind):
    made = Rig(kind, request.param)
    yield made
    made.close()


@pytest.fixture
def rig4(kind):
    made = Rig(kind, "v4")
    yield made
    made.close()


def test_nothing_has_arrived(rig):
    assert rig.receive({}) == (0, [])


def test_a_known_question_is_answered_with_its_own_id(rig):
    tables = rig.tables()
    for ident in (b"\0\0", b"\xff\xff", b"\x12\x34"):
        rig.client.send(ident + PACKET[2:])
        assert rig.receive(tables) == (1, [])
        assert rig.client.recv(4096) == ident + ANSWER
    assert rig.counted() == (3, 3, 3)


def test_an_unknown_question_is_a_miss_and_its_answer_finds_the_way_back(rig):
    rig.client.send(PACKET)
    taken, ((packet, address, peer),) = rig.receive({})
    assert (taken, packet, address) == (1, PACKET, rig.address)
    rig.drain.send([(PACKET[:2] + ANSWER, peer)])
    assert rig.client.recv(4096) == PACKET[:2] + ANSWER  # from the address that was asked: others are not heard
    assert rig.counted() == (0, 0, 0)
    assert rig.region.words[Word.SEND_ERRORS] == 0


@pytest.mark.parametrize(
    "packet",
    [
        PACKET[:-1],
        PACKET + b"\0",
        PACKET.replace(b"www", b"wwW"),  # spelled otherwise: the answer must be spelled so too
        b"\xbe\xef",
        b"\xbe",
        b"",
        bytes(12),
    ],
)
def test_only_the_very_octets_are_known(rig4, packet):
    rig4.client.send(packet)
    taken, misses = rig4.receive(rig4.tables())
    assert (taken, [miss[:2] for miss in misses]) == (1, [(packet, rig4.address)])


def test_the_table_of_another_client_is_not_looked_at(rig4):
    rig4.client.send(PACKET)
    taken, misses = rig4.receive({b"\x0a\0\0\1": rig4.tables()[rig4.address]})
    assert (taken, len(misses)) == (1, 1)


def test_each_client_has_its_table(rig4):
    other = socket.socket(rig4.family, socket.SOCK_DGRAM)
    other.bind(("127.0.0.2", 0))
    other.connect(rig4.sock.getsockname())
    other.settimeout(2.0)
    tables = rig4.tables() | {b"\x7f\0\0\2": {PACKET[2:]: rig4.given(ANSWER[:-1] + b"\x99")}}
    for _ in range(3):
        rig4.client.send(PACKET)
        other.send(PACKET)
    assert rig4.receive(tables) == (6, [])
    with other:
        assert [other.recv(4096)[-1] for _ in range(3)] == [0x99] * 3
    assert [rig4.client.recv(4096)[-1] for _ in range(3)] == [5] * 3


@pytest.mark.parametrize(
    ("age", "ttls"), [(0, (300, 5)), (1, (299, 4)), (5, (295, 0)), (6, (294, 0)), (299, (1, 0)), (1000, (0, 0))]
)
def test_ttls_age(rig, age, ttls):
    tables = rig.tables(rig.given(stored=NOW - 1 - age, offsets=TTLS))
    rig.client.send(PACKET)
    assert rig.receive(tables, NOW - 0.1) == (1, [])
    heard = rig.client.recv(4096)[2:]
    assert tuple(struct.unpack_from("!I", heard, at)[0] for at in TTLS) == ttls
    assert tables[rig.address][PACKET[2:]].answer == ANSWER  # what is kept stays as it was


@pytest.mark.parametrize(("now", "known"), [(-0.01, True), (0.0, False), (0.01, False), (0.5, False)])
def test_an_answer_expires(rig4, now, known):
    rig4.client.send(PACKET)
    taken, misses = rig4.receive(rig4.tables(rig4.given(expires=NOW, stored=NOW - 1000, offsets=TTLS)), NOW + now)
    assert (taken, len(misses)) == (1, 0 if known else 1)


def test_a_batch_has_its_size(rig):
    for number in range(BATCH + 6):
        rig.client.send(struct.pack("!H", number) + PACKET[2:])
    assert rig.receive(rig.tables()) == (BATCH, [])
    assert rig.receive(rig.tables()) == (6, [])
    assert [rig.client.recv(4096)[:2] for _ in range(BATCH + 6)] == [struct.pack("!H", at) for at in range(BATCH + 6)]
    assert rig.counted() == (BATCH + 6,) * 3


def test_hits_and_misses_in_one_batch(rig):
    for number in range(30):
        rig.client.send(struct.pack("!H", number) + (PACKET[2:] if number % 3 else b"other"))
    taken, misses = rig.receive(rig.tables())
    assert taken == 30
    assert [packet for packet, _, _ in misses] == [struct.pack("!H", number) + b"other" for number in range(0, 30, 3)]
    rig.drain.send([(packet[:2] + b"!", peer) for packet, _, peer in misses])
    heard = {rig.client.recv(4096) for _ in range(30)}
    assert heard == {struct.pack("!H", at) + (ANSWER if at % 3 else b"!") for at in range(30)}


def test_octets_are_counted(rig4):
    for packet in (PACKET, b"other", b""):
        rig4.client.send(packet)
    _, ((_, _, peer), _) = rig4.receive(rig4.tables())
    rig4.drain.send([(b"answer", peer), (b"x" * 70_000, peer)])  # the last one does not go out
    words = rig4.region.words
    assert (words[Word.RECEIVED_BYTES], words[Word.SENT_BYTES]) == (len(PACKET) + 5, 2 + len(ANSWER) + 6)


def test_many_answers_at_once(rig4):
    rig4.client.send(PACKET)
    _, ((_, _, peer),) = rig4.receive({})
    rig4.drain.send([(struct.pack("!H", number), peer) for number in range(3 * BATCH + 1)])
    assert [rig4.client.recv(64) for _ in range(3 * BATCH + 1)] == [
        struct.pack("!H", at) for at in range(3 * BATCH + 1)
    ]
    rig4.drain.send([])


def test_what_the_kernel_does_not_take_is_counted_and_the_rest_goes_out(rig4):
    rig4.client.send(PACKET)
    _, ((_, _, peer),) = rig4.receive({})
    rig4.drain.send([(b"one", peer), (b"x" * 70_000, peer), (b"three", peer)])
    assert [rig4.client.recv(64) for _ in range(2)] == [b"one", b"three"]
    assert rig4.region.words[Word.SEND_ERRORS] == 1


def test_attempts_are_journaled_before_they_are_heard_of(rig):
    before = time.time()
    tail = b'"qname":"www.banned.example"'
    for _ in range(3):
        rig.client.send(PACKET)
    rig.receive(rig.tables(rig.given(flags=ATTEMPT, tail=tail)))
    found = taken(rig.region)
    assert [(record.flags, record.client, record.tail) for record in found] == [(ATTEMPT, rig.address, tail)] * 3
    assert all(before - 1 <= record.when <= time.time() + 1 for record in found)
    assert taken(rig.region) == []


@pytest.mark.parametrize("room", range(0, 200, 8))
def test_the_journal_goes_on_at_its_start(rig4, room):
    words = rig4.region.words
    words[Word.HEAD] = words[Word.TAIL] = 3 * JOURNAL_SIZE - room
    tail = b"x" * 61
    for number in range(4):
        rig4.client.send(struct.pack("!H", number) + PACKET[2:])
    rig4.receive(rig4.tables(rig4.given(flags=ATTEMPT, tail=tail)))
    assert [record.tail for record in taken(rig4.region)] == [tail] * 4
    assert words[Word.TAIL] == words[Word.HEAD]
    assert words[Word.DROPPED] == 0


def test_without_room_in_the_journal_the_answer_is_given_all_the_same(rig4):
    words = rig4.region.words
    words[Word.HEAD] = JOURNAL_SIZE - 64  # nobody has read anything
    rig4.client.send(PACKET)
    rig4.client.send(PACKET)
    rig4.receive(rig4.tables(rig4.given(flags=ATTEMPT, tail=b"x" * 32)))
    assert rig4.client.recv(4096) == rig4.client.recv(4096) == PACKET[:2] + ANSWER
    assert words[Word.DROPPED] == 1
    assert rig4.counted() == (2, 2, 2)


@pytest.mark.parametrize(("flags", "dropped", "unsearched"), [
    (ATTEMPT, 0, 0), (ATTEMPT | QUERY | SEARCH, 0, 0), (QUERY, 1, 0), (QUERY | SEARCH, 1, 0), (SEARCH, 0, 64),
])  # fmt: skip
def test_half_of_the_journal_is_for_attempts(rig4, flags, dropped, unsearched):
    words = rig4.region.words
    words[Word.HEAD] = JOURNAL_SIZE // 2
    rig4.client.send(PACKET)
    rig4.receive(rig4.tables(rig4.given(flags=flags, tail=b"x" * 32)))
    assert rig4.client.recv(4096) == PACKET[:2] + ANSWER
    assert (words[Word.DROPPED], words[Word.UNSEARCHED]) == (dropped, unsearched)


@pytest.mark.parametrize(("waited", "bucket"), [(0.0, range(13)), (0.15, range(10, 14)), (60.0, range(15, 16))])
def test_durations_are_counted_from_the_look_at_the_socket(rig4, waited, bucket):
    for _ in range(5):
        rig4.client.send(PACKET)
    rig4.receive(rig4.tables(), time.monotonic() - waited)
    counts, total = rig4.region.histogram(rig4.outcome.ending)
    assert sum(counts) == 5
    assert all(not count or at in bucket for at, count in enumerate(counts))
    assert 5 * waited <= total < 5 * (waited + 1)


def test_endings_are_counted_apart(rig4):
    kept = rig4.region.outcome(LABELS._replace(ending="cache"), attempt=False)
    other = PACKET.replace(b"banned", b"cached")
    tables = rig4.tables()
    tables[rig4.address][other[2:]] = rig4.given()._replace(cell=kept.cell, ending=kept.ending)
    for packet in (PACKET, other, other):
        rig4.client.send(packet)
    rig4.receive(tables)
    assert [sum(rig4.region.histogram(ENDINGS.index(ending))[0]) for ending in ("blocked", "cache")] == [1, 2]
    assert {number: count for number, _, count in rig4.region.cells() if count} == {rig4.outcome.cell: 1, kept.cell: 2}


def test_a_datagram_longer_than_any_query_is_cut(rig4):
    rig4.client.send(PACKET + bytes(6000))
    _, ((packet, _, _),) = rig4.receive(rig4.tables())
    assert packet == (PACKET + bytes(6000))[:4096]


@pytest.mark.parametrize("host", list(HOSTS))
def test_both_drains_leave_the_same_behind(host):
    left = []
    for kind in ("plain", "compiled"):
        rig = Rig(kind, host)
        given = rig.given(expires=NOW, stored=NOW - 1000, offsets=TTLS, flags=ATTEMPT, tail=b"x" * 45)
        heard = []
        for number in range(40):
            packet = struct.pack("!H", number) + (PACKET[2:], b"other", b"")[number % 3]
            rig.client.send(packet)
            _, misses = rig.receive(rig.tables(given), NOW - 10.0 + number / 3)
            rig.drain.send([(packet + b"!", peer) for packet, _, peer in misses])
            heard.append(rig.client.recv(4096))
        words = list(rig.region.words)
        words[Word.IDENTITY] = 0  # each memory has its own
        left.append((heard, words, rig.counted(), [record._replace(when=0) for record in taken(rig.region)]))
        rig.close()
    plain, compiled = left
    assert plain == compiled


def test_the_plain_drain_serves_where_no_compiled_one_could_be_built(monkeypatch):
    monkeypatch.setattr(udp, "_udp", None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        assert isinstance(new_drain(sock, Region()), PlainDrain)


def test_only_one_address_of_many_answers(kind):
    """On a wildcard address, each of our addresses answers for itself."""
    rig = Rig(kind, "any4")
    for last in (1, 2, 99):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(2.0)
        client.connect((f"127.0.0.{last}", rig.sock.getsockname()[1]))
        with client:
            client.send(PACKET)
            address = socket.inet_aton(client.getsockname()[0])
            rig.receive({address: {PACKET[2:]: rig.given()}})
            assert client.recv(4096) == PACKET[:2] + ANSWER
            client.send(b"missed")
            _, ((packet, _, peer),) = rig.receive({})
            rig.drain.send([(packet, peer)])
            assert client.recv(4096) == b"missed"
    rig.close()


def test_a_drain_needs_no_file_later(tmp_path):
    """The compiled drain is loaded with the module, before privileges are dropped."""
    code = "import sys, blocker.serve.udp; print('blocker.serve._udp' in sys.modules)"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
