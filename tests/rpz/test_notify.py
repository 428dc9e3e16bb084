"""NOTIFY: told again until answered, and heard from primaries alone."""

from ipaddress import ip_address
from itertools import pairwise

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.config import Endpoint, RpzImport
from blocker.rpz.notify import PAUSES, Notifier, receive

A = Endpoint(ip_address("192.0.2.1"), 53)
B = Endpoint(ip_address("192.0.2.2"), 53)
KEY = dns.tsig.Key("both", b"0123456789abcdef0123456789abcdef", "hmac-sha256")
KEYRING = {KEY.name: KEY}
OPEN = RpzImport(zone="open.example", primaries=("192.0.2.1",), app="x")
SIGNED = RpzImport(zone="signed.example", primaries=("192.0.2.1:5300", "192.0.2.3"), app="y", key="both")


def sent(notifier, now):
    return [(target, packet) for target, packet in notifier.due(now)]


def test_told_again_until_it_is_hopeless():
    notifier = Notifier()
    notifier.begin("rpz.example", [A], None, 100.0)
    times = [now / 2 for now in range(200, 600) if sent(notifier, now / 2)]
    assert [later - earlier for earlier, later in pairwise(times)] == list(PAUSES[:-1])
    assert (notifier.waiting, notifier.gave_up) == (0, 1)


def test_who_answers_is_left_alone():
    notifier = Notifier()
    notifier.begin("rpz.example", [A, B], None, 0.0)
    packets = dict(sent(notifier, 0.0))
    assert not notifier.heard(packets[A], B)
    assert not notifier.heard(b"\0\0" + packets[A][2:] if packets[A][:2] != b"\0\0" else b"\1\1", A)
    assert notifier.heard(packets[A], A)
    assert [target for target, _ in sent(notifier, 1.0)] == [B]


def test_a_newer_change_begins_anew():
    notifier = Notifier()
    notifier.begin("rpz.example", [A], None, 0.0)
    (old,) = sent(notifier, 0.0)
    notifier.begin("rpz.example", [A], None, 0.5)
    (new,) = sent(notifier, 0.5)
    assert notifier.waiting == 1
    assert (notifier.heard(old[1], A), notifier.heard(new[1], A)) == (old[1][:2] == new[1][:2], True)


def test_what_is_sent():
    notifier = Notifier()
    notifier.begin("rpz.example", [A], KEY, 0.0)
    ((_, packet),) = sent(notifier, 0.0)
    message = dns.message.from_wire(packet, keyring=KEYRING)
    assert (message.opcode(), message.had_tsig, bool(message.flags & dns.flags.AA)) == (dns.opcode.NOTIFY, True, True)
    assert str(message.question[0]) == "rpz.example. IN SOA"


def notice(zone, key=None):
    message = dns.message.make_query(zone, "SOA")
    message.set_opcode(dns.opcode.NOTIFY)
    if key:
        message.use_tsig(key)
    return message.to_wire()


@pytest.mark.parametrize(("zone", "key", "source", "heard"), [
    ("open.example", None, "192.0.2.1", "open.example"),
    ("OPEN.example", None, "192.0.2.1", "open.example"),
    ("open.example", None, "192.0.2.9", ""),  # not a primary
    ("signed.example", KEY, "192.0.2.3", "signed.example"),
    ("signed.example", None, "192.0.2.3", ""),  # not signed
    ("other.example", None, "192.0.2.1", ""),
])  # fmt: skip
def test_heard(zone, key, source, heard):
    found, reply = receive(notice(zone, key), ip_address(source), [OPEN, SIGNED], KEYRING)
    assert found == heard
    assert reply[3] & 0xF == (dns.rcode.NOERROR if heard else dns.rcode.REFUSED)


@given(st.binary(max_size=100))
def test_any_octets(octets):
    assert receive(octets, A.address, [OPEN, SIGNED], KEYRING)[0] in ("", "open.example")
