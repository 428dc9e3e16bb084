"""Learning from what workers say, into the kernel's sets and into a file."""

import errno
import threading
import time

import pytest

from blocker import names
from blocker.config import Learning as Bounds
from blocker.egress import learned, talk
from blocker.egress.learner import Learner
from blocker.egress.questions import Question
from blocker.egress.talk import Answer, Banned, Done, LookedUp, Met, Refused, Status
from tests.egress.test_gatekeeper import Fake

BANNED, BELOW, ALLOWED, NEEDED, CDN = (
    names.from_text(text)
    for text in ("banned.example", "a.banned.example", "allowed.example", "needed.example", "x.cdn.example")
)
ONE, TWO, SIX = b"\xc6\x33\x64\1", b"\xc6\x33\x64\2", b"\x20\1\x0d\xb8" + bytes(11) + b"\1"


class Lists:
    """What known.Known says, in a few words."""

    apps = frozenset({"tiktok"})

    def banned(self, name):
        return "tiktok" if name.endswith(BANNED) else None

    def needed(self, name):
        return name == NEEDED

    def wants(self, name):
        return name.endswith(BANNED) or name == NEEDED

    def names(self):
        return [NEEDED, BANNED]

    def shared_at(self, chain):
        return next((CDN[2:] for name in chain if name.endswith(CDN[2:])), None)

    def is_own(self, address):
        return address == b"\xc6\x33\x64\x63"


class Rig:
    """A learner without its thread."""

    def __init__(self, folder, kernel=None, known=True, **bounds):
        self.kernel = kernel or Fake()
        self.asked = []
        self.folder = folder
        self.said = []
        self.learner = Learner(self.kernel, self.ask, self.said.append, folder)
        self.now = 0.0
        if known:
            self.learner.adopt(Lists(), Bounds(**{"probation": 0, "rate": 100, **bounds}))
            self.step()

    def ask(self, question):
        self.asked.append(question)
        return True

    def step(self, *messages):
        self.said.clear()
        for each in messages:
            self.learner.hear(each, self.said.append)
        for _ in range(max(1, len(messages))):
            assert self.learner.step(self.now)

    def look(self, later=0.0):
        self.now += later
        self.learner.look(self.now)

    def told(self):
        self.learner.tell(self.now)
        return learned.read(self.folder)

    def heard(self):
        return [talk.read(message) for message in self.said]

    @property
    def refused(self):
        return {(name, key) for name, key in self.kernel.held}


def found(name, *addresses, qtype=1, ttl=300, aliases=()):
    return LookedUp(qtype, Answer(name, ttl, addresses, aliases))


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def test_what_it_asks(rig):
    rig.look(1.0)
    assert rig.asked == [Question(name, qtype) for name in (NEEDED, BANNED) for qtype in (1, 28)]
    rig.step(Banned([BELOW, ALLOWED]))  # of those that devices ask for, the banned ones
    rig.asked.clear()
    rig.look(1.0)
    assert {question.name for question in rig.asked} == {BELOW}


def test_names_that_lead_nowhere_take_no_room(rig):
    rig.look(1.0)
    rig.step(Banned([BELOW]))
    rig.step(found(BELOW), found(BELOW, SIX, qtype=28), found(BANNED), found(BANNED, qtype=28))
    rig.asked.clear()
    rig.look(4000.0)
    rig.look(1.0)
    assert {each for each in rig.asked if each.name == BELOW} == {Question(BELOW, 28)}
    assert {each for each in rig.asked if each.name == BANNED} == {
        Question(BANNED, 1),
        Question(BANNED, 28),
    }  # a list's


def test_what_it_refuses_and_lets_go(rig):
    rig.step(found(BANNED, ONE, TWO), found(BANNED, SIX, qtype=28))
    assert rig.refused == {("learned_tiktok_4", ONE), ("learned_tiktok_4", TWO), ("learned_tiktok_6", SIX)}
    rig.step(Met([Answer(ALLOWED, 60, [ONE]), Answer(BELOW, 60, [TWO])]))  # in a group that may have it
    assert rig.refused == {("learned_tiktok_4", TWO), ("learned_tiktok_6", SIX)}
    said = rig.told()
    assert said.refused == {"tiktok": 2}
    assert said.guarded == {"tiktok allowed": 1}
    (one,) = [each for each in said.addresses if each.address == "198.51.100.1"]
    assert (one.state, one.reason, one.by) == ("left alone", "allowed", "allowed.example")


def test_what_it_tells_the_workers(rig):
    rig.step(found(BANNED, ONE))
    assert rig.heard() == [Refused([ONE], refused=True)]
    rig.step(Met([]))  # another worker
    assert rig.heard() == [Refused([ONE], refused=True)]
    rig.step(Met([Answer(ALLOWED, 60, [ONE])], 7))
    assert rig.heard() == [Refused([ONE], refused=False), Done(7, Status.OPEN)]  # only then the answer may go
    rig.step(Met([Answer(BELOW, 60, [ONE])], 8))
    assert rig.heard() == [Done(8, Status.OPEN)]
    rig.step(Met([]))
    assert rig.heard() == []


def test_whoever_waits_hears_of_it_also_while_nothing_is_learned(tmp_path):
    rig = Rig(tmp_path, known=False)
    rig.step(Met([Answer(ALLOWED, 60, [ONE])], 7))
    assert rig.heard() == [Done(7, Status.OPEN)]


@pytest.mark.parametrize(
    ("before", "message", "reason"),
    [
        ([], found(BANNED, ONE, aliases=[CDN]), "shared"),
        ([found(NEEDED, ONE)], found(BANNED, ONE), "must-resolve"),
        ([Met([Answer(ALLOWED, 60, [ONE])])], found(BANNED, ONE), "allowed"),
        ([Met([Answer(BELOW, 60, [ONE], excepted=True)])], found(BANNED, ONE), "allowed"),  # somebody may have it
        ([], found(BANNED, b"\xc6\x33\x64\x63"), "own"),
    ],
)
def test_what_it_leaves_alone(rig, before, message, reason):
    rig.step(*before, message)
    assert rig.refused == set()
    assert rig.told().guarded == {f"tiktok {reason}": 1}


def test_what_nobody_asked_about_teaches_nothing(rig):
    rig.step(found(ALLOWED, ONE))
    assert rig.told().addresses == ()


def test_it_watches_first(tmp_path):
    rig = Rig(tmp_path, probation=60)
    rig.step(found(BANNED, ONE))
    rig.look(59.0)
    assert rig.refused == set()
    assert rig.told().addresses[0].state == "watched"
    rig.look(1.0)
    assert rig.refused == {("learned_tiktok_4", ONE)}


def test_what_a_former_process_had_learned_can_be_let_go(tmp_path):
    rig = Rig(tmp_path, Fake({("learned_tiktok_4", ONE): 60_000}))
    assert rig.told().refused == {"tiktok": 1}
    rig.step(Met([Answer(ALLOWED, 60, [ONE])]))
    assert rig.refused == set()


def test_what_is_said_before_we_know_what_is_in_force_counts(tmp_path):
    """After a restart workers are faster than the rules: their answers to devices have left already."""
    rig = Rig(tmp_path, Fake({("learned_tiktok_4", ONE): 60_000, ("learned_tiktok_4", TWO): 60_000}), known=False)
    rig.step(Met([]), Met([Answer(ALLOWED, 60, [ONE])], 7))
    assert rig.heard() == [Done(7, Status.OPEN)]
    rig.learner.adopt(Lists(), Bounds(probation=0))
    rig.step()
    assert rig.refused == {("learned_tiktok_4", TWO)}
    assert rig.heard()[-1] == Refused([ONE], refused=False)


def test_learning_is_switched_off_and_on(rig):
    rig.step(found(BANNED, ONE))
    assert rig.told().refused == {"tiktok": 1}
    rig.learner.adopt(None, Bounds())
    rig.step()
    assert rig.heard() == [Refused([ONE], refused=False)]
    assert learned.read(rig.folder).addresses == ()  # without another look
    rig.kernel.held.clear()  # the set goes with the rules
    rig.step(Met([Answer(ALLOWED, 60, [TWO])]))
    rig.look(10_000.0)
    rig.learner.adopt(Lists(), Bounds(probation=0, rate=100))
    rig.step()
    assert (rig.refused, rig.heard()) == (set(), [])
    rig.look(1.0)
    assert {question.name for question in rig.asked} == {NEEDED, BANNED}
    rig.step(found(BANNED, ONE))
    assert rig.refused == {("learned_tiktok_4", ONE)}


def test_sets_that_were_made_anew_are_filled_again(rig):
    rig.step(found(BANNED, ONE))
    rig.kernel.held.clear()
    rig.learner.adopt(Lists(), Bounds(probation=0))
    rig.step()
    assert rig.refused == {("learned_tiktok_4", ONE)}


def test_when_nothing_is_to_be_learned(tmp_path):
    rig = Rig(tmp_path, known=False)
    rig.step(found(BANNED, ONE))
    rig.look(1.0)
    assert (rig.refused, rig.asked) == (set(), [])
    rig.learner.adopt(None, Bounds())
    rig.step()
    rig.look(1.0)
    assert rig.asked == []


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENFILE])
def test_a_set_that_is_not_there_or_full_stops_no_other(rig, number):
    rig.kernel.refused = {ONE: number}
    rig.step(found(BANNED, ONE), found(BANNED, SIX, qtype=28))
    assert rig.refused == {("learned_tiktok_6", SIX)}


def test_a_file_that_cannot_be_written_stops_nothing(rig):
    (rig.folder / "learned.json.draft").mkdir()
    rig.learner.tell(0.0)
    rig.step(found(BANNED, ONE))
    assert rig.refused == {("learned_tiktok_4", ONE)}


def test_when_no_worker_can_ask_the_questions_come_again_soon(tmp_path):
    rig = Rig(tmp_path)
    left = iter([True])
    rig.learner._look_up = lambda question: next(left, False) and rig.ask(question)
    rig.look(1.0)
    assert len(rig.asked) == 1
    rig.learner._look_up = rig.ask
    rig.look(0.5)
    assert len(rig.asked) == 1
    rig.look(0.5)
    assert len(set(rig.asked)) == len(rig.asked) == 4


def test_as_a_thread(tmp_path):
    rig = Rig(tmp_path, known=False)
    heard = threading.Event()
    rig.learner._look_up = lambda question: heard.set() or True
    rig.learner.start()
    rig.learner.adopt(Lists(), Bounds(probation=0))
    assert heard.wait(10)
    rig.learner.hear(found(BANNED, ONE), rig.said.append)
    deadline = time.monotonic() + 10
    while not rig.refused:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    rig.learner.stop()
