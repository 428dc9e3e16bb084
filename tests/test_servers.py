"""Which name servers a name is from: the walk up, by what upstreams have said."""

import pytest

from blocker import names, servers
from blocker.servers import MAX_SERVERS, MAX_ZONES, look, question
from blocker.wire.constants import AAAA, NS, A
from blocker.wire.response import scan
from tests.oracle import said

SOA = "{} 60 SOA a. b. 1 2 3 4 60"


def upstream(scripts):
    """Return what has been said to each question: `name TYPE` and what `said` takes."""
    known = {}
    for asked, script in scripts.items():
        name, kind = asked.split()
        query = question(names.from_text(name), {"NS": NS, "A": A, "AAAA": AAAA}[kind])
        script = {"answer": script} if isinstance(script, str) else script
        known[query.key] = scan(said(query.packet, **script), query.question_end, query.qtype)
    return known.get


def walked(scripts, *of, addresses=False):
    """Return the names, the addresses, and what is to be asked, or None for what cannot be learned."""
    found = look(upstream(scripts), map(names.from_text, of), addresses=addresses)
    if found.failed:
        return None
    wanted = [f"{names.to_text(each.qname)} {each.qtype}" for each in found.wanted]
    return [names.to_text(each) for each in found.names], found.addresses, wanted


def test_a_top_level_domain_is_nobodys():
    assert walked({}, "com") == walked({}, ".") == ([], [], [])


def test_step_by_step():
    scripts = {}
    assert walked(scripts, "www.a.com") == ([], [], ["www.a.com 2"])
    scripts["www.a.com NS"] = {"authority": SOA.format("a.com")}
    assert walked(scripts, "www.a.com") == ([], [], ["a.com 2"])
    scripts["a.com NS"] = "A.com 60 NS Ns1.X.net\na.com 60 NS ns2.x.net"
    assert walked(scripts, "www.a.com") == (["ns1.x.net", "ns2.x.net"], [], [])
    asked = ["ns1.x.net 1", "ns1.x.net 28", "ns2.x.net 1", "ns2.x.net 28"]
    assert walked(scripts, "www.a.com", addresses=True) == (["ns1.x.net", "ns2.x.net"], [], asked)  # all at once
    scripts |= {f"ns{at}.x.net A": f"ns{at}.x.net 60 A 192.0.2.{at}" for at in (1, 2)}
    scripts |= {f"ns{at}.x.net AAAA": {"authority": SOA.format("x.net")} for at in (1, 2)}
    found = walked(scripts, "www.a.com", addresses=True)
    assert found == (["ns1.x.net", "ns2.x.net"], [b"\xc0\0\2\1", b"\xc0\0\2\2"], [])


@pytest.mark.parametrize(
    ("script", "then"),
    [
        ({"authority": SOA.format("d.com")}, "d.com 2"),  # between the two is no zone
        ({"authority": SOA.format("D.com")}, "d.com 2"),
        ({"rcode": "NXDOMAIN", "authority": SOA.format("d.com")}, "d.com 2"),
        ({}, "b.c.d.com 2"),  # nobody says
        ({"authority": SOA.format("a.b.c.d.com")}, "b.c.d.com 2"),  # itself a zone, without servers: nonsense
        ({"authority": SOA.format("other.com")}, "b.c.d.com 2"),  # of somebody else
        ({"answer": "a.b.c.d.com 60 CNAME e.com", "authority": SOA.format("com")}, "b.c.d.com 2"),  # behind the alias
        ({"answer": "a.b.c.d.com 60 NS ns.x.net", "authority": SOA.format("com")}, "b.c.d.com 2"),
        ({"answer": "other.com 60 NS ns.x.net", "authority": SOA.format("com")}, "b.c.d.com 2"),
        ({"rcode": "SERVFAIL"}, None),
        ({"rcode": "REFUSED"}, None),
    ],
)
def test_where_the_walk_goes_on(script, then):
    found = walked({"a.b.c.d.com NS": script}, "a.b.c.d.com")
    assert (found and found[2]) == (then and [then])


def test_names_of_others_are_not_taken_for_the_zones():
    scripts = {"a.com NS": "b.com 60 NS ns.x.net\na.com 60 NS ns.y.net"}
    assert walked(scripts, "a.com")[0] == ["ns.y.net"]


def test_several_names_are_walked_once_each():
    scripts = {f"{name} NS": f"{name} 60 NS ns.{name}" for name in ("a.com", "b.com")}
    scripts["w.a.com NS"] = {"authority": SOA.format("a.com")}
    assert walked(scripts, "w.a.com", "a.com", "b.com")[0] == ["ns.a.com", "ns.b.com"]


@pytest.mark.parametrize(("depth", "learned"), [(MAX_ZONES, True), (MAX_ZONES + 1, False)])
def test_the_walk_is_bounded(depth, learned):
    labels = [f"l{at}" for at in range(depth)]
    zones = [".".join([*labels[at:], "com"]) for at in range(depth)]
    scripts = {f"{zone} NS": f"{zone} 60 NS ns.x.net" for zone in zones}
    assert (walked(scripts, zones[0]) is not None) is learned


@pytest.mark.parametrize(("number", "learned"), [(MAX_SERVERS, True), (MAX_SERVERS + 1, False)])
def test_more_servers_than_anybody_has_are_not_looked_at(number, learned):
    scripts = {"a.com NS": "\n".join(f"a.com 60 NS ns{at}.x.net" for at in range(number))}
    assert (walked(scripts, "a.com") is not None) is learned


@pytest.mark.parametrize(
    ("scripts", "learned"),
    [
        ({"A": {"rcode": "SERVFAIL"}, "AAAA": "ns.x.net 60 AAAA 2001:db8::1"}, False),  # it might be the listed one
        ({"A": {"rcode": "NXDOMAIN"}, "AAAA": {"rcode": "NXDOMAIN"}}, False),  # whoever answered has an address
        ({"A": {}, "AAAA": "ns.x.net 60 AAAA 2001:db8::1"}, True),
    ],
)
def test_addresses_that_cannot_be_learned(scripts, learned):
    known = {"a.com NS": "a.com 60 NS ns.x.net"} | {f"ns.x.net {kind}": said for kind, said in scripts.items()}
    assert (walked(known, "a.com", addresses=True) is not None) is learned


def test_a_name_that_nobody_can_ask_for():
    assert question(b"\x40" + b"a" * 64 + b"\0", NS) is None
    assert servers.look(lambda _: None, [b"\x40" + b"a" * 64 + b"\3com\0"], addresses=False).failed
