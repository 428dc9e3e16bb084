"""The container: any octets become frames, an end, or a BadLineError."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.simulate.logs import framestream
from blocker.simulate.logs.record import BadLineError


def control(kind, content=framestream.CONTENT_TYPE):
    said = struct.pack("!L", kind) + (struct.pack("!LL", 1, len(content)) + content if content else b"")
    return struct.pack("!LL", 0, len(said)) + said


START, STOP = control(2), control(3, b"")


def frame(data):
    return struct.pack("!L", len(data)) + data


@pytest.mark.parametrize(("stream", "found"), [
    (START + frame(b"one") + frame(b"two") + STOP, [b"one", b"two"]),
    (START + frame(b"one") + STOP + frame(b"two"), [b"one"]),  # what follows the end is not looked at
    (START + frame(b"one"), [b"one"]),  # still being written
    (START + frame(b"one") + frame(b"two")[:-1], [b"one"]),
    (b"", []),
])  # fmt: skip
def test_frames(stream, found):
    assert list(framestream.frames(io.BytesIO(stream))) == found


@pytest.mark.parametrize("stream", [
    START + struct.pack("!L", 1 << 31),  # a length that no frame has
    struct.pack("!LL", 0, 1 << 31),
    control(2, b"protobuf:something.Else"),
])  # fmt: skip
def test_nonsense(stream):
    with pytest.raises(BadLineError):
        list(framestream.frames(io.BytesIO(stream)))


def test_looks():
    assert framestream.looks(START)
    assert not framestream.looks(control(2, b"protobuf:something.Else"))


@given(st.binary(max_size=200), st.booleans())
def test_any_octets(data, begun):
    try:
        found = list(framestream.frames(io.BytesIO((START if begun else b"") + data)))
    except BadLineError:
        return
    assert sum(map(len, found)) <= len(data) + len(START)
