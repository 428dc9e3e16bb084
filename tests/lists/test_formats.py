"""Plain files of names: what a line means, what is refused, and that the fast way says what the careful one says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.errors import ListError, NameFormatError
from blocker.lists import formats, row
from blocker.policy import Scope

TXT, HOSTS = Path("games.txt"), Path("games.hosts")


def read(text, path=TXT):
    found = formats.parse(text if isinstance(text, bytes) else text.encode(), path)
    rows = (row.unpack(each) for each in found.rows)
    return [(names.to_text(key[::-1]), each.number, each.flags) for key, each in zip(found.keys, rows, strict=True)]


@pytest.mark.parametrize(
    ("line", "name", "flags"),
    [
        ("game.example", "game.example", 0),
        ("Game.EXAMPLE", "game.example", 0),
        ("game.example.", "game.example", 0),
        ("*.game.example", "game.example", 0),
        (".game.example", "game.example", 0),
        ("  game.example  # why", "game.example", 0),
        ("game.example\r", "game.example", 0),
        ("@@help.game.example", "help.game.example", row.ALLOW),
        ("_sip._tcp.game.example", "_sip._tcp.game.example", 0),
        ("spiel-ö.example", "xn--spiel--1xa.example", 0),
    ],
)
def test_domains(line, name, flags):
    assert read(f"# first\n{line}\n") == [(name, 2, flags)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0.0.0.0 game.example", ["game.example"]),
        ("127.0.0.1\tgame.example a.example # why", ["game.example", "a.example"]),
        ("::1 game.example", ["game.example"]),
        ("192.0.2.1 game.example.", ["game.example"]),
        ("216.239.38.120 game.example", ["game.example"]),  # our own page that says why
        ("0.0.0.0 printer", ["printer"]),
        ("127.0.0.1 localhost", []),
        ("::1 ip6-localhost ip6-loopback", []),
        ("fe80::1%lo0 localhost", []),
        ("0.0.0.0 0.0.0.0", []),
        ("# 0.0.0.0 game.example", []),
    ],
)
def test_hosts(line, found):
    assert read(line, HOSTS) == [(name, 1, row.EXACT) for name in found]


@pytest.mark.parametrize(
    ("path", "line", "problem"),
    [
        (TXT, "game example", "games.txt:2: 'game example' is not a domain name: it contains ' '"),
        (TXT, "http://game.example/", "games.txt:2: 'http://game.example/' is not a domain name: it contains ':'"),
        (TXT, "||game.example^", "games.txt:2: '||game.example^' is not a domain name"),
        (TXT, "0.0.0.0 game.example", "games.txt:2: '0.0.0.0 game.example' is not a domain name"),
        (TXT, "game..example", "games.txt:2: 'game..example' is not a domain name: it has an empty label"),
        (TXT, "a.*.example", "games.txt:2: 'a.*.example' is not a domain name: it contains '*'"),
        (TXT, "example", "games.txt:2: 'example' is a top-level domain"),
        (TXT, "192.0.2.1", "games.txt:2: '192.0.2.1' is not a domain name: no top-level domain is a number"),
        (TXT, ".", "games.txt:2: '' is not a domain name"),
        (TXT, "@@", "games.txt:2: '' is not a domain name"),
        (TXT, f"{'a' * 64}.example", "games.txt:2: "),
        (TXT, ".".join(["a" * 60] * 5), "games.txt:2: "),
        (TXT, b"\xff\xfe", "games.txt:2: this is not UTF-8 text"),
        (HOSTS, "game.example", "games.hosts:2: 'game.example' is not an address"),
        (HOSTS, "0.0.0.0", "games.hosts:2: there is no name after the address"),
        (HOSTS, "0.0.0.0 game$.example", "games.hosts:2: 'game$.example' is not a domain name"),
        (Path("My Games.txt"), "", "My Games.txt:1: the file's name is the app's id"),
    ],
)
def test_refused(path, line, problem):
    with pytest.raises(ListError) as refused:
        formats.parse(b"\n" + (line if isinstance(line, bytes) else line.encode()), path)
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(problem)


def test_a_wrong_file_does_not_fill_the_screen():
    with pytest.raises(ListError) as refused:
        formats.parse(b"bad line\n" * 1000, TXT)
    assert len(refused.value.problems) == formats.MAX_PROBLEMS + 1
    assert refused.value.problems[-1] == "games.txt:20: there may be more; reading stopped here."


def test_the_scope_follows_the_syntax(tmp_path):
    for path, scope in ((tmp_path / "a.txt", Scope.SUFFIX), (tmp_path / "a.hosts", Scope.EXACT)):
        path.write_text("0.0.0.0 game.example" if scope is Scope.EXACT else "game.example")
        found = formats.read(path)
        assert (found.app, found.file, found.scope) == ("a", str(path), scope)
    with pytest.raises(ListError, match="cannot be read"):
        formats.read(tmp_path / "none.txt")


@given(st.text(alphabet="abA0-_.", min_size=1, max_size=70) | st.text(alphabet="ab.", min_size=240, max_size=256))
def test_the_fast_way_says_what_the_careful_one_says(text):
    try:
        name = names.hostname(text.removeprefix("."))
    except NameFormatError:
        name = names.ROOT
    if names.depth(name) < 2 or list(names.labels(name))[-1].isdigit():
        with pytest.raises(ListError):
            read(text)
    else:
        assert read(text) == [(names.to_text(name), 1, 0)]


@given(st.binary(), st.sampled_from([TXT, HOSTS]))
def test_any_bytes_are_read_or_refused(written, path):
    try:
        read(written, path)
    except ListError as refused:
        assert refused.problems  # noqa: PT017 (refusing is allowed, silence is not)
