import random

import pytest

from blocker import names
from blocker.egress.hello import quic
from blocker.egress.hello.seen import MORE, OTHER, Hello
from tests.egress.hello import messages

EXAMPLE = names.from_text("example.com")
RFC_DCID = bytes.fromhex("8394c8f03e515708")
HELLO = messages.handshake((21, bytes(1500)))  # as long as those with post-quantum key shares


def fed(*datagrams):
    """Return what each datagram made of the connection."""
    initials = quic.Initials()
    return [initials.feed(each) for each in datagrams]


@pytest.mark.parametrize(
    ("version", "key", "iv", "header"),
    [
        (quic.V1, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"),
        (quic.V2, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"),
    ],
)
def test_keys_of_rfc_9001_a1_and_rfc_9369_a1(version, key, iv, header):
    assert tuple(each.hex() for each in quic.derive(version, RFC_DCID)) == (key, iv, header)


# RFC 9001 A.2: the frame that a client sends; the packet is it, padded to 1162 octets, with packet number 2.
RFC_FRAME = bytes.fromhex(
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c000000010"
    "000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e00050005010000000000330026"
    "0024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305030603"
    "0203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff08011001048000753009"
    "01100f088394c8f03e51570806048000ffff"
)


def test_the_packet_of_rfc_9001_a2():
    packet = messages.initial(RFC_FRAME, number=2, dcid=RFC_DCID)
    assert packet[:22].hex() == "c000000001088394c8f03e5157080000449e7b9aec34"
    assert packet[-16:].hex() == "e221af44860018ab0856972e194cd934"
    assert fed(packet) == [Hello(EXAMPLE, alpn=(b"alpn",))]


@pytest.mark.parametrize("version", [messages.V1, messages.V2])
@pytest.mark.parametrize("name", ["www.tiktok.com", "quic.weixin.qq.com"])
def test_a_client_of_aioquic(version, name):
    datagrams = messages.quic_client(name, version)
    assert fed(*datagrams)[-1] == Hello(names.from_text(name), alpn=(b"h3",))
    assert all(quic.is_initial(each) for each in datagrams)


@pytest.mark.parametrize("version", [quic.V1, quic.V2])
def test_frames_in_any_order_in_one_packet(version):
    order = list(range(40))
    random.Random(1).shuffle(order)  # as Chrome does
    payload = messages.crypto(HELLO[:1000], *range(25, 1000, 25), order=order)
    rest = messages.frame(1000, HELLO[1000:])
    packets = messages.initial(payload, 0, version=version), messages.initial(b"\1" + rest, 1, version=version)
    assert fed(*packets) == [MORE, Hello(EXAMPLE)]
    assert fed(*reversed(packets)) == [MORE, Hello(EXAMPLE)]  # the second datagram overtook the first


def test_packets_in_one_datagram():
    """An Initial, a Handshake packet that is passed over, and another Initial."""
    begin, end = messages.frame(0, HELLO[:700]), messages.frame(700, HELLO[700:])
    other = b"\xe3" + quic.V1.to_bytes(4) + b"\x08" + bytes(8) + b"\0" + messages.varint(30) + bytes(30)
    datagram = messages.initial(begin, 0, size=700) + other + messages.initial(end, 1, size=700)
    assert fed(datagram) == [Hello(EXAMPLE)]


def test_keys_stay_when_the_server_has_named_another_connection_id():
    keys = quic.derive(quic.V1, bytes(8))
    first = messages.initial(messages.frame(0, HELLO[:900]), 0)
    acknowledges = b"\2" + messages.varint(1) + b"\0\1\0" + b"\0\0"  # an ACK of two ranges comes before the data
    second = messages.initial(acknowledges + messages.frame(900, HELLO[900:]), 1, dcid=b"otherone", keys=keys)
    assert fed(first, second) == [MORE, Hello(EXAMPLE)]


def test_after_a_retry_it_begins_anew_with_a_token():
    first = messages.initial(messages.frame(0, HELLO[:900]), 0)
    again = messages.initial(messages.crypto(HELLO), 1, dcid=b"retried!", token=b"token" * 9)
    assert fed(first, again) == [MORE, Hello(EXAMPLE)]


def test_pieces_that_overlap_and_come_twice():
    pieces = messages.frame(0, HELLO[:800]) + messages.frame(0, HELLO[:300]) + messages.frame(500, HELLO[500:1000])
    assert fed(messages.initial(pieces), messages.initial(messages.frame(900, HELLO[900:]), 1)) == [
        MORE,
        Hello(EXAMPLE),
    ]


def altered(packet, at):
    return packet[:at] + bytes((packet[at] ^ 1,)) + packet[at + 1 :]


SOUND = messages.initial(messages.crypto(messages.handshake()))


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        SOUND[:100],  # cut off
        altered(SOUND, 200),  # does not decrypt
        altered(SOUND, 4),  # of a version that nobody knows
        altered(SOUND, 8),  # to another connection
        b"\x40" + SOUND[1:],  # a short header: application data
        b"\xf3" + SOUND[1:],  # a Retry
        b"\xc3\0\0\0\1\xff" + bytes(300),  # a connection id that is too long
        b"\xc3\0\0\0\0\0\0" + bytes(20),  # version negotiation
        messages.initial(b"\x1c\0\0\0"),  # CONNECTION_CLOSE
        messages.initial(b"\6\x40\0\x50\0"),  # a frame that ends behind the packet
        messages.initial(b"\2\xff\xff\xff\xff\xff\xff\xff\xff\0" + b"\xff" * 8),  # an ACK of a billion ranges
    ],
)
def test_what_is_no_hello(datagram):
    assert fed(datagram) == [OTHER]


def test_memory_is_bounded():
    initials = quic.Initials()
    far = [messages.initial(messages.frame(1000 + 7 * n, bytes(6)) * 2, n, size=24) for n in range(400)]
    far.append(messages.initial(b"\6\x80\0\x50\0" + messages.varint(9) + bytes(9), 400))  # beyond what is kept
    assert {initials.feed(each) for each in far} == {MORE}
    assert initials.size <= 16_384


def test_of_two_hellos_both_names_are_read():
    """One for the observer, which never arrives, and one for the server: in the same frames, or to another id."""
    decoy, real = messages.handshake(name=b"innocent.test"), messages.handshake(name=b"www.tiktok.com")
    both = Hello(names.from_text("innocent.test"), more=(names.from_text("www.tiktok.com"),))
    first, again = (messages.initial(messages.frame(0, each), number) for number, each in enumerate((decoy, real)))
    assert fed(first, again)[1] == both
    other = [messages.initial(messages.frame(at, real[at : at + 60]), at, dcid=b"otherone") for at in (60, 0)]
    assert fed(first, *other)[-1].name == names.from_text("www.tiktok.com")
    between = [messages.initial(messages.crypto(decoy), 9, dcid=bytes((number,)) * 8) for number in range(2)]
    assert fed(other[0], between[0], other[1], between[1])[2].name == names.from_text("www.tiktok.com")


def test_many_pings_before_the_hello():
    assert fed(messages.initial(b"\1" * 900 + messages.crypto(messages.handshake()))) == [Hello(EXAMPLE)]


def test_who_forgets_what_was_said_still_has_the_keys():
    initials = quic.Initials()
    keys = quic.derive(quic.V1, bytes(8))
    assert initials.feed(SOUND) == Hello(EXAMPLE)
    initials.forget()
    later = messages.initial(messages.crypto(messages.handshake(name=b"b.test")), 3, dcid=b"otherone", keys=keys)
    assert initials.feed(later) == Hello(names.from_text("b.test"))


def test_the_bit_that_is_fixed_may_be_greased():
    greased = messages.initial(messages.crypto(messages.handshake()), greased=True)
    assert quic.is_initial(greased)
    assert fed(greased) == [Hello(EXAMPLE)]
