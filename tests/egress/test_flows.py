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


DECOY = messages.client_hello("www.example.com")
INNOCENT = names.from_text("www.example.com")
KEYS = messages.records(messages.handshake((51, bytes(1200)), name=b"www.tiktok.com"), 4096)  # post-quantum


def named(*frames):
    return name_in(seen(Connection().syn(), *frames))


def test_one_octet_at_a_time_from_the_end():
    tcp = Connection()
    for hello in (HELLO, KEYS):
        assert named(*(tcp.data(hello[at : at + 1], at) for at in reversed(range(len(hello))))) == [TIKTOK]


@pytest.mark.parametrize("sent", [
    [(0, DECOY), (0, HELLO)],  # the first never reaches the server
    [(0, HELLO), (0, DECOY)],  # or the second
    [(0, DECOY), (0, HELLO[:200]), (200, HELLO[200:])],
    [(0, DECOY), (200, HELLO[200:]), (0, HELLO[:200])],
    [(0, HELLO[:100]), (0, DECOY), (100, HELLO[100:])],
    [(0, DECOY), (0, HELLO[:100]), (0, DECOY), (100, HELLO[100:])],
    [(0, bytes(300)), (0, HELLO[:100]), (0, bytes(300)), (100, HELLO[100:])],
    [(200, DECOY[200:]), (200, HELLO[200:]), (0, HELLO[:200])],
    # Each part of it between two that never arrive.
    [(0, DECOY[:150]), (0, HELLO[:150]), (0, DECOY[:150]), (150, DECOY[150:]), (150, HELLO[150:]), (150, DECOY[150:])],
    [(0, HELLO[:150]), (150, DECOY[150:]), (150, HELLO[150:])],  # the decoy makes it whole
    [(150, HELLO[150:]), (0, DECOY[:150]), (0, HELLO[:150])],
    [(0, KEYS[:900]), (900, bytes(len(KEYS))), (900, KEYS[900:])],
    [(0, bytes(300)), (0, HELLO)],
    [(-50, bytes(50) + HELLO)],  # what is before the beginning is left out by the server
    [(150, HELLO[150:]), (100, bytes(50) + HELLO[150:]), (0, HELLO[:150])],
])  # fmt: skip
def test_who_says_two_things_on_the_same_octets_is_heard_on_both(sent):
    tcp = Connection()
    found = named(*(tcp.data(said, at) for at, said in sent))
    assert TIKTOK in found
    assert set(found) <= {TIKTOK, INNOCENT, None}
    assert len(found) == len(set(found))


def test_what_is_kept_of_hellos_that_came_in_pieces_is_bounded(monkeypatch):
    monkeypatch.setattr("blocker.egress.flows._MAX_SEALED", 10)
    flows = Flows()
    for number in range(50):
        tcp = Connection(source_port=number)
        assert name_in(seen(tcp.syn(), tcp.data(KEYS[:900]), tcp.data(KEYS[900:], 900), flows=flows)) == [TIKTOK]
        assert seen(tcp.data(b"\x14\3\3\0\1\1" + bytes(3000), len(KEYS)), flows=flows) == []
    assert sum(talk.held for talk in flows._young.values()) == 10 * len(KEYS)


def test_a_decoy_in_the_first_packet_which_the_server_does_not_take():
    assert seen(Connection().syn(DECOY), Connection().data(HELLO))[0] is OPENED
    assert name_in(seen(Connection().syn(DECOY), Connection().data(HELLO))) == [INNOCENT, TIKTOK]


def test_a_decoy_that_begins_another_connection():
    other = Connection(start=77_000)
    assert name_in(seen(Connection().syn(), other.syn(), Connection().data(HELLO))) == [TIKTOK]


def test_an_octet_out_of_band_hides_no_name():
    tcp = Connection()
    at = HELLO.index(b"tiktok") + 3
    assert named(tcp.data(HELLO[:at] + b"x", urgent=at + 1), tcp.data(HELLO[at:], at + 1)) == [TIKTOK]


@pytest.mark.parametrize("before", [
    b"EHLO phone.example\r\nSTARTTLS\r\n",
    b"\5\1\0",  # SOCKS
    bytes(700),
    DECOY,
    b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
])  # fmt: skip
@pytest.mark.parametrize("gap", [0, 5000])  # octets that the sieve has left out
def test_what_begins_later_is_found(before, gap):
    tcp = Connection(1080)
    assert named(tcp.data(before), tcp.data(HELLO, len(before) + gap))[-1] == TIKTOK
    cut = (tcp.data(KEYS[at : at + 400], len(before) + gap + at) for at in range(0, len(KEYS), 400))
    assert named(tcp.data(before), *cut)[-1] == TIKTOK
    assert named(tcp.data(HELLO, 13 + gap)) == [TIKTOK]  # what came before was not seen


def hosts(*frames):
    found = seen(Connection(80).syn(), *frames)
    return [names.to_text(each.host) for each in found if isinstance(each, Request)]


def get(host, line=b"GET / HTTP/1.1", *more):
    return b"\r\n".join((line, b"Host: " + host, *more, b"", b""))


def test_one_request_after_the_other():
    tcp = Connection(80)
    pipeline = get(b"a.example") + get(b"b.example") + get(b"a.example") + get(b"www.tiktok.com")
    found = ["a.example", "b.example", "www.tiktok.com"]
    assert hosts(tcp.data(pipeline)) == found
    for cut in range(1, len(pipeline)):
        assert hosts(tcp.data(pipeline[:cut]), tcp.data(pipeline[cut:], cut)) == found
    assert hosts(*(tcp.data(pipeline[at : at + 1], at) for at in range(len(pipeline)))) == found


def test_a_request_behind_a_body():
    tcp = Connection(80)
    upload = get(b"a.example", b"POST / HTTP/1.1", b"Content-Length: 3000") + bytes(3000)
    chunked = get(b"a.example", b"POST / HTTP/1.1", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"
    for body in (upload, chunked):
        assert hosts(tcp.data(body), tcp.data(get(b"b.example"), len(body))) == ["a.example", "b.example"]
    inside = get(b"a.example", b"POST / HTTP/1.1", b"Content-Length: 3000") + get(b"text.example") + bytes(9000)
    assert hosts(tcp.data(inside)) == ["a.example"]  # what is uploaded is nothing that is asked for


def test_what_a_proxy_carries():
    tcp = Connection(8080)
    head = b"CONNECT 198.51.100.99:443 HTTP/1.1\r\n\r\n"
    for size in (1, 100, 2000):
        pieces = (tcp.data(KEYS[at : at + size], len(head) + at) for at in range(0, len(KEYS), size))
        assert named(tcp.data(head), *pieces) == [TIKTOK]
    assert named(tcp.data(head + HELLO)) == [TIKTOK]


def test_questions_over_one_connection():
    tcp = Connection(53)
    said = b"".join(len(query).to_bytes(2) + query for query in map(ask, ("a.example", "b.example", "a.example")))
    found = [names.to_text(each.qname) for each in seen(tcp.syn(), tcp.data(said[:50]), tcp.data(said[50:], 50))[1:]]
    assert found == ["a.example", "b.example"]


def test_whatever_is_spoken_on_the_port_of_dns():
    tcp = Connection(53)
    assert name_in(seen(tcp.syn(), tcp.data(HELLO[:1]), tcp.data(HELLO[1:], 1))) == [TIKTOK]
    assert name_in(seen(*(datagram(each, 53) for each in messages.quic_client()))) == [TIKTOK]


def test_quic_that_says_two_names_is_heard_on_both():
    decoy, real = (messages.quic_client(name) for name in ("www.example.com", "www.tiktok.com"))
    assert name_in(seen(*map(datagram, (*decoy, *real, *decoy)))) == [INNOCENT, TIKTOK]
    assert name_in(seen(*map(datagram, (*real, *decoy)))) == [TIKTOK, INNOCENT]


def test_what_is_encrypted_is_no_protocol_of_wechats():
    """Random octets look like the head of a record once in a million segments."""
    tcp = Connection()
    assert seen(tcp.syn(), tcp.data(HELLO), tcp.data(b"\x17\xf1\4\0\x20" + bytes(90), 600))[2:] == []
    assert seen(tcp.data(b"\x17\xf1\4\0\x20" + bytes(90), 600)) == []
    assert [type(each) for each in seen(tcp.data(b"\x17\xf1\4\0\x20" + bytes(32), 600))] == [type(OPENED), Record]


def test_what_says_nothing_is_of_no_kind():
    flows = Flows(age=10)
    for now in (0, 20, 40):
        seen(Connection(source_port=5).syn(), flows=flows, now=now)
    assert flows.kinds == {}


def test_what_was_begun_and_never_said_is_counted():
    flows = Flows(age=10)
    seen(Connection().syn(), Connection().data(HELLO[:100]), datagram(messages.initial(HELLO[5:100])), flows=flows)
    piece = messages.initial(messages.frame(0, HELLO[5:100]))
    seen(datagram(piece), Connection(source_port=9).syn(), flows=flows)
    for now in (20, 40):
        seen(Connection(source_port=5).syn(), flows=flows, now=now)
    assert flows.kinds == {"unfinished": 2}


def test_work_on_one_connection_is_bounded():
    tcp = Connection()
    records = messages.records(messages.handshake((21, bytes(16_000))), 1)
    flows = Flows()
    seen(tcp.syn(), *(tcp.data(records[at : at + 1], at) for at in range(3000)), flows=flows)
    assert flows.kinds == {"other": 1}
    assert name_in(seen(tcp.data(HELLO), flows=flows)) == [TIKTOK]  # what it says by itself is still looked at
    flows = Flows()
    for at in range(1, 400):
        seen(tcp.data(b"GET / HTTP/1.1\r\nX: ", 30_000 * at), flows=flows)
    (talk,) = flows._young.values()
    assert len(talk.streams) <= 4


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
    piece = [datagram(messages.initial(messages.frame(5000, b"x"), n, size=24)) for n in range(40)]
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
