"""Questions on their way: what leaves, which packet is the reply, when to look again."""

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.upstream.exchange import TICK, InFlight, Pending, knows_no_edns, message, question_of
from blocker.wire.query import parse_query
from tests.oracle import COOKIE, ask, said

QUERY = parse_query(ask("WWW.Example.com", options=[COOKIE]))
PORT, IDENT = 7, 4711


def pending(query=QUERY, coin=None):
    return Pending(query.key, query, question_of(query, coin), 0.0, 5.0)


def on_its_way(coin=None):
    """Return a table with one question in it, the question, and the packet that left."""
    table, one = InFlight(), pending(coin=coin)
    table.add(one)
    assert table.sent(one, PORT, IDENT)
    return table, one, message(IDENT, one.query, one.question)


@pytest.mark.parametrize(
    ("packet", "flags", "do"),
    [
        (ask("www.example.com"), "RD AD", False),
        (ask("www.example.com", flags=""), "RD AD", False),  # we want an answer, whatever the client wants
        (ask("www.example.com", flags="RD CD", do=True), "RD AD CD", True),
        (ask("www.example.com", edns=False), "RD AD", False),
    ],
)
def test_what_leaves(packet, flags, do):
    query = parse_query(packet)
    left = dns.message.from_wire(message(IDENT, query, question_of(query)))
    assert (left.id, dns.flags.to_text(left.flags), bool(left.ednsflags & 0x8000)) == (IDENT, flags, do)
    assert (left.payload, left.options, left.edns) == (1232, (), 0)  # no cookie, no client subnet
    assert [str(each) for each in left.question] == ["www.example.com. IN A"]


def test_what_leaves_for_who_knows_no_edns():
    query = parse_query(ask("www.example.com", do=True))
    left = dns.message.from_wire(message(IDENT, query, question_of(query), edns=False))
    assert (dns.flags.to_text(left.flags), left.edns, [str(each) for each in left.question]) == (
        "RD AD", -1, ["www.example.com. IN A"],
    )  # fmt: skip


@given(st.integers(0, 2**64 - 1))
def test_spelling_by_coin(coin):
    spelled = question_of(QUERY, coin)
    assert spelled.lower() == question_of(QUERY).lower()
    assert spelled[-4:] == b"\0\1\0\1"  # the type is no letter
    assert parse_query(message(1, QUERY, spelled)).key == QUERY.key


def test_coins_matter():
    assert question_of(QUERY, 0) == question_of(QUERY) != question_of(QUERY, 2**64 - 1)
    assert question_of(QUERY, 2**64 - 1) == b"\3WWW\7EXAMPLE\3COM\0\0\1\0\1"


def altered(wire, at, value):
    return wire[:at] + value + wire[at + len(value) :]


@pytest.mark.parametrize(
    ("alter", "port", "matches"),
    [
        (lambda wire: wire, PORT, True),
        (lambda wire: wire, PORT + 1, False),  # another socket
        (lambda wire: altered(wire, 0, b"\0\1"), PORT, False),  # another id
        (lambda wire: altered(wire, 2, b"\1"), PORT, False),  # a query, not a reply
        (lambda wire: altered(wire, 4, b"\0\0"), PORT, False),  # no question
        (lambda wire: altered(wire, 4, b"\0\2"), PORT, False),
        (lambda wire: altered(wire, 13, b"wwx"), PORT, False),  # another name
        (lambda wire: altered(wire, 13, b"wwW"), PORT, False),  # another spelling
        (lambda wire: altered(wire, 30, b"\x1c"), PORT, False),  # another type
        (lambda wire: altered(wire, 32, b"\3"), PORT, False),  # another class
        (lambda wire: wire[:11], PORT, False),
        (lambda wire: wire[:20], PORT, False),
        (lambda wire: wire[:2] + b"\x81\x81" + bytes(8), PORT, True),  # FORMERR: it could not read the question
        (lambda wire: wire[:2] + b"\x81\x84" + bytes(8), PORT, True),
        (lambda wire: wire[:2] + b"\x81\x80" + bytes(8), PORT, False),  # whoever could must repeat it
        (lambda wire: wire[:2] + b"\x81\x81" + bytes(7), PORT, False),
        (lambda wire: wire[:2] + b"\x01\x01" + bytes(8), PORT, False),  # a query
        (lambda wire: b"", PORT, False),
    ],
)
def test_match(alter, port, matches):
    table, one, left = on_its_way()
    assert (table.match(alter(said(left, "www.example.com 60 A 192.0.2.1")), port) is one) is matches


def test_the_spelling_must_come_back():
    table, one, left = on_its_way(coin=0b0110)
    reply = said(left, "www.example.com 60 A 192.0.2.1")
    assert table.match(reply, PORT) is one
    assert table.match(altered(reply, 12, question_of(QUERY)), PORT) is None


@pytest.mark.parametrize(
    ("said", "knows_none"),
    [("8181 0001 0000 0000 0000", True), ("8184 0001 0000 0000 0000", True), ("8181 0001 0000 0000 0001", False),
     ("8182 0001 0000 0000 0000", False), ("8180 0001 0000 0000 0000", False)],
)  # fmt: skip
def test_who_knows_no_edns(said, knows_none):
    assert knows_no_edns(b"\0\0" + bytes.fromhex(said)) is knows_none


@given(st.binary(max_size=60), st.integers(0, 20))
def test_strangers_match_nothing(packet, port):
    table, one, left = on_its_way()
    assert table.match(packet, port) is None
    assert table.match(left[:2] + packet, PORT) in (None, one)


def test_a_pair_of_port_and_id_belongs_to_one():
    table, one, _ = on_its_way()
    other = pending(parse_query(ask("other.example")))
    table.add(other)
    assert not table.sent(other, PORT, IDENT)
    assert table.sent(other, PORT, IDENT + 1)
    assert table.sent(pending(parse_query(ask("third.example"))), PORT + 1, IDENT)
    assert table.get(QUERY.key) is one
    assert len(table) == 2


def test_a_late_answer_to_an_earlier_attempt_is_an_answer():
    table, one, left = on_its_way()
    assert table.sent(one, PORT + 1, IDENT + 1)
    later = message(IDENT + 1, QUERY, one.question)
    assert table.match(said(left), PORT) is one
    assert table.match(said(later), PORT + 1) is one
    assert table.match(said(later), PORT) is None
    assert not table.sent(pending(parse_query(ask("other.example"))), PORT, IDENT)  # still taken
    table.remove(one)
    assert table.match(said(left), PORT) is table.match(said(later), PORT + 1) is None
    assert table.sent(pending(parse_query(ask("other.example"))), PORT, IDENT)


def test_who_waits_on_a_socket():
    table, one, _ = on_its_way()
    other = pending(parse_query(ask("other.example")))
    assert table.sent(other, PORT, IDENT + 1)
    assert table.sent(pending(parse_query(ask("third.example"))), PORT + 1, IDENT)
    assert table.on_port(PORT) == [one, other]
    assert table.on_port(PORT + 2) == []


def test_who_was_sent_twice_from_a_socket_waits_there_once():
    table, one, _ = on_its_way()
    assert table.sent(one, PORT, IDENT + 1)
    assert len(table.on_port(PORT)) == 1


def test_what_is_settled_is_forgotten():
    table, one, left = on_its_way()
    table.wake_at(one, 1.0)
    table.remove(one)
    assert (table.match(said(left), PORT), table.get(QUERY.key), len(table)) == (None, None, 0)
    assert table.due(10.0) == []
    table.remove(one)  # twice does no harm


def woken(table, until, step=TICK / 2, start=0.0):
    """Return (time, question) of everything that is due while the clock runs by small steps."""
    found, steps = [], int((until - start) / step)
    for number in range(steps + 1):
        now = start + number * step
        found += [(now, each) for each in table.due(now)]
    return found


@pytest.mark.parametrize("when", [0.0, 0.01, 0.02, 0.31, 1.0, 1.019, 1.02])
def test_due_in_time_and_once(when):
    table, one, _ = on_its_way()
    table.wake_at(one, when)
    ((now, found),) = woken(table, 2.0)
    assert found is one
    assert when <= now <= when + 2 * TICK


def test_the_last_wake_counts():
    table, one, _ = on_its_way()
    for when in (0.5, 1.5, 1.0):
        table.wake_at(one, when)
    assert [round(now, 1) for now, _ in woken(table, 2.0)] == [1.0]


def test_woken_twice_for_the_same_time_it_is_due_once():
    """Else whoever settles it would settle it twice: as when a socket's error repeats while it waits for its end."""
    table, one, _ = on_its_way()
    table.wake_at(one, 1.0)
    table.wake_at(one, 1.0)
    assert [found for _, found in woken(table, 2.0)] == [one]


def test_woken_again_for_a_time_that_has_come():
    table, one, _ = on_its_way()
    table.wake_at(one, 0.5)
    assert table.due(1.0) == [one]
    table.wake_at(one, 0.5)  # in the past: at the next tick
    assert table.due(1.0) == []
    assert table.due(1.0 + TICK) == [one]


@pytest.mark.parametrize("jump", [1.0, 3600.0, 1e7])
def test_the_clock_may_run_far(jump):
    table, one, _ = on_its_way()
    other = pending(parse_query(ask("other.example")))
    table.wake_at(one, 0.5)
    table.wake_at(other, jump + 10)
    assert table.due(jump) == [one]
    assert woken(table, jump + 9, step=1.0, start=jump) == []
    assert table.due(jump + 11) == [other]


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 0.5)), max_size=20))
def test_nobody_is_early_or_forgotten(times):
    """Each is due once, at its time or up to two ticks (and the step of the clock) later."""
    table, waiting, now = InFlight(), [], 100.0
    for number, (delay, step) in enumerate(times):
        one = pending(parse_query(ask(f"n{number}.example")))
        table.wake_at(one, now + delay)
        waiting.append(one)
        now += step
        for found in table.due(now):
            assert found.wake <= now or found.wake == 0.0
            waiting.remove(found)
    for found in table.due(now + 6):
        waiting.remove(found)
    assert waiting == []
