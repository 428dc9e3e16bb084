"""Hostile beginnings of connections: no reader raises, and what is refused stays refused."""

import random
from functools import partial

from hypothesis import strategies as st

from blocker.egress.hello import dns, first, http, mmtls, quic, tls
from blocker.egress.hello.seen import LIMIT, OTHER, Hello, Record, Request, Unread
from blocker.wire.query import Query
from tests.egress.hello import messages

HELLO = messages.client_hello()
REAL = (
    HELLO,
    messages.records(HELLO[5:], 7),
    messages.records(messages.handshake((0xFE0D, bytes(40)), (0x7A7A, bytes(3))), 4096),
    messages.MMTLS_CLIENT,
    messages.MMTLS_SERVER,
    messages.MMTLS_REQUEST,
    b"GET http://a.example:80/x HTTP/1.1\r\nHost: b.example\r\n\r\n",
    b"\x12\x34\1\0\0\1\0\0\0\0\0\0\6tiktok\3com\0\0\1\0\1",
    *messages.quic_client(version=messages.V1),
    *messages.quic_client(version=messages.V2),
)
FRAMES = (messages.crypto(HELLO[5:], 60, 61, order=(2, 0, 1)),)
KEYS = quic.derive(quic.V1, bytes(8))

READERS = (
    first.read, partial(first.read, early=True), tls.read, tls.read_message, http.read, mmtls.read, dns.read,
    dns.read_stream,
)  # fmt: skip
VALUES = (Hello, Request, Record, Query, Unread)

edits = st.lists(st.tuples(st.integers(0, 1300), st.binary(max_size=4)), max_size=4)


def edited(real, changes, end):
    """Return `real` with octets written over it, cut off at `end`."""
    data = bytearray(real)
    for at, octets in changes:
        at %= len(data)
        data[at : at + len(octets)] = octets
    return bytes(data[: end or len(data)])


streams = st.one_of(
    st.binary(max_size=300),
    st.builds(edited, st.sampled_from(REAL), edits, st.one_of(st.none(), st.integers(0, 1300))),
)
frames = st.one_of(  # what is inside a packet that decrypts: there the real work begins
    st.binary(max_size=200),
    st.builds(edited, st.just(FRAMES[0]), edits, st.none()),
)


def of_seed(number, reals=REAL):
    """Return what `streams` might, for a third of the time it takes hypothesis to think of one."""
    chance = random.Random(number)
    if not number % 8:
        return chance.randbytes(chance.randrange(300))
    real = chance.choice(reals)
    changes = [(chance.randrange(1300), chance.randbytes(chance.randrange(5))) for _ in range(chance.randrange(5))]
    return edited(real, changes, chance.randrange(1300) if chance.random() < 0.5 else None)


def frames_of_seed(number):
    """Return what `frames` might."""
    return of_seed(number, FRAMES)


seeds = st.integers(0, 2**64 - 1)


def check_stream(data):
    """Read `data` in every way there is."""
    for read in READERS:
        found = read(data)
        assert isinstance(found, VALUES), (read, found)
        if len(data) < LIMIT and read is not dns.read and read(data[: len(data) // 2]) is OTHER:
            assert found is OTHER, read
    assert len(http.field(data, b"accept")) <= 1000
    assert isinstance(quic.Initials().feed(data), (Hello, Unread))
    assert quic.is_initial(data) in (True, False)


def check_frames(payload):
    """Read frames that arrived inside a sound packet."""
    datagram = messages.initial(payload, keys=KEYS, size=24)
    assert isinstance(quic.Initials().feed(datagram), (Hello, Unread))
