"""What a primary says, read back by dnspython: to whom, what, and signed how."""

from collections import Counter
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.rpz import wire
from blocker.rpz.history import History
from blocker.rpz.intake import Intake
from blocker.rpz.notify import receive
from blocker.rpz.serve import Primary, Served

NAME = "rpz.example"
ORIGIN = dns.name.from_text(NAME)
FRIEND, STRANGER = ip_address("192.0.2.1"), ip_address("192.0.2.2")
KEY = dns.tsig.Key("both", b"0123456789abcdef0123456789abcdef", "hmac-sha256")
OTHER = dns.tsig.Key("both", b"fedcba9876543210fedcba9876543210", "hmac-sha256")
FOREIGN = dns.tsig.Key("theirs", b"0123456789abcdef0123456789abcdef", "hmac-sha256")
VERSIONS = (["a CNAME .\n", "*.a CNAME .\n", "b A 192.0.2.9\n", "b AAAA ::9\n"],
            ["*.a CNAME .\n", "b A 192.0.2.9\n", "b AAAA ::9\n", "c CNAME rpz-passthru.\n"],
            ["*.a CNAME .\n", "b A 192.0.2.9\n", "b AAAA ::9\n"])  # fmt: skip


def primary(folder, key=KEY, versions=VERSIONS):
    history = History(folder, names.from_text(NAME))
    for at, lines in enumerate(versions):
        history.publish(lines, 60, 100 + at)
    counted = Counter()
    served = Served(NAME, history, frozenset([FRIEND]), key and key.name)
    return Primary([served], {KEY.name: KEY}, counted), counted


def query(kind, key=KEY, serial=None, zone=NAME):
    made = dns.message.make_query(zone, kind, flags=0)
    if serial is not None:
        made.authority.append(dns.rrset.from_text(ORIGIN, 0, "IN", "SOA", f". . {serial} 0 0 0 0"))
    if key:
        made.use_tsig(key)
    return made, made.to_wire()


def stream(found, made, packet, source=FRIEND):
    """Return the messages of an answer, each with its signature verified."""
    context, messages = None, []
    for answer in found.over_tcp(packet, source):
        message = dns.message.from_wire(
            answer, keyring={KEY.name: KEY}, request_mac=made.mac, tsig_ctx=context, multi=True, xfr=True,
            one_rr_per_rrset=True,
        )  # fmt: skip
        context = message.tsig_ctx
        messages.append(message)
    return messages


def records(messages):
    return [(rrset.name, rdata) for message in messages for rrset in message.answer for rdata in rrset]


@pytest.mark.parametrize("key", [KEY, None], ids=["signed", "not signed"])
def test_the_whole_zone(tmp_path, key):
    found, counted = primary(tmp_path, key)
    messages = stream(found, *query("AXFR", key))
    kept = []
    intake = Intake(ORIGIN, None, 100, kept.append)
    for name, rdata in records(messages):
        intake.take(name, rdata)
    intake.end()
    assert kept == [line.lower() for line in VERSIONS[-1]]
    assert all(message.had_tsig == bool(key) for message in messages)
    assert counted == {(NAME, "axfr", "success"): 1}


@pytest.mark.parametrize(("serial", "kind", "shown"), [
    (100, "ixfr", ["102", "100", "-a", "101", "+c", "101", "-c", "102", "102"]),
    (101, "ixfr", ["102", "101", "-c", "102", "102"]),
])  # fmt: skip
def test_steps(tmp_path, serial, kind, shown):
    found, counted = primary(tmp_path)
    taken = records(stream(found, *query("IXFR", serial=serial)))
    serials = [str(rdata.serial) if rdata.rdtype == 6 else str(name.relativize(ORIGIN)) for name, rdata in taken]
    assert serials == [each.lstrip("+-") for each in shown]
    assert counted == {(NAME, kind, "success"): 1}


def test_unknown_serials_get_the_whole_zone(tmp_path):
    found, counted = primary(tmp_path)
    taken = records(stream(found, *query("IXFR", serial=7)))
    assert len(taken) == 2 + 1 + len(VERSIONS[-1])
    assert counted == {(NAME, "axfr", "success"): 1}


@pytest.mark.parametrize("serial", [102, 103])
def test_who_is_up_to_date_hears_so(tmp_path, serial):
    found, _ = primary(tmp_path)
    assert [rdata.serial for _, rdata in records(stream(found, *query("IXFR", serial=serial)))] == [102]


def test_a_large_zone_comes_in_many_messages_each_signed(tmp_path):
    lines = [f"n{at}.example CNAME .\n" for at in range(10_000)]
    found, _ = primary(tmp_path, versions=[lines])
    messages = stream(found, *query("AXFR"))
    assert len(messages) > 3
    assert all(message.had_tsig for message in messages)
    assert len(records(messages)) == 10_003


def test_a_transfer_that_is_broken_off_has_failed(tmp_path):
    found, counted = primary(tmp_path, versions=[[f"n{at}.example CNAME .\n" for at in range(10_000)]])
    messages = found.over_tcp(query("AXFR")[1], FRIEND)
    next(messages)
    messages.close()
    assert counted == {(NAME, "axfr", "failed"): 1}


@pytest.mark.parametrize(("kind", "key", "zone", "source", "rcode"), [
    ("AXFR", None, NAME, FRIEND, dns.rcode.REFUSED),  # not signed
    ("AXFR", KEY, NAME, STRANGER, dns.rcode.REFUSED),  # signed, but from elsewhere
    ("SOA", KEY, NAME, STRANGER, dns.rcode.REFUSED),
    ("AXFR", OTHER, NAME, FRIEND, dns.rcode.NOTAUTH),  # another secret
    ("AXFR", FOREIGN, NAME, FRIEND, dns.rcode.NOTAUTH),  # a key that we do not have
    ("AXFR", KEY, "other.example", FRIEND, dns.rcode.REFUSED),
    ("A", KEY, NAME, FRIEND, dns.rcode.REFUSED),
    ("ANY", KEY, NAME, FRIEND, dns.rcode.REFUSED),
])  # fmt: skip
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_everybody_else_is_refused(tmp_path, kind, key, zone, source, rcode, transport):
    found, counted = primary(tmp_path)
    packet = query(kind, key, zone=zone)[1]
    answers = [found.over_udp(packet, source)] if transport == "udp" else list(found.over_tcp(packet, source))
    (answer,) = answers
    assert answer[3] & 0xF == rcode
    assert int.from_bytes(answer[6:8]) == 0, "no records"
    assert {labels[2] for labels in counted} == {"refused"}


def test_over_udp_the_soa_alone(tmp_path):
    found, _ = primary(tmp_path)
    for kind in ("SOA", "IXFR"):
        made, packet = query(kind, serial=100 if kind == "IXFR" else None)
        answer = dns.message.from_wire(found.over_udp(packet, FRIEND), keyring={KEY.name: KEY}, request_mac=made.mac)
        assert [rdata.serial for _, rdata in records([answer])] == [102]
        assert answer.flags & dns.flags.AA
    assert found.over_udp(query("AXFR")[1], FRIEND)[3] & 0xF == dns.rcode.REFUSED


def test_who_is_known(tmp_path):
    found, _ = primary(tmp_path)
    assert (found.knows(FRIEND), found.knows(STRANGER)) == (True, False)


@pytest.mark.parametrize("ident", [b"\0\0", b"\1\0"])
def test_a_question_whose_name_points_into_the_header(tmp_path, ident):
    packet = ident + b"\0\0\0\1\0\0\0\0\0\0\xc0\0\0\6\0\1"  # the parser reads a name there
    assert primary(tmp_path)[0].over_udp(packet, STRANGER)[:2] == ident
    notify_of_it = packet[:2] + b"\x20" + packet[3:]
    assert receive(notify_of_it, STRANGER, [], {})[0] == ""


@given(st.binary(max_size=100))
def test_any_octets(tmp_path_factory, octets):
    found, _ = primary(tmp_path_factory.getbasetemp() / "fuzz")
    answer = found.over_udp(octets, FRIEND)
    assert answer is None or answer[:2] == octets[:2]
    for message in found.over_tcp(octets, FRIEND):
        assert message[:2] == octets[:2]


@pytest.mark.parametrize("line", ["a.b CNAME *.\n", "*.x A 192.0.2.1\n", r"a\.b.c AAAA ::1" + "\n"])
def test_a_line_becomes_the_record_that_it_says(line):
    octets = wire.encoder(30)(line)
    header = bytes(4) + b"\0\1\0\1" + bytes(4)
    message = dns.message.from_wire(header + names.from_text(NAME) + b"\0\6\0\1" + octets)
    (rrset,) = message.answer
    owner, kind, rdata = line.split()
    assert (rrset.name, rrset.ttl) == (dns.name.from_text(f"{owner}.{NAME}"), 30)
    assert f"{dns.rdatatype.to_text(rrset.rdtype)} {rrset[0]}" == f"{kind} {rdata}"
