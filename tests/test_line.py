"""The life of a query: what each step leads to, and that whatever fails, fails closed."""

import contextlib
import json

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import events, line, names
from blocker.answer import Wording
from blocker.cache import Cache, Limits
from blocker.errors import WireError
from blocker.events import ATTEMPT, QUERY
from blocker.exchange import TCP, UDP
from blocker.fast import FOREVER, Fast
from blocker.line import Line
from blocker.policy import PASSTHRU, Action, Gate, Policy, Treatment, Trigger
from blocker.wire.query import parse_query
from blocker.wire.response import scan
from tests.oracle import ID, KEEPALIVE, Journal, Table, ask, heard, lines, rule, said
from tests.wire.test_query import PACKETS, damaged
from tests.wire.test_response import REPLIES

SINKHOLE = Treatment(Action.SINKHOLE)
STAFF = Policy("staff", {"tiktok": SINKHOLE, "wechat": Treatment(Action.PASSTHRU, monitored=True)})
DROPPED = Policy("dropped", {"tiktok": Treatment(Action.DROP)})
RULES = Table(rule("tiktok.com"), rule("wechat.com", "wechat"), rule("203.0.113.0/24"))
CLIENT = b"\x0a\0\0\1"
NOW = 1000.5
A = "www.example.com 300 A 192.0.2.1"
PROOF = b"\xc0\0\2\x63"  # 192.0.2.99: upstream's words, which nobody may hear unchecked


class Bench:
    """A line with everything around it in reach."""

    def __init__(self, index=RULES, journaled=ATTEMPT, **limits):
        self.cache, self.fast, self.journal = Cache(Limits(**limits)), Fast(), Journal()
        self.line = Line(index, self.cache, self.fast, Wording(), self.journal, journaled)

    def open(self, packet, now=NOW, policy=STAFF, transport=UDP):
        return self.line.open(packet, policy, CLIENT, transport, now)

    def ask(self, packet, reply=None, now=NOW, policy=STAFF, transport=UDP):
        """Go the whole way; `reply` is a packet of the upstream's, None for silence."""
        exchange = self.open(packet, now, policy, transport)
        if exchange.wanted:
            self.finish(exchange, reply, now)
        return exchange

    def finish(self, exchange, reply, now=NOW):
        query = exchange.query
        response = scan(reply, query.question_end, query.qtype) if reply is not None else None
        self.line.keep(query, response, now)
        self.line.finish(exchange, response, now)


@pytest.mark.parametrize(
    ("packet", "rcode", "reason"),
    [
        (b"", None, "short"),
        (said(ask("a.example")), None, "response"),
        (ask("a.example")[:-1], "FORMERR", "truncated"),
        (b"\1\2\x28\0" + bytes(8), "NOTIMP", "opcode"),
        (ask("a.example", version=3), "BADVERS", "version"),
    ],
)
def test_what_is_no_query(packet, rcode, reason):
    bench = Bench()
    exchange = bench.open(packet)
    assert (bench.journal.reasons, exchange.wanted) == ([reason], False)
    assert (heard(exchange.answer).rcode if exchange.answer else None) == rcode
    assert bench.journal.endings == []


@pytest.mark.parametrize(
    ("packet", "policy", "rcode", "ending", "app"),
    [
        (ask("www.tiktok.com"), STAFF, "NOERROR", "blocked", "tiktok"),
        (ask("www.tiktok.com", "ANY"), STAFF, "NOERROR", "blocked", "tiktok"),
        (ask("www.tiktok.com"), DROPPED, "none", "blocked", "tiktok"),
        (ask("www.example.com", "ANY"), STAFF, "NOERROR", "local", ""),
        (ask("www.tiktok.com", "AXFR"), STAFF, "REFUSED", "local", ""),
        (ask("www.example.com", "IXFR"), STAFF, "REFUSED", "local", ""),
        (ask("www.example.com", "TYPE128"), STAFF, "FORMERR", "local", ""),
        (ask("www.example.com", "OPT"), STAFF, "FORMERR", "local", ""),
        (ask("version.bind", "TXT", qclass="CH"), STAFF, "REFUSED", "local", ""),
        (ask("www.tiktok.com", qclass="HS"), STAFF, "REFUSED", "local", ""),
        (ask("www.example.com", flags=""), STAFF, "REFUSED", "local", ""),
    ],
)
def test_what_needs_no_upstream(packet, policy, rcode, ending, app):
    bench = Bench()
    exchange = bench.open(packet, policy=policy)
    assert (exchange.wanted, exchange.refresh) == (False, False)
    assert (heard(exchange.answer).rcode if exchange.answer else "none") == rcode
    ((labels),) = bench.journal.endings
    assert (labels.rcode, labels.ending, labels.app) == (rcode, ending, app)


@pytest.mark.parametrize(
    ("qtype", "rcode"), [("TXT", "NOERROR"), ("A", "REFUSED")]
)  # version.bind has a text, and nothing else
def test_what_is_counted_is_what_was_said(qtype, rcode):
    bench = Bench()
    bench.line.adopt(RULES, Wording(version="resolver 1"), lambda client: STAFF)
    exchange = bench.open(ask("version.bind", qtype, qclass="CH"))
    assert heard(exchange.answer).rcode == bench.journal.endings[0].rcode == rcode


def test_a_miss_a_hit_and_the_fast_table():
    bench = Bench()
    packet = ask("www.example.com")
    exchange = bench.open(packet)
    assert (exchange.answer, exchange.wanted) == (None, True)
    bench.finish(exchange, said(packet, A))
    assert heard(exchange.answer).answer == lines(A)
    assert not exchange.wanted
    bench.fast.remember(CLIENT, STAFF)
    assert bench.fast.by_address[CLIENT] == {}  # what was asked once is not worth the room
    again = bench.open(ask("www.example.com", ident=7), now=NOW + 10)
    assert heard(again.answer).answer == lines("www.example.com 290 A 192.0.2.1")
    given = bench.fast.by_address[CLIENT][packet[2:]]
    assert (b"\0\7" + given.answer, given.stored, given.expires) == (again.answer, 1010, 1270)
    assert [given.answer[at : at + 4] for at in given.ttl_offsets] == [b"\0\0\1\x22"]
    assert [each.ending for each in bench.journal.endings] == ["upstream", "cache"]
    assert (bench.line.hits, bench.line.misses, bench.line.prefetches) == (1, 1, 0)


@pytest.mark.parametrize(
    ("packet", "reply", "transport", "policy", "kept"),
    [
        (ask("www.tiktok.com"), None, UDP, STAFF, 1),  # a listed name stays blocked until the lists change
        (ask("www.tiktok.com"), None, TCP, STAFF, 0),  # the drain is for UDP
        (ask("www.tiktok.com"), None, UDP, DROPPED, 0),  # there is nothing to give
        (ask("www.example.com"), {"answer": A}, UDP, STAFF, 1),
        (ask("www.example.com"), {"answer": A}, TCP, STAFF, 0),
        (
            ask("www.example.com"),
            {"answer": "www.example.com 300 CNAME tiktok.com"},
            UDP,
            STAFF,
            0,
        ),  # may change with upstream
        (ask("www.example.com"), {"answer": "www.example.com 300 A 10.0.0.1"}, UDP, STAFF, 0),
        (ask("www.example.com"), None, UDP, STAFF, 0),
        (ask("www.example.com", flags=""), {"answer": A}, UDP, STAFF, 0),
        (ask("www.wechat.com"), {"answer": A}, UDP, STAFF, 1),  # and journaled each time it is given
    ],
)
def test_what_the_fast_table_takes(packet, reply, transport, policy, kept):
    bench = Bench()
    for flags in (b"\1", packet[2:3]):  # once with RD, so that the cache is warm
        asked = packet[:2] + flags + packet[3:]
        bench.fast.clear()
        bench.ask(asked, said(asked, **reply) if reply else None, policy=policy, transport=transport)
    bench.fast.remember(CLIENT, policy)
    table = bench.fast.by_address[CLIENT]
    assert len(table) == kept
    assert all(given.flags == ATTEMPT for given in table.values() if given.expires == FOREVER)
    assert all(bool(given.flags) == bool(given.tail) for given in table.values())


@pytest.mark.parametrize(
    ("transport", "packet", "limit"),
    [
        (UDP, ask("big.example", "TXT", edns=False), 512),
        (UDP, ask("big.example", "TXT", size=700), 700),
        (UDP, ask("big.example", "TXT", size=4096), 1232),
        (TCP, ask("big.example", "TXT", edns=False), 65535),
    ],
)
def test_sizes(transport, packet, limit):
    for count in range(1, 12):
        answer = "\n".join(f'big.example 60 TXT "{at:0180}"' for at in range(count))
        exchange = Bench().ask(packet, said(packet, answer), transport=transport)
        whole = len(said(packet, answer, edns=parse_query(packet).edns))
        assert len(exchange.answer) <= limit
        assert ("TC" in heard(exchange.answer).flags) == (whole > limit)


@pytest.mark.parametrize(
    ("packet", "transport", "keepalive"),
    [
        (ask("tiktok.com", options=[KEEPALIVE]), TCP, True),
        (ask("tiktok.com", options=[KEEPALIVE]), UDP, False),
        (ask("tiktok.com"), TCP, False),
        (ask("tiktok.com", edns=False), TCP, False),
    ],
)
def test_keepalive(packet, transport, keepalive):
    assert (11 in heard(Bench().open(packet, transport=transport).answer).options) is keepalive


def test_a_failure_makes_way_for_a_stale_answer():
    bench, packet = Bench(stale_for=1000), ask("www.example.com")
    bench.ask(packet, said(packet, A))
    for now, asked in ((NOW + 301, True), (NOW + 302, False), (NOW + 310, True)):
        exchange = bench.open(packet, now=now)
        assert exchange.wanted is asked
        if asked:
            bench.finish(exchange, None, now)
        assert heard(exchange.answer).answer == lines("www.example.com 30 A 192.0.2.1")
        assert heard(exchange.answer).ede == [3]
    assert heard(bench.ask(packet, None, NOW + 1301).answer).rcode == "SERVFAIL"


def test_new_lists_meet_an_answer_on_its_way():
    """A query that was allowed when it left is judged by the lists in force when its answer comes."""
    bench, packet = Bench(Table()), ask("www.example.com")
    exchange = bench.open(packet)
    bench.line.adopt(RULES, Wording(), lambda client: STAFF)
    bench.finish(exchange, said(packet, "www.example.com 300 CNAME tiktok.com"))
    assert heard(exchange.answer).ede == [15]


def test_a_name_that_is_listed_while_its_answer_is_on_its_way_is_blocked():
    bench, packet = Bench(Table()), ask("www.tiktok.com")
    exchange = bench.open(packet)
    bench.line.adopt(RULES, Wording(), lambda client: STAFF)
    bench.finish(exchange, said(packet, "www.tiktok.com 300 A 192.0.2.1"))
    assert heard(exchange.answer).answer == lines("www.tiktok.com 60 A 0.0.0.0")


def test_prefetch_is_wanted_once():
    bench, packet = Bench(), ask("www.example.com")
    bench.ask(packet, said(packet, A))
    assert [bench.open(packet, NOW + at).refresh for at in (1, 271, 272, 280)] == [False, True, False, False]


@pytest.mark.parametrize(
    ("journaled", "names_logged"),
    [
        (0, []),
        (ATTEMPT, ["www.tiktok.com", "www.wechat.com"]),
        (QUERY, ["www.tiktok.com", "www.example.com", "www.wechat.com"]),
        (ATTEMPT | QUERY, ["www.tiktok.com", "www.example.com", "www.wechat.com"]),
    ],
)
def test_what_is_journaled(journaled, names_logged):
    bench = Bench(journaled=journaled)
    for name in ("www.tiktok.com", "www.example.com", "www.wechat.com"):
        bench.ask(packet := ask(name), said(packet, f"{name} 60 A 192.0.2.1"))
    assert [json.loads(b"{" + tail + b"}")["qname"] for _, tail in bench.journal.lines] == names_logged
    assert [flags & ~journaled for flags, _ in bench.journal.lines] == [0] * len(names_logged)


@pytest.mark.parametrize(
    ("name", "policy", "size", "answer"),
    [
        ("www.tiktok.com", STAFF, 1232, ["0.0.0.0"]),
        ("www.tiktok.com", DROPPED, 1232, "nothing"),
        ("www.wechat.com", STAFF, 1232, ["192.0.2.1"]),  # monitored: what upstream said
        ("www.example.com", STAFF, 1232, ["0.0.0.0"]),  # blocked for an address inside the answer
    ],
)
def test_an_attempt_says_what_was_heard_and_on_what_basis(name, policy, size, answer):
    bench = Bench()
    bench.line.adopt(RULES, Wording(), lambda client: policy, events.Basis("0011", "aabb"))
    address = "203.0.113.7" if name == "www.example.com" else "192.0.2.1"
    exchange = bench.ask(packet := ask(name), said(packet, f"{name} 60 A {address}"), policy=policy)
    ((_, tail),) = bench.journal.lines
    found = json.loads(b"{" + tail + b"}")
    assert (found["answer"], found["list"], found["policy"]) == (answer, "0011", "aabb")
    if isinstance(answer, list):
        assert [each.split()[-1] for each in map(str, heard(exchange.answer).answer)] == answer


# Whatever fails, fails closed.


class BugError(Exception):
    """What nobody expected."""


class Failing:
    """A step that raises; `reached` tells whether anybody came by."""

    def __init__(self, *error):
        self.error = error  # its class and arguments: one exception raised again and again would grow
        self.reached = False

    def __call__(self, *_args, **_more):
        self.reached = True
        kind, *said = self.error
        raise kind(*said)


ERRORS = [(BugError,), (WireError, None, "bug"), (WireError, 1, "bug")]
STEPS = {
    "parse_query": lambda bench: (line, "parse_query"),
    "decide": lambda bench: (line, "decide"),
    "inspect": lambda bench: (line, "inspect"),
    "without_ech": lambda bench: (line, "without_ech"),
    "told": lambda bench: (line.answer, "told"),
    "blocked": lambda bench: (line.answer, "blocked"),
    "failed": lambda bench: (line.answer, "failed"),
    "minimal_any": lambda bench: (line.answer, "minimal_any"),
    "malformed": lambda bench: (line.answer, "malformed"),
    "labels": lambda bench: (events, "labels"),
    "tail": lambda bench: (events, "tail"),
    "cache.get": lambda bench: (bench.cache, "get"),
    "index.find": lambda bench: (bench.line.index, "find"),
    "index.find_address": lambda bench: (bench.line.index, "find_address"),
    "fast.put": lambda bench: (bench.fast, "put"),
    "recorder.outcome": lambda bench: (bench.journal, "outcome"),
    "recorder.record": lambda bench: (bench.journal, "record"),
    "recorder.malformed": lambda bench: (bench.journal, "malformed"),
}
WALKS = {
    "miss": ("www.example.com", "A", 0, True),
    "hit": ("www.example.com", "A", 10, True),
    "prefetch": ("www.example.com", "A", 290, True),
    "stale": ("www.example.com", "A", 310, False),
    "failure": ("other.example.com", "A", 10, False),
    "blocked": ("www.tiktok.com", "A", 10, True),
    "cloaked": ("cloaked.example", "A", 10, True),
    "monitored": ("www.wechat.com", "A", 10, True),
    "ech": ("www.example.com", "HTTPS", 10, True),
    "any": ("www.example.com", "ANY", 10, True),
    "malformed": ("bad.example", "A", 10, True),
}
WARM = ("hit", "prefetch", "stale", "cloaked", "monitored", "ech")  # the cache holds something


def reply_to(packet, name, qtype):
    text = {
        ("cloaked.example", "A"): "cloaked.example 300 CNAME x.tiktok.com\nx.tiktok.com 300 A 192.0.2.99",
        (name, "HTTPS"): f"{name} 300 HTTPS 1 . ipv4hint=192.0.2.99 ech=AAT+DQAA",
    }.get((name, qtype), f"{name} 300 A 192.0.2.99")
    return said(packet, text)


def walk(bench, way, break_it=lambda: None):
    """Go one way through the line, broken where it gets interesting; return what became of the query."""
    name, qtype, after, answered = WALKS[way]
    packet = ask(name, qtype)
    if way in WARM:
        bench.ask(packet, reply_to(packet, name, qtype))
    break_it()
    exchange = bench.open(packet[:-1] if way == "malformed" else packet, NOW + after)
    if exchange.wanted:
        query = parse_query(packet)
        response = scan(reply_to(packet, name, qtype), query.question_end, query.qtype) if answered else None
        bench.line.finish(exchange, response, NOW + after)
    return exchange


def is_closed(exchange):
    """Tell whether the client hears a block, a failure or nothing."""
    if exchange.answer is None:
        return True
    got = heard(exchange.answer)
    return got.rcode in ("SERVFAIL", "FORMERR") or (got.ede == [15] and PROOF not in exchange.answer)


@pytest.mark.parametrize("error", ERRORS, ids=["a bug", "WireError, silent", "WireError, FORMERR"])
@pytest.mark.parametrize("way", WALKS)
@pytest.mark.parametrize("step", STEPS)
def test_whatever_fails_fails_closed(monkeypatch, step, way, error):
    """No step that raises makes `open` or `finish` raise, or lets upstream's words out."""
    bench, failing = Bench(Table(*RULES._rules)), Failing(*error)
    exchange = walk(bench, way, lambda: monkeypatch.setattr(*STEPS[step](bench), failing))
    assert not exchange.wanted
    assert is_closed(exchange) or not failing.reached


@pytest.mark.parametrize("step", STEPS)
def test_every_step_lies_on_some_way(monkeypatch, step):
    """Or the test above would show nothing."""
    failing = Failing(BugError)
    for way in WALKS:
        bench = Bench(Table(*RULES._rules))
        with contextlib.suppress(BugError):
            walk(bench, way, lambda bench=bench: monkeypatch.setattr(*STEPS[step](bench), failing))
        monkeypatch.undo()
    assert failing.reached


@pytest.mark.parametrize("way", WALKS)
def test_the_ways_lead_where_they_should(way):
    bench = Bench()
    exchange = walk(bench, way)
    expected = {"hit": "cache", "prefetch": "cache", "ech": "cache", "monitored": "cache", "miss": "upstream",
                "any": "local", "cloaked": "blocked", "malformed": None}  # fmt: skip
    assert (bench.journal.endings[-1].ending if bench.journal.endings else None) == expected.get(way, way)
    assert (exchange.refresh, bench.journal.bugs) == (way == "prefetch", [])


@pytest.mark.parametrize("error", ERRORS[:2], ids=["a bug", "WireError"])
@pytest.mark.parametrize("way", WALKS)
def test_everything_fails_at_once(monkeypatch, way, error):
    bench = Bench(Table(*RULES._rules))

    def break_it():
        monkeypatch.setattr(bench.journal, "bug", Failing(*error))
        for step in STEPS:
            monkeypatch.setattr(*STEPS[step](bench), Failing(*error))

    assert is_closed(walk(bench, way, break_it))


def test_what_comes_late_is_checked_too(monkeypatch):
    """All is well when the query leaves; when the answer comes, nothing works any more."""
    bench = Bench()
    packet = ask("www.example.com")
    exchange = bench.open(packet)
    for step in STEPS:
        monkeypatch.setattr(*STEPS[step](bench), Failing(BugError))
    bench.line.finish(exchange, scan(reply_to(packet, "www.example.com", "A"), len(packet) - 11, 1), NOW)
    assert exchange.answer is None or PROOF not in exchange.answer


def test_a_bug_is_told_to_the_operator(monkeypatch):
    bench = Bench()
    exchange = walk(bench, "miss", lambda: monkeypatch.setattr(line, "inspect", Failing(BugError, "told")))
    assert [str(bug) for bug in bench.journal.bugs] == ["told"]
    assert heard(exchange.answer).rcode == "SERVFAIL"
    assert bench.journal.endings[-1].ending == "failure"


@given(st.one_of(st.binary(max_size=100), damaged(PACKETS)), st.sampled_from([UDP, TCP]))
def test_any_packet_ends_well(packet, transport):
    """Whatever comes in, `open` does not raise, no bug shows, and what goes out fits and is readable."""
    bench = Bench()
    exchange = bench.open(packet, transport=transport)
    assert bench.journal.bugs == []
    if exchange.wanted:
        bench.line.finish(exchange, None, NOW)
    assert bench.journal.bugs == []
    if exchange.answer is not None:
        dns.message.from_wire(exchange.answer, ignore_trailing=False)  # dnslib reads no octets beyond ASCII in names
        assert exchange.answer[:2] == packet[:2]
        assert exchange.answer[2] & 0x80
        assert len(exchange.answer) <= (1232 if transport == UDP else 65535)
    else:
        assert bench.journal.reasons in (["short"], ["response"])


@given(REPLIES, st.booleans(), st.sampled_from([0, 3, 299]))
def test_no_reply_gets_past_the_lists(wire, again, later):
    """Whatever upstream says, no listed name, no private address and no ech reaches the client."""
    bench = Bench()
    packet = ask("www.example.com", "HTTPS")
    exchange = bench.ask(packet, wire)
    if again:
        exchange = bench.ask(packet, wire, NOW + later)
    assert bench.journal.bugs == []
    assert b"\6tiktok\3com" not in exchange.answer.lower()
    assert "ech=" not in " ".join(heard(exchange.answer).answer + heard(exchange.answer).additional)


@given(
    st.lists(
        st.tuples(st.sampled_from(["www.example.com", "www.tiktok.com", "c.example"]), st.integers(0, 400)), max_size=12
    )
)
def test_a_story_of_any_length(story):
    """From cache, stale or upstream: a client never hears of what is blocked, and TTLs never grow."""
    bench, now = Bench(stale_for=100), NOW
    for name, seconds in story:
        now += seconds
        packet = ask(name)
        text = "c.example 300 CNAME tiktok.com" if name == "c.example" else f"{name} 300 A 192.0.2.1"
        exchange = bench.ask(packet, said(packet, text) if seconds % 3 else None, now)
        got = heard(exchange.answer)
        assert got.rcode in ("NOERROR", "SERVFAIL")
        assert all(int(record.split()[1]) <= 300 for record in got.answer)
        assert name == "www.example.com" or got.ede == [15] or got.rcode == "SERVFAIL"
    assert bench.journal.bugs == []


def test_ids_come_back():
    assert Bench().open(ask("tiktok.com")).answer[:2] == ID.to_bytes(2)


def test_the_verdict_of_a_query_is_noted_for_its_end():
    bench = Bench()
    exchange = bench.open(ask("www.wechat.com"))
    assert exchange.noted.monitored
    assert bench.open(ask("www.example.com")).noted is PASSTHRU
    assert names.to_text(exchange.query.qname) == "www.wechat.com"


GATED = Policy("gated", {"tiktok": SINKHOLE}, gate=Gate.ENFORCE)
HINTED = "www.example.com 300 HTTPS 1 . ipv4hint=192.0.2.7"
BARE = "www.example.com 300 TXT text"


@pytest.mark.parametrize(
    ("policy", "qtype", "reply", "told"),
    [
        (GATED, "A", A, (b"\xc0\0\2\1",)),
        (GATED, "A", f"{A}\nwww.example.com 300 A 192.0.2.2", (b"\xc0\0\2\1", b"\xc0\0\2\2")),
        (GATED, "HTTPS", HINTED, (b"\xc0\0\2\7",)),  # hints are addresses (RFC 9460 §7.3)
        (GATED, "TXT", BARE, ()),  # nowhere to connect to
        (GATED, "A", "www.example.com 300 A 203.0.113.9", ()),  # blocked by its address: none of it is told
        (STAFF, "A", A, ()),  # not behind the gate
    ],
)
def test_what_the_gate_must_know(policy, qtype, reply, told):
    bench = Bench()
    packet = ask("www.example.com", qtype)
    assert bench.ask(packet, said(packet, reply), policy=policy).told == told
    assert bench.ask(packet, policy=policy).told == told  # from the cache too


def test_blocked_names_pass_the_gate_as_they_are():
    bench = Bench()
    exchange = bench.ask(ask("www.tiktok.com"), policy=GATED)
    assert (exchange.told, exchange.given) == ((), None)
    bench.fast.remember(CLIENT, GATED)
    assert len(bench.fast.by_address[CLIENT]) == 1


@pytest.mark.parametrize(
    ("later", "reply", "ttl"),
    [
        (0, A, 300),
        (100, A, 200),  # from the cache: what is left
        (400, None, 30),  # stale: what is told (RFC 8767 §4)
        (0, "www.example.com 0 A 192.0.2.1", 0),
        (0, "www.example.com 999999 A 192.0.2.1", 86400),  # no longer than we tell it
    ],
)
def test_how_long_what_was_told_may_be_used(later, reply, ttl):
    bench = Bench()
    packet = ask("www.example.com")
    exchange = bench.ask(packet, said(packet, reply or A), policy=GATED)
    if later:
        exchange = bench.ask(packet, None, NOW + later, GATED)
    assert exchange.ttl == ttl


def test_over_tcp_and_cut_short():
    packet = ask("www.example.com")
    many = "\n".join(f"www.example.com 300 A 192.0.2.{number}" for number in range(100))
    cut = Bench().ask(packet, said(packet, many), policy=GATED)
    assert (heard(cut.answer).answer, cut.told) == ([], ())  # it comes again over TCP
    assert len(Bench().ask(packet, said(packet, many), policy=GATED, transport=TCP).told) == 100


def test_behind_the_gate_only_the_shell_fills_the_fast_table():
    bench = Bench()
    packet = ask("www.example.com")
    bench.ask(packet, said(packet, A), policy=GATED)
    exchange = bench.ask(packet, policy=GATED)
    bench.fast.remember(CLIENT, GATED)
    assert bench.fast.by_address[CLIENT] == {}
    assert exchange.given.answer == exchange.answer[2:]


def test_what_is_withheld():
    bench = Bench()
    packet = ask("www.example.com")
    exchange = bench.ask(packet, said(packet, A), policy=GATED)
    bench.line.withhold(exchange)
    answer = heard(exchange.answer)
    assert (answer.rcode, answer.answer, answer.ede) == ("SERVFAIL", [], [14])
    assert (exchange.told, exchange.given) == ((), None)


def test_our_own_queries_are_counted_and_no_attempts():
    bench = Bench(journaled=ATTEMPT | QUERY)
    quiet = Policy("selftest", {"tiktok": SINKHOLE}, quiet=True)
    bench.ask(ask("tiktok.com"), policy=quiet)
    bench.ask(ask("tiktok.com"), policy=STAFF)
    told = [(flags, json.loads(b"{" + tail + b"}")["group"]) for flags, tail in bench.journal.lines]
    assert told == [(QUERY, "selftest"), (ATTEMPT | QUERY, "staff")]
    assert [each.group for each in bench.journal.endings] == ["selftest", "staff"]


def test_an_answer_whose_name_servers_cannot_be_learned_is_counted_and_not_told():
    bench = Bench(Table(rule("bad.net", trigger=Trigger.NSDNAME, answer=Action.NXDOMAIN, feed=True)))
    exchange = bench.open(ask("www.example.com"))
    bench.finish(exchange, said(ask("www.example.com"), A))
    assert (exchange.answer, exchange.wanted) == (None, True)
    (asked,) = exchange.waiting.asks
    assert (asked.qname, asked.qtype) == (names.from_text("www.example.com"), 2)
    bench.line.keep(asked, None, NOW)
    bench.line.finish(exchange, None, NOW)
    assert (heard(exchange.answer).rcode, exchange.wanted, bench.line.unjudged) == ("SERVFAIL", False, 1)
    assert [each.ending for each in bench.journal.endings] == ["failure"]


def test_lists_that_change_while_name_servers_are_asked_for_are_what_counts():
    bench = Bench(Table(rule("bad.net", trigger=Trigger.NSDNAME, answer=Action.NXDOMAIN, feed=True)))
    exchange = bench.open(ask("www.example.com"))
    bench.finish(exchange, said(ask("www.example.com"), A))
    bench.line.adopt(Table(rule("example.com")), Wording(), lambda _client: STAFF)
    bench.line.finish(exchange, None, NOW)
    assert heard(exchange.answer).answer == lines("www.example.com 60 A 0.0.0.0")
    again = bench.open(ask("www.example.org"))
    bench.finish(again, said(ask("www.example.org"), "www.example.org 300 A 192.0.2.1"))
    assert heard(again.answer).answer == lines("www.example.org 300 A 192.0.2.1")  # nothing speaks of servers now
