"""Unbound and BIND enforce our policy: the same verdicts as ours, kept the same by IXFR within seconds."""

import pytest

from tests.e2e.daemon import eventually
from tests.rpz import estate as made
from tests.rpz.estate import Estate


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The verdict of `decide` and `inspect` for each name."""
    return made.expected(tmp_path_factory.mktemp("expected"))


@pytest.fixture(scope="module")
def upstream():
    found = made.upstream()
    yield found
    found.close()


@pytest.fixture(scope="module")
def estate(tmp_path_factory, upstream):
    found = Estate(tmp_path_factory.mktemp("estate"), upstream)
    try:
        found.wait()
        yield found
    finally:
        found.close()
    assert "Traceback" not in found.daemon.log, found.daemon.log


def test_the_table_is_long_and_covers_every_verdict(expected):
    assert len(expected) >= 1000
    assert set(expected.values()) == {"pass", "sinkhole", "nxdomain", "nodata", "drop"}


@pytest.mark.parametrize("who", ["ourselves", "unbound", "bind"])
def test_every_verdict_is_the_same(estate, expected, who):
    address = estate.daemon.address if who == "ourselves" else estate.resolvers[who].address
    assert made.differing(address, expected) == {}


@pytest.mark.parametrize("who", ["unbound", "bind"])
def test_a_change_follows_by_ixfr_within_seconds(estate, who):
    server = estate.resolvers[who]
    name = f"new-{who}.example"
    assert server.verdict(name) == "pass"
    before = estate.transfers(who, "axfr"), estate.transfers(who, "ixfr")
    with (estate.daemon.lists / "plain.txt").open("a") as file:
        file.write(f"{name}\n@@plain9.example\n" if who == "bind" else f"{name}\n")
    assert estate.daemon.reload().returncode == 0
    server.wait(lambda: server.verdict(name) == "sinkhole", 10)
    assert server.verdict(f"www.{name}") == "sinkhole"
    eventually(lambda: estate.transfers(who, "ixfr") > before[1])  # one from before may be counted late
    assert estate.transfers(who, "axfr") == before[0]
