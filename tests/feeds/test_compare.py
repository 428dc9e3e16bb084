"""What an update would no longer block, by lines where that is enough, by names where it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.feeds import compare
from blocker.lists import feed as reading
from blocker.lists.feed import FeedFile
from blocker.lists.must_resolve import MustResolve

MUST = MustResolve()


def lost(folder, old, new, known="auto"):
    """Return what `compare` counts for two contents."""
    before, after = folder / "before", folder / "after"
    before.write_bytes(old)
    after.write_bytes(new)
    found, _ = reading.read(FeedFile("f", "games", after, known), MUST)
    return compare.lost(FeedFile("f", "games", before, known), compare.gone(before, after), found, MUST)


HOSTS = b"0.0.0.0 a.example\n0.0.0.0 b.example c.example\n"
ZONE = b"$ORIGIN rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n@ NS a.\n"


@pytest.mark.parametrize(("old", "new", "expected"), [
    (b"a.example\nb.example\n", b"a.example\nb.example\n", 0),
    (b"a.example\nb.example\n", b"b.example\na.example\nc.example\n", 0),  # order does not matter
    (b"a.example\nb.example\n", b"b.example\n", 1),
    (b"a.example\nb.example", b"b.example\r\nA.example.\n", 0),  # nor does spelling
    (b"# old\na.example\n", b"# new\na.example\n", 0),  # comments
    (b"a b c\na.example\n", b"a.example\n", 0),  # lines that were of no use
    (b"a.example\na.example\n", b"b.example\n", 1),  # one name, twice
    (b"a.example\nb.example\n", b"a.example\nb.example\n@@b.example\n", 1),  # it has become an exception
    (b"a.example\nb.example\n", b"a.example\n@@b.example\n", 1),
    (b"a.example\nb.example\n@@b.example\n", b"a.example\nb.example\n", 0),  # an exception less
    (b"a.example\n@@x.example\n", b"a.example\n@@x.example\n@@y.example\n", 0),  # of names that it does not block
    (HOSTS, b"0.0.0.0 a.example\n0.0.0.0 c.example\n", 1),
    (HOSTS, b"a.example\nb.example\nc.example\n", 3),  # another format covers other things
    (b"||a.example^\n||b.example^\n", b"||a.example^\n", 1),
    (b"||a.example^\n||b.example^\n", b"||a.example^\n||b.example^\n@@||b.example^\n", 1),
    (b"||a.example^\n||b.example^\n", b"||a.example^\n||b.example^\n||b.example^$badFilter\n", 1),  # is cancelled
    (b"||a.example^\n||b.example^\n||b.example^$badfilter\n", b"||a.example^\n||b.example^$badfilter\n", 0),
    (b"||a.example^\n||b.example^\n", b"||a.example^\n||b.example^\n@@||www.b.example^\n@@||b.b.example^\n", 1),
    (b"||b.example^\n@@||www.b.example^\n", b"||b.example^\n@@||www.b.example^\n@@||b.b.example^\n", 0),  # it was so
    (b"||a.example^\n", b"||a.example^\n||b.example^\n@@||www.b.example^\n", 0),  # it never was in force
    (b"a.example\nb.example\n", b"a.example\n@@b.example\n@@www.b.example\n", 1),  # once is enough
    (HOSTS, HOSTS + b"0.0.0.0 d.example\n", 0),
    (ZONE + b"a.example CNAME .\nb.example CNAME .\n", ZONE + b"a.example CNAME .\n", 1),
    (ZONE + b"a.example CNAME .\n", ZONE + b"a.example CNAME rpz-passthru.\nb.example CNAME .\n", 1),
    (ZONE + b"a.example CNAME .\n24.0.2.0.192.rpz-ip CNAME .\n", ZONE + b"a.example CNAME .\n", 1),
    (ZONE + b"a.example CNAME .\n24.0.2.0.192.rpz-ip CNAME .\n",
     ZONE + b"a.example CNAME .\n24.0.2.0.192.rpz-ip CNAME rpz-passthru.\n", 1),
    (ZONE + b"a.example CNAME .\nb.example CNAME .\n",
     ZONE + b"a.example CNAME .\nb.example CNAME rpz-tcp-only.\n", 1),  # resolved over TCP
    (ZONE + b"a.example CNAME .\n24.0.2.0.192.rpz-ip CNAME .\n",
     ZONE + b"a.example CNAME .\n24.0.2.0.192.rpz-ip CNAME rpz-tcp-only.\n", 1),
    (ZONE + b"*.a.example CNAME .\n", ZONE + b"*.a.example CNAME .\nwww.a.example CNAME rpz-passthru.\n", 1),
])  # fmt: skip
def test_lost(tmp_path, old, new, expected):
    assert lost(tmp_path, old, new) == expected


LINES = st.lists(
    st.sampled_from([b"a.example", b"b.example", b"c.example", b"@@a.example", b"*.b.example", b"# word", b"x y z"]),
    max_size=6,
)


@given(LINES, LINES)
def test_lines_and_names_agree(tmp_path_factory, old, new):
    """However it is counted, it is what a comparison of all names would say."""
    folder = tmp_path_factory.mktemp("compared")
    old, new = (b"\n".join([*lines, b"z.example", b""]) for lines in (old, new))

    def blocked(content):
        found, _ = reading.parse(content, FeedFile("f", "games", folder / "x", "domains"), MUST)
        pairs = [(key, row & 0xFFFF) for key, row in zip(found.keys, found.rows, strict=True)]
        allowed = {key for key, flags in pairs if flags & 4}
        return {(key, flags & 65) for key, flags in pairs if not flags & 4}, allowed

    (before, _), (after, allowed) = blocked(old), blocked(new)
    assert lost(folder, old, new, "domains") == len(before - {pair for pair in after if pair[0] not in allowed})


def test_a_stranger_cannot_make_it_slow(tmp_path):
    """One endless line, and many that are alike."""
    assert lost(tmp_path, b"a.example\n" + b"x" * (1 << 20) + b"\n", b"a.example\n" * 100_000) == 0
