"""A side decides as the server does, from what a log knows."""

import pytest

from blocker import names
from blocker.errors import ConfigError
from blocker.simulate.sides import NOTHING, Side, read_via, state
from tests.simulate.estates import GROUPS, OLD, loaded


@pytest.fixture(scope="module")
def side(tmp_path_factory):
    folder = tmp_path_factory.mktemp("side")
    return Side.open(loaded(folder, OLD, GROUPS), folder)


@pytest.mark.parametrize(("client", "group", "policy"), [
    ("192.0.2.9", "", "staff"),
    ("::ffff:192.0.2.9", "", "staff"),
    ("203.0.113.1", "staff", "default"),  # the address says more than the log's word of that day
    ("192.0.2.0/24", "staff", "staff"),  # shortened or hashed: the log's word is all there is
    ("9f86d081884c7d65", "lab", "lab"),
    ("9f86d081884c7d65", "gone", "default"),  # a group that there is no more
])  # fmt: skip
def test_whose_policy(side, client, group, policy):
    assert side.policy_for(client, group).group == policy


@pytest.mark.parametrize(("qname", "via", "group", "said"), [
    ("www.game.example", "", "default", "blocked"),
    ("help.game.example", "", "default", "allowed"),
    ("www.game.example", "", "lab", "monitored"),
    ("chat.example", "", "staff", "allowed"),  # staff does not block it
    ("cdn.example", "edge.chat.example", "default", "blocked"),  # an alias in the answer
    ("cdn.example", "203.0.113.9", "default", "blocked"),  # an address in the answer
    ("cdn.example", "198.51.100.9 x.example", "default", "allowed"),
    ("help.game.example", "edge.chat.example", "default", "blocked"),  # an exception is inspected too
    ("cdn.example", "edge.chat.example", "lab", "monitored"),
])  # fmt: skip
def test_verdicts(side, qname, via, group, said):
    assert state(side.verdict(side.clients.policies[group], names.from_text(qname), read_via(via))) == said


def test_via():
    assert read_via("") is NOTHING
    found = read_via("a.example 192.0.2.1 2001:db8::1 ...")
    assert (found.aliases, found.addresses) == (
        (b"\1a\7example\0",),
        (b"\xc0\0\2\1", bytes.fromhex("20010db8" + "0" * 23 + "1")),
    )


def test_what_the_server_would_not_serve(tmp_path):
    with pytest.raises(ConfigError, match="nothere"):
        Side.open(loaded(tmp_path, OLD, "groups: [{name: a, clients: [192.0.2.1], block: [nothere]}]\n"), tmp_path)
