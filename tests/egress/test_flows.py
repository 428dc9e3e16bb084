"""Connections in, sights out: once each, whatever the network does to the packets."""

import pytest

from blocker import names
from blocker.egress.flows import OPENED, Flows
from blocker.egress.hello.seen import Hello, Record, Request
from tests.egress.hello import messages
from tests.egress.wire import DEVICE, DEVICE_6, SERVER, SERVER_6, Connection, datagram, packed, read
from tests.oracle import ask

HELLO = messages.client_hello()
TIKTOK = names.from_text("www.tiktok.com")
LONG = messages.records(messages.handshake((21, bytes(3000)), name=b"www.tiktok.com"), 4096)


def seen(*frames, flows=None, now=0.0):
    """Return what each of `frames` showed, all together."""
    flows = flows or Flows()
    return [sight.what for frame in frames for sight in flows.see(read(frame), now)]


def name_in(sights):
    return [each.name for each in sights if isinstance(each, Hello)]


@pytest.mark.parametrize(("source", "destination"), [(DEVICE, SERVER), (DEVICE_6, SERVER_6)])
def test_a_connection_is_opened_then_says_what_it_is(source, destination):
    tcp = Connection(443, source, destination)
    flows = Flows()
    opened, hello = [flows.see(read(frame), 0.0) for frame in (tcp.syn(), tcp.data(HELLO))]
    assert opened[0].what is OPENED
    assert opened[0].flow == hello[0].flow == (packed(source), packed(destination), 443, "tcp")
    assert hello[0].what.name == TIKTOK
    assert hello[0].source_port == 40000
    assert flows.kinds == {"tls": 1}


@pytest.mark.parametrize(("payload", "kind"), [
    (HELLO, Hello), (messages.MMTLS_REQUEST, Request), (messages.MMTLS_CLIENT, Record), (messages.MMTLS_EARLY, Record),
])  # fmt: skip
@pytest.mark.parametrize("port", [80, 443, 8080])
def test_what_is_said_counts_and_not_the_port(payload, kind, port):
    tcp = Connection(port)
    assert [type(each) for each in seen(tcp.syn(), tcp.data(payload))][1:] == [kind]


@pytest.mark.parametrize("cut", [1, 5, 700, 1460, 2900])
def test_a_hello_over_two_segments_in_either_order(cut):
    tcp = Connection()
    first, second = tcp.data(LONG[:cut]), tcp.data(LONG[cut:], cut)
    assert name_in(seen(tcp.syn(), first, second)) == [TIKTOK]
    assert name_in(seen(tcp.syn(), second, first)) == [TIKTOK]
    assert name_in(seen(tcp.syn(), first, first, second, second)) == [TIKTOK]


def test_a_name_in_the_first_segment_needs_no_second():
    message = messages.handshake((0, messages.listed(b"www.tiktok.com")), (21, bytes(3000)))
    tcp = Connection()
    assert name_in(seen(tcp.syn(), tcp.data(messages.records(message, 4096)[:1400]))) == [TIKTOK]


def test_one_octet_at_a_time():
    tcp = Connection(start=(1 << 32) - 50)
    assert name_in(seen(tcp.syn(), *(tcp.data(HELLO[at : at + 1], at) for at in range(len(HELLO))))) == [TIKTOK]


def test_nothing_is_told_twice():
    tcp = Connection()
    assert (
        len(seen(tcp.syn(), tcp.syn(), tcp.data(HELLO), tcp.data(HELLO), tcp.data(b"\x17\3\3" + bytes(99), 600))) == 2
    )


def test_a_port_that_is_used_again_is_another_connection():
    assert len(seen(Connection().syn(), Connection().data(HELLO), Connection(start=9).syn())) == 3


def test_data_in_the_first_packet():
    assert name_in(seen(Connection().syn(HELLO))) == [TIKTOK]


def test_a_connection_whose_first_packets_were_before_ours():
    tcp = Connection()
    assert seen(tcp.data(HELLO))[0] is OPENED
    assert name_in(seen(tcp.data(LONG[:900]), tcp.data(LONG[900:], 900))) == [TIKTOK]
    assert seen(tcp.data(b"\x17\3\3\0\x20" + bytes(32)), tcp.data(b"whatever", 37)) == []


def test_a_server_is_nobodys_attempt():
    tcp = Connection()
    assert seen(tcp.syn(), tcp.data(messages.MMTLS_SERVER)) == [OPENED]


@pytest.mark.parametrize("version", [messages.V1, messages.V2])
def test_quic(version):
    flows = Flows()
    frames = [datagram(each) for each in messages.quic_client(version=version)]
    assert name_in(seen(*frames, *frames, flows=flows)) == [TIKTOK]
    assert flows.kinds == {"quic": 1}


def test_quic_whose_hello_fills_two_datagrams():
    message = messages.handshake((21, bytes(1500)))
    first = datagram(messages.initial(messages.frame(0, message[:1000])))
    second = datagram(messages.initial(messages.frame(1000, message[1000:]), 1))
    assert name_in(seen(first, second)) == name_in(seen(second, first)) == [names.from_text("example.com")]
    assert seen(first, second)[0] is OPENED


def test_quic_that_never_comes_to_an_end_is_given_up():
    flows = Flows()
    piece = [datagram(messages.initial(messages.frame(5000, b"x"), n, size=24)) for n in range(20)]
    assert seen(*piece, flows=flows) == [OPENED]
    assert flows.kinds == {"other": 1}


def test_datagrams_that_are_nothing_to_us():
    assert seen(datagram(b"\x40" + bytes(99)), datagram(b"hello", 3478), datagram(b"junk", 53)) == []


def test_dns_over_both_transports_and_to_the_port_of_dot():
    query = ask("www.tiktok.com")
    tcp = Connection(53)
    found = seen(datagram(query, 53), tcp.syn(), tcp.data(len(query).to_bytes(2) + query))
    assert [getattr(each, "qname", None) for each in found] == [TIKTOK, None, TIKTOK]
    assert seen(datagram(b"x", 853), datagram(b"x", 853)) == [OPENED]


def test_what_is_silent_is_forgotten():
    flows = Flows(age=10)
    tcp = Connection()
    assert len(seen(tcp.syn(), flows=flows, now=1)) == 1
    assert seen(tcp.syn(), tcp.data(HELLO[:100]), flows=flows, now=5) == []
    for now in (20, 40, 60):
        seen(Connection(source_port=5).syn(), flows=flows, now=now)
    assert name_in(seen(tcp.data(HELLO[100:], 100), flows=flows, now=61)) == []


def test_memory_is_bounded_by_connections_and_by_octets():
    flows = Flows(connections=100, octets=100_000)
    for number in range(1000):
        seen(Connection(source_port=number).syn(), flows=flows)
    assert len(flows._young) + len(flows._old) <= 100
    assert flows.early >= 800
    for number in range(1000):
        tcp = Connection(source_port=number)
        seen(tcp.syn(), tcp.data(LONG[:1400]), flows=flows)
    assert sum(len(each.data) for table in (flows._young, flows._old) for each in table.values()
               if hasattr(each, "data")) <= 110_000  # fmt: skip
