"""Lines of /etc/hosts, and what real lists hold of them."""

import pytest

from blocker import names
from blocker.lists import row
from blocker.lists.formats import hosts
from blocker.lists.formats.draft import Draft, lines_of


def read(text):
    draft = Draft("copy")
    hosts.read(lines_of(text.encode()), draft)
    assert all(row.unpack(each).flags == row.EXACT for each in draft.rows)
    return draft, [names.to_text(key[::-1]) for key in draft.keys]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0.0.0.0 game.example", ["game.example"]),
        ("0.0.0.0\tgame.example\t\twww.game.example # why", ["game.example", "www.game.example"]),
        ("127.0.0.1  game.example", ["game.example"]),
        ("0 game.example", ["game.example"]),
        (":: game.example", ["game.example"]),
        ("10.0.0.9 game.example", ["game.example"]),  # a page of the writer's own network says that it is blocked
        ("192.0.2.1 game.example", ["game.example"]),
        ("0.0.0.0 0.0.0.0", []),
        ("::1 ip6-localhost ip6-loopback", []),
        ("fe80::1%lo0 localhost", []),
        ("255.255.255.255 broadcasthost", []),
    ],
)
def test_lines(line, found):
    draft, kept = read(line)
    assert kept == found
    assert (draft.bad_lines, draft.unsupported_lines) == (0, 0)


@pytest.mark.parametrize("line", ["216.239.38.120 www.game.example", "2001:4860:4802:32::78 www.game.example"])
def test_a_name_that_is_sent_to_somebody_is_not_blocked(line):
    draft, kept = read(line)
    assert (kept, draft.unsupported_lines, draft.bad_lines) == ([], 1, 0)
    assert draft.gaps[0].startswith("copy:1: 'www.game.example' is not blocked but sent to 2")


@pytest.mark.parametrize("line", ["game.example", "0.0.0.0", "0.0.0.0 192.0.2.1", "0.0.0.0 *.game.example"])
def test_bad_lines(line):
    draft, kept = read(line)
    assert (kept, draft.bad_lines) == ([], 1)
