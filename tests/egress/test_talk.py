"""What is said between a worker and the egress process comes across; anything else is refused."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress import talk
from blocker.egress.talk import Answer, Ask, Asks, Banned, Done, Forget, LookedUp, LookUp, Met, Refused, Status
from blocker.errors import TalkError

NAME, ALIAS = b"\3www\7example\0", b"\5alias\7example\0"
V4, V6 = b"\x0a\0\0\1", bytes(15) + b"\1"

SAID = Answer(NAME, 60, [V4, V6], [ALIAS], excepted=True)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (talk.asks(7, [Ask(V4, 60, (V4, V6)), Ask(V6, 0, ())]), Asks(7, [Ask(V4, 60, [V4, V6]), Ask(V6, 0, [])])),
        (talk.asks(0xFFFFFFFF, []), Asks(0xFFFFFFFF, [])),
        (talk.done(7, Status.FULL), Done(7, Status.FULL)),
        (next(talk.forget([V4, V6])), Forget([V4, V6])),
        (talk.forget_all(), Forget([])),
        (talk.met([]), Met([])),
        (talk.met([SAID], 9), Met([SAID], 9)),
        (next(talk.refused([V4, V6], refused=True)), Refused([V4, V6], refused=True)),
        (next(talk.refused([V4], refused=False)), Refused([V4], refused=False)),
        (talk.met([SAID, Answer(b"\0", 0, [])]), Met([SAID, Answer(b"\0", 0, [], [])])),
        (talk.banned([NAME, b"\0"]), Banned([NAME, b"\0"])),
        (talk.look_up(NAME, 28), LookUp(NAME, 28)),
        (talk.looked_up(1, SAID), LookedUp(1, SAID)),
    ],
)
def test_it_comes_across(message, said):
    assert talk.read(message) == said


def test_an_answer_with_very_many_addresses_is_cut():
    wish = Ask(V6, 60, [V6] * 1000)
    message = talk.asks(7, [wish])
    assert talk.read(message) == Asks(7, [Ask(V6, 60, [V6] * talk.MAX_ADDRESSES)])
    assert len(message) <= talk.size(wish) + 5


@pytest.mark.parametrize("say", [talk.forget, partial(talk.refused, refused=True)])
def test_very_many_addresses_are_several_messages(say):
    many = [bytes(12) + number.to_bytes(4) for number in range(10_000)]
    messages = list(say(many))
    assert max(map(len, messages)) <= talk.MAX_MESSAGE
    assert [each for message in messages for each in talk.read(message)[0]] == many
    assert list(say([])) == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"A",
        b"A\1\2",
        b"Z1234",
        b"D\1\0\0\0",
        b"D\1\0\0\0\x09",
        b"D\1\0\0\0\0\0",
        b"F\5abcde",
        b"F\4abc",
        b"B\5\3www",
        b"B\6\3www\xc0\0",
        b"B\0",
        b"L\1\0",
        b"L\1\0" + b"\1\0x",
        b"U\1\0",
        talk.met([SAID])[:-1],
    ],
)
def test_what_nobody_says(message):
    with pytest.raises(TalkError, match="our own processes"):
        talk.read(message)


@given(st.binary(max_size=100), st.sampled_from([b"", b"A", b"D", b"F", b"M", b"B", b"L", b"U", b"R"]))
def test_any_octets_are_read_or_refused(octets, kind):
    try:
        talk.read(kind + octets)
    except TalkError:
        return
