"""What we raise on purpose: one family, with messages for an operator."""

import pytest

from blocker import errors
from blocker.sinks.region import MALFORMED_REASONS
from blocker.wire.query import parse_query
from tests.oracle import ask


@pytest.mark.parametrize(
    "error", [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
)
def test_one_family(error):
    assert issubclass(error, errors.BlockerError)
    assert error.__doc__


def test_problems_are_told_all_at_once():
    error = errors.ListError(["a.yaml:1: x", "b.yaml:2: y"])
    assert str(error) == "a.yaml:1: x\nb.yaml:2: y"
    assert error.problems == ("a.yaml:1: x", "b.yaml:2: y")


def test_a_wire_error_says_what_the_sender_hears():
    error = errors.WireError(None, "short")
    assert (error.rcode, error.reason, str(error)) == (None, "short", "short")


def test_reasons_are_a_closed_set():
    """Each reason is a metric label, so every one that parse_query gives must be known."""
    packet = ask("www.example.com")
    reasons = set()
    for at in range(len(packet)):
        for changed in (
            packet[:at],
            packet[:at] + b"\xff" + packet[at + 1 :],
            packet[:at] + b"\x41" + packet[at + 1 :],
        ):
            try:
                parse_query(changed)
            except errors.WireError as error:
                reasons.add(error.reason)
    assert len(reasons) >= 7
    assert reasons <= set(MALFORMED_REASONS)
