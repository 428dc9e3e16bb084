"""Somebody's policy zone means the same here, in BIND and in Unbound: all triggers, all actions, 1,000 names."""

import pytest

from tests.e2e.daemon import eventually
from tests.rpz import theirs
from tests.rpz.theirs import ACTIONS, Estate


@pytest.fixture(scope="module")
def estate(tmp_path_factory):
    internet = theirs.internet()
    found = Estate(tmp_path_factory.mktemp("estate"), internet)
    try:
        found.wait()
        yield found
    finally:
        found.close()
        internet.close()
    assert "Traceback" not in found.daemon.log, found.daemon.log


def test_the_table_is_long_and_covers_every_action():
    expected = theirs.table()
    assert len(expected) >= 1000
    assert set(expected.values()) == set(ACTIONS)


@pytest.mark.parametrize(("who", "otherwise"), [("ours", {}), ("bind", {}), ("unbound", theirs.corners())])
def test_every_verdict_is_the_same(estate, who, otherwise):
    assert theirs.differing(estate.resolvers[who].address, theirs.table()) == otherwise


def test_each_trigger_is_recorded_as_what_it_is(estate):
    names = {
        "qname": "www.nxdomain.q.example", "response-ip": "ip-198-51-100-10.r.example",
        "nsdname": "a.nd-nxdomain.example", "nsip": "a.np-nxdomain.example", "client-ip": "c1.plain.example",
    }  # fmt: skip
    theirs.differing(estate.daemon.address, {(theirs.PLAIN, name): "nxdomain" for name in names.values()})
    theirs.differing(estate.daemon.address, {(f"{theirs.CLIENTS}.10", names["client-ip"]): "nxdomain"})
    wanted = set(names.items())
    eventually(lambda: wanted <= {(line["trigger"], line["qname"]) for line in estate.daemon.attempts()})


@pytest.mark.parametrize("name", ["tcp-only.q.example", "nd-tcp-only.example", "ip-198-51-100-50.r.example"])
def test_what_is_left_to_tcp_is_answered_there(estate, name):
    for who, server in estate.resolvers.items():
        if who == "unbound" and name.startswith("nd-"):
            continue  # see theirs.corners
        assert theirs.over_tcp(server.address, name) == "pass", who
