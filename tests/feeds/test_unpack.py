"""Never more than was agreed, nothing packed that is damaged, no web page."""

import contextlib
import gzip
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.errors import FeedError
from blocker.feeds.unpack import Unpacker

LIST = b"".join(b"name%d.example\n" % number for number in range(5000))
MIB = 1 << 20


def unpacked(content, *, limit=MIB, said=False, step=1000):
    unpacker = Unpacker(limit, gzip=said)
    found = [b"".join(unpacker.feed(content[at : at + step])) for at in range(0, len(content), step)]
    found += unpacker.end()
    whole = b"".join(found)
    assert (unpacker.octets, unpacker.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    return whole


@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
@pytest.mark.parametrize(("content", "said"), [
    (LIST, False),
    (gzip.compress(LIST), True),  # Content-Encoding
    (gzip.compress(LIST), False),  # a file that is a .gz
    (gzip.compress(LIST[:999]) + gzip.compress(LIST[999:]), True),  # members one after the other
    (gzip.compress(LIST) + b"\0" * 512, False),  # padding
])  # fmt: skip
def test_it_arrives_whole(content, said, step):
    assert unpacked(content, said=said, step=step) == LIST


@pytest.mark.parametrize("content", [b"", b"a", b"a.example"])
def test_small_ones(content):
    assert unpacked(content) == content


@pytest.mark.parametrize(("content", "why"), [
    (b"x" * (MIB + 1), "more than 1 MiB"),
    (gzip.compress(b"x" * (MIB + 1)), "more than 1 MiB unpacked"),
    (gzip.compress(b"") * (MIB // 20 + 1), "more than 1 MiB"),  # members of nothing, for ever
    (gzip.compress(LIST)[:-1], "ends in the middle"),
    (gzip.compress(LIST)[:20], "ends in the middle"),
    (gzip.compress(LIST)[:500] + b"XXXX" + gzip.compress(LIST)[504:], "damaged"),
    (gzip.compress(LIST) + b"rest", "damaged"),
    (b"<!DOCTYPE html><html>", "a web page"),
    (b"\xef\xbb\xbf \r\n <html>", "a web page"),
    (b" " * 300 + b"<html>", None),  # far down: the reader of lists refuses that line, not we
    (gzip.compress(b"<html>"), "a web page"),
    (b"<", "a web page"),
])  # fmt: skip
@pytest.mark.parametrize("step", [1, 10**7])
def test_refused(content, why, step):
    if len(content) > MIB and step == 1:
        step = 1000
    if why is None:
        assert unpacked(content, step=step) == content
        return
    with pytest.raises(FeedError, match=why):
        unpacked(content, step=step)


def test_a_bomb_is_never_unpacked_beyond_the_limit():
    bomb = gzip.compress(b"\0" * (1 << 28))  # 256 MiB in 256 KiB
    unpacker, sizes = Unpacker(MIB), []
    with pytest.raises(FeedError, match="more than 1 MiB"):
        sizes.extend(map(len, unpacker.feed(bomb)))
    assert max(sizes) <= 1 << 16
    assert unpacker.octets <= MIB + (1 << 16)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: b"\x1f\x8b\x08\0" + rest), st.booleans())
def test_any_octets_are_a_list_or_refused(content, said):
    with contextlib.suppress(FeedError):
        unpacked(content, said=said, limit=MIB, step=13)


def test_zlib_without_gzip_is_not_taken():
    with pytest.raises(FeedError, match="damaged"):
        unpacked(zlib.compress(LIST), said=True)
