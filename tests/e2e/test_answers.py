"""What a client hears and what the upstream sees: `blocker run` with flags only and the lists that ship."""

import itertools
import time

import dns.edns
import dns.flags
import dns.message
import dns.name
import pytest

from tests.e2e.client import addresses, errors, query, rcode
from tests.e2e.daemon import Daemon, end, eventually, free_port, records
from tests.e2e.upstream import V4, V6, Upstream, answer

HOSTS = ("127.0.0.1", "::1")


@pytest.fixture(scope="module")
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, upstream):
    """One blocker for the whole module, started by flags."""
    folder = tmp_path_factory.mktemp("flags")
    port, metrics = free_port(*HOSTS), free_port("127.0.0.1")
    flags = [word for host in HOSTS for word in ("--listen", end(host, port))]
    flags += ["--upstream", str(upstream), "--metrics", f"127.0.0.1:{metrics}", "--workers", "2"]
    made = Daemon(folder, [upstream], hosts=HOSTS, port=port, flags=flags, wait=False)
    made.metrics_port = metrics
    made.control = folder / "cache" / "blocker" / "control.sock"
    try:
        made.wait_ready()
        yield made
        assert made.stop() == 0
    finally:
        made.close()
    assert "Traceback" not in made.log


WAYS = [(host, transport) for host in HOSTS for transport in ("udp", "tcp")]


def asked(daemon, host, transport, name, qtype="A", **how):
    """Return the answer to a query over `transport`."""
    with (daemon.stream if transport == "tcp" else daemon.client)(host=host) as client:
        return client.ask(name, qtype, **how)


@pytest.mark.parametrize(("host", "transport"), WAYS)
def test_a_blocked_name(daemon, upstream, host, transport):
    name = f"{transport}{HOSTS.index(host)}.tiktok.com"
    labels = {"app": "tiktok", "group": "default", "action": "sinkhole"}  # the self-test's group counts on its own
    before = daemon.count("blocker_blocked_total", **labels)
    for again in range(2):  # the second time the drain answers
        heard = asked(daemon, host, transport, name)
        assert (rcode(heard), addresses(heard)) == ("NOERROR", ["0.0.0.0"])
        ((code, text),) = errors(heard).items()
        assert code == 15
        assert text.startswith("TikTok")
        eventually(lambda seen=again + 1: daemon.count("blocker_blocked_total", **labels) == before + seen)
    assert upstream.seen("tiktok.com") == []
    lines = eventually(
        lambda: len(found := [line for line in _attempts(daemon) if line["qname"] == name]) == 2 and found
    )
    for line in lines:
        assert (line["client"], line["transport"], line["app"]) == (host, transport, "tiktok")
        assert line["entry"].startswith("tiktok.yaml:") or "/tiktok.yaml:" in line["entry"]
        assert (line["outcome"], line["action"], line["trigger"]) == ("blocked", "sinkhole", "qname")


@pytest.mark.parametrize(("host", "transport"), WAYS)
def test_an_allowed_name(daemon, upstream, host, transport):
    name = f"{transport}{HOSTS.index(host)}.allowed.example"
    before = daemon.count("blocker_queries_total", transport=transport, type="AAAA")
    heard = asked(daemon, host, transport, name, "AAAA")
    assert (rcode(heard), addresses(heard), errors(heard)) == ("NOERROR", [V6], {})
    assert heard.flags & dns.flags.RA
    assert [(seen.transport, seen.qtype) for seen in upstream.seen(name)] == [("udp", "AAAA")]
    eventually(lambda: daemon.count("blocker_queries_total", transport=transport, type="AAAA") == before + 1)


def test_a_repeated_question_is_answered_from_memory(daemon, upstream):
    with daemon.client() as client:
        assert [addresses(client.ask("twice.example")) for _ in range(3)] == [[V4]] * 3
    assert len(upstream.seen("twice.example")) == 1


def test_a_name_behind_an_alias_is_blocked(daemon, upstream):
    upstream.scripts["harmless.example"] = answer(
        "harmless.example. 300 CNAME edge.tiktok.com.", "edge.tiktok.com. 300 A 6.6.6.6"
    )
    for _ in range(2):
        heard = daemon.ask("harmless.example")
        assert (addresses(heard), list(errors(heard))) == (["0.0.0.0"], [15])
    assert {seen.name for seen in upstream.seen("harmless.example")} == {"harmless.example"}
    (line, *_) = eventually(lambda: [each for each in _attempts(daemon) if each["qname"] == "harmless.example"])
    assert "edge.tiktok.com" in line["via"]


@pytest.mark.parametrize("name", ["WwW.sPeLLing.eXample", "wWw.TikTok.COM"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_spelling_and_id_come_back_exactly(daemon, upstream, transport, name):
    with (daemon.stream if transport == "tcp" else daemon.client)() as client:
        for _ in range(2):
            message = query(name)
            client.send(message)
            heard = client.receive()
            heard = dns.message.from_wire(heard) if isinstance(heard, bytes) else heard
            assert heard.id == message.id
            assert heard.question[0].name.to_text() == name + "."  # dnspython compares without regard to case
    assert all(seen.spelled == seen.name for seen in upstream.seen())


def test_only_the_question_goes_upstream(daemon, upstream):
    subnet = dns.edns.ECSOption("192.0.2.0", 24)
    cookie = dns.edns.GenericOption(10, bytes(range(8)))
    heard = daemon.ask("private.example", options=[subnet, cookie], do=True)
    assert addresses(heard) == [V4]
    (seen,) = upstream.seen("private.example")
    (opt,) = seen.message.ar
    assert opt.rdata == []
    assert opt.rclass == 1232
    assert opt.edns_do == 1
    assert b"\xc0\x00\x02" not in seen.wire


def test_ports_and_ids_towards_the_upstream_vary(daemon, upstream):
    with daemon.client() as client:
        messages = [query(f"n{number}.ports.example") for number in range(120)]
        assert len(client.ask_all(messages)) == 120
    seen = upstream.seen("ports.example")
    assert len(seen) >= 120
    assert len({each.source[1] for each in seen}) >= 10  # one worker has 16
    idents = [each.ident for each in seen]
    assert len(set(idents)) >= 115
    assert len({later - former for former, later in itertools.pairwise(idents)}) > 100


def test_an_answer_that_is_too_big_for_the_client(daemon, upstream):
    upstream.scripts["big.example"] = answer(*(f'big.example. 300 TXT "{number:03}{"x" * 90}"' for number in range(10)))
    heard = daemon.ask("big.example", "TXT", size=512)
    assert heard.flags & dns.flags.TC
    assert len(heard.to_wire()) <= 512
    assert not heard.answer
    with daemon.stream() as stream:
        whole = stream.ask("big.example", "TXT")
    assert len(whole.answer[0]) == 10
    assert not whole.flags & dns.flags.TC


@pytest.mark.parametrize(
    ("name", "qtype", "heard"),
    [
        ("tiktok.com", "AAAA", ("NOERROR", ["::"])),
        ("tiktok.com", "HTTPS", ("NOERROR", [])),
        ("tiktok.com", "ANY", ("NOERROR", [])),
        ("use-application-dns.net", "A", ("NXDOMAIN", [])),
        ("_dns.resolver.arpa", "SVCB", ("NOERROR", [])),
        ("printer.local", "A", ("NXDOMAIN", [])),
        ("localhost", "A", ("NOERROR", ["127.0.0.1"])),
        ("1.1.168.192.in-addr.arpa", "PTR", ("NXDOMAIN", [])),
    ],
)
def test_names_that_stay_inside(daemon, upstream, name, qtype, heard):
    before = len(upstream.seen(name))
    said = daemon.ask(name, qtype)
    assert (rcode(said), addresses(said)) == heard
    assert len(upstream.seen(name)) == before == 0


def test_negative_answers_are_kept(daemon, upstream):
    soa = "nowhere.example. 300 SOA ns.example. host.example. 1 3600 600 86400 60"
    upstream.scripts["nowhere.example"] = answer(rcode="NXDOMAIN", authority=[soa])
    with daemon.client() as client:
        assert [rcode(client.ask("x.nowhere.example")) for _ in range(3)] == ["NXDOMAIN"] * 3
    assert len(upstream.seen("nowhere.example")) == 1


def test_ttls_age(daemon, upstream):
    with daemon.client() as client:
        assert client.ask("ages.example").answer[0].ttl == 300
        began = time.monotonic()
        ttl = eventually(lambda: (found := client.ask("ages.example").answer[0].ttl) < 300 and found)
        assert 300 - (time.monotonic() - began) - 2 <= ttl <= 299
    assert len(upstream.seen("ages.example")) == 1


def test_pages(daemon):
    assert daemon.get("/healthz")[0] == 200
    assert daemon.get("/readyz")[0] == 200
    assert daemon.count("blocker_errors_total") == 0
    assert daemon.count("blocker_worker_up") == 2
    assert daemon.count("blocker_list_entries", app="tiktok") > 100


def _attempts(daemon):
    """The attempt log goes to standard output, unless somebody says otherwise."""
    return records(daemon.folder / "stdout")
