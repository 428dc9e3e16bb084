"""Answers already given: who reads which table, and when they go."""

import pytest

from blocker import fast
from blocker.fast import FOREVER, Fast, Given
from blocker.policy import Gate, Policy
from tests.oracle import ask

STAFF, GUESTS = Policy("staff", {}), Policy("guests", {})
GIVEN = Given(b"answer", FOREVER, 0, (), 1, 0, 0, b"")
ALICE, BOB, CAROL = b"\x0a\0\0\1", b"\x0a\0\0\2", bytes(16)


@pytest.fixture
def table():
    found = Fast()
    for client, policy in ((ALICE, STAFF), (BOB, GUESTS), (CAROL, STAFF)):
        found.remember(client, policy)
    found.put(STAFF, ALICE, ask("www.example.com", ident=1), GIVEN)
    return found


@pytest.mark.parametrize(
    ("client", "packet", "found"),
    [
        (ALICE, ask("www.example.com", ident=2), True),  # the id does not matter
        (CAROL, ask("www.example.com"), True),  # the same policy
        (BOB, ask("www.example.com"), False),  # another policy
        (b"\x0a\0\0\3", ask("www.example.com"), False),  # nobody we know yet
        (ALICE, ask("wWw.example.com"), False),  # the spelling comes back, so it matters
        (ALICE, ask("www.example.com", "AAAA"), False),
        (ALICE, ask("www.example.com", do=True), False),
        (ALICE, ask("www.example.com", flags=""), False),
        (ALICE, ask("www.example.com", size=512), False),
        (ALICE, ask("www.example.com", edns=False), False),
    ],
)
def test_found(table, client, packet, found):
    assert (table.by_address.get(client, {}).get(packet[2:]) == GIVEN) is found


def test_clear_forgets_answers_and_clients(table):
    table.clear()
    assert table.by_address == {}
    table.remember(ALICE, STAFF)
    assert table.by_address[ALICE] == {}


def test_answers_are_bounded_over_all_policies():
    table = Fast(limit=6000)
    table.remember(ALICE, STAFF)
    for number in range(50):
        table.put(GUESTS if number % 2 else STAFF, ALICE, ask(f"n{number}.example"), GIVEN)
        assert table.size <= 6000
        assert len(table.by_address[ALICE]) <= 10
    assert table.by_address[ALICE][ask("n48.example")[2:]] == GIVEN  # the newest is always there


def test_clients_are_bounded(table, monkeypatch):
    monkeypatch.setattr(fast, "MAX_ADDRESSES", 10)
    for number in range(25):
        table.remember(bytes((10, 0, 1, number)), STAFF)
        assert len(table.by_address) <= 10
    assert ask("www.example.com")[2:] in table.by_address[bytes((10, 0, 1, 24))]  # who is forgotten loses no answer


GATED = Policy("gated", {}, gate=Gate.ENFORCE)


def test_behind_the_gate_everybody_has_a_table_of_their_own(table):
    for client in (ALICE, BOB, CAROL):
        table.remember(client, GATED)
    for client in (ALICE, BOB):
        table.put(GATED, client, ask("www.example.com"), GIVEN)
    key = ask("www.example.com")[2:]
    assert [key in table.by_address[client] for client in (ALICE, BOB, CAROL)] == [True, True, False]
    table.forget(ALICE)
    assert [key in table.by_address[client] for client in (ALICE, BOB, CAROL)] == [False, True, False]
    table.forget_own()
    assert not any(table.by_address.values())
    table.remember(CAROL, STAFF)
    assert table.by_address[CAROL][key] == GIVEN  # others' tables are none of the gate's business
    table.forget(CAROL)
    assert table.by_address[CAROL][key] == GIVEN


def test_tables_of_their_own_are_bounded_too(monkeypatch):
    monkeypatch.setattr(fast, "MAX_ADDRESSES", 10)
    table = Fast(limit=6000)
    for number in range(50):
        client = bytes((10, 0, 1, number))
        table.remember(client, GATED)
        table.put(GATED, client, ask(f"n{number}.example"), GIVEN)
        assert table.size <= 6000
        assert sum(map(len, table.by_address.values())) <= 10
