import pytest

from blocker.egress import cut, framing
from blocker.egress.cut import Cut
from blocker.egress.elements import Drop
from tests.egress.wire import DEVICE, DEVICE_6, SERVER, SERVER_6, packed

V4 = Cut(packed(DEVICE), packed(SERVER), 6, 40000, 443)
V6 = Cut(packed(DEVICE_6), packed(SERVER_6), 17, 40000, 443)


@pytest.mark.parametrize("which", [V4, V6])
def test_a_message_says_what_it_was_made_of(which):
    assert cut.decode(cut.encode(which)) == which


@pytest.mark.parametrize("octets", [
    b"", b"x", cut.encode(V4)[:-1], cut.encode(V4) + b"x", cut.encode(V4) + bytes(2), b"\x01" + cut.encode(V4)[1:],
])  # fmt: skip
def test_what_is_no_message(octets):
    assert cut.decode(octets) is None


@pytest.mark.parametrize(("which", "name", "key"), [
    (V4, "cut_4", "c0000209 c6336407 06000000 9c400000 01bb0000"),
    (V6, "cut_6", "20010db8000000000000000000000009 20010db8000500000000000000000007 11000000 9c400000 01bb0000"),
])  # fmt: skip
def test_the_element_that_the_rules_refuse(which, name, key):
    change = cut.change(which)
    assert (change.set, change.elements[0].key.hex()) == (name, key.replace(" ", ""))
    assert change.elements[0].left == 300_000
    assert cut.let_go([cut.pair(which)]) == [Drop(name, [change.elements[0].key])]


def test_quic_may_go_on_from_another_port_and_tcp_may_not():
    assert cut.moved(V4) == []
    (change,) = cut.moved(V6)
    key = "20010db8000000000000000000000009 20010db8000500000000000000000007 01bb0000"
    assert (change.set, change.elements[0].key.hex()) == ("moved_6", key.replace(" ", ""))


def test_the_request_to_forget_a_connection_is_of_the_length_that_it_says():
    wire = cut.forget(V4, 7)
    assert int.from_bytes(wire[:4], "little") == len(wire)
    assert next(iter(framing.messages(wire)))[:2] == (0x0102, 7)


def test_a_sight_is_cut_by_its_transport():
    assert cut.of(V6.client, V6.destination, "udp", 40000, 443) == V6
