"""Answers already given: who reads which table, and when they go."""

import pytest

from blocker import fast
from blocker.fast import FOREVER, Fast, Given
from blocker.policy import Policy
from tests.oracle import ask

STAFF, GUESTS = Policy("staff", {}), Policy("guests", {})
GIVEN = Given(b"answer", FOREVER, 0, (), 1, 0, 0, b"")
ALICE, BOB, CAROL = b"\x0a\0\0\1", b"\x0a\0\0\2", bytes(16)


@pytest.fixture
def table():
    found = Fast()
    for client, policy in ((ALICE, STAFF), (BOB, GUESTS), (CAROL, STAFF)):
        found.remember(client, policy)
    found.put(STAFF, ask("www.example.com", ident=1), GIVEN)
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
        table.put(GUESTS if number % 2 else STAFF, ask(f"n{number}.example"), GIVEN)
        assert table.size <= 6000
        assert len(table.by_address[ALICE]) <= 10
    assert table.by_address[ALICE][ask("n48.example")[2:]] == GIVEN  # the newest is always there


def test_clients_are_bounded(table, monkeypatch):
    monkeypatch.setattr(fast, "MAX_ADDRESSES", 10)
    for number in range(25):
        table.remember(bytes((10, 0, 1, number)), STAFF)
        assert len(table.by_address) <= 10
    assert ask("www.example.com")[2:] in table.by_address[bytes((10, 0, 1, 24))]  # who is forgotten loses no answer
