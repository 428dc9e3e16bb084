import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress.answers import Answers
from tests.egress.wire import DEVICE, packed
from tests.oracle import ask, said

CLIENT = packed(DEVICE)


@pytest.mark.parametrize(("qtype", "records", "address"), [
    ("A", "x.example 60 A 198.51.100.7", "198.51.100.7"),
    ("A", "x.example 60 CNAME y.example\ny.example 60 A 198.51.100.7", "198.51.100.7"),
    ("AAAA", "x.example 60 AAAA 2001:db8::7", "2001:db8::7"),
    ("HTTPS", "x.example 60 HTTPS 1 . ipv4hint=198.51.100.7", "198.51.100.7"),
])  # fmt: skip
def test_what_a_device_was_told(qtype, records, address):
    answers = Answers(grace=100)
    answers.hear(CLIENT, said(ask("x.example", qtype), records), 0.0)
    assert answers.knows(CLIENT, packed(address), 159.0)
    assert not answers.knows(CLIENT, packed(address), 161.0)  # time to live and grace are over
    assert not answers.knows(packed("192.0.2.10"), packed(address), 1.0)  # another device was not told


@pytest.mark.parametrize("message", [
    b"", ask("x.example"), said(ask("x.example"), flags="TC"), said(ask("x.example"), "x.example 60 A 192.0.2.1")[:-3],
])  # fmt: skip
def test_what_is_no_answer(message):
    answers = Answers()
    answers.hear(CLIENT, message, 0.0)
    assert len(answers) == 0


@given(st.binary(max_size=200))
def test_any_octets(message):
    Answers().hear(CLIENT, b"\0\0\x80\0\0\1" + message, 0.0)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("blocker.egress.answers._MOST", 100)
    answers = Answers(grace=0)
    for number in range(500):
        answers.told(CLIENT, (number.to_bytes(4),), 1, float(number))
    assert len(answers) <= 100
    assert answers.knows(CLIENT, (499).to_bytes(4), 499.5)
    for number in range(500):
        answers.told(CLIENT, (number.to_bytes(4),), 9999, 0.0)
    assert len(answers) <= 100
