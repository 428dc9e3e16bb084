"""The pure parts of the benches: what is read from dnsperf, and what becomes of figures. Nothing here is timed."""

import sys
from itertools import islice

import pytest

from blocker.egress import recorded
from blocker.egress.flows import Flows
from tests.bench import machine, million, misses, traffic
from tests.bench.errors import BenchError
from tests.bench.figures import Ratio, Row, Series, Stamp, quantile, table
from tests.bench.load import Result, parse, write_names
from tests.bench.probe import arrival
from tests.bench.process import spent

STATISTICS = """DNS Performance Testing Tool
Version 2.10.0

[Status] Sending queries (to 127.0.0.1:5301)
[Timeout] Query timed out: msg id 13

Statistics:

  Queries sent:         3990
  Queries completed:    3988 (99.95%)
  Queries lost:         2 (0.05%)

  Response codes:       NOERROR 3980 (99.80%), SERVFAIL 8 (0.20%)
  Average packet size:  request 37, response 53
  Run time (s):         1.993963
  Queries per second:   2000.037112

  Average Latency (s):  0.000039 (min 0.000019, max 0.002203)
"""
NOTHING = (
    "Queries sent: 0\nQueries completed: 0 (0.00%)\nQueries lost: 0\nResponse codes:       \nQueries per second: 0.0\n"
)
STAMP = Stamp("2026-01-02", "abc1234", "CPU, 2 cores")


@pytest.mark.parametrize(("text", "result"), [
    (STATISTICS, Result(3990, 3988, 2, 2000.037112, {"NOERROR": 3980, "SERVFAIL": 8})),
    (NOTHING, Result(0, 0, 0, 0.0, {})),
])  # fmt: skip
def test_parse(text, result):
    assert parse(text) == result


@pytest.mark.parametrize("text", ["", "Error: unable to bind", STATISTICS.replace("lost", "mislaid")])
def test_parse_refuses_what_says_nothing(text):
    with pytest.raises(BenchError, match="did not say"):
        parse(text)


def test_arrival_is_the_kernels_timespec():
    assert (
        arrival((1_700_000_000).to_bytes(8, sys.byteorder) + (5).to_bytes(8, sys.byteorder))
        == 1_700_000_000_000_000_005
    )


def test_write_names(tmp_path):
    assert write_names(tmp_path / "names", ("a.com", "b.com")).read_text() == "a.com A\nb.com A\n"


@pytest.mark.parametrize(("values", "text"), [
    ((3.0, 1.0, 2.0), "2.00 us (1.00..3.00)"),
    ((1.0, 100.0, 2.0, 3.0), "2.50 us (1.00..100.00)"),  # one bad round does not move the figure
    ((1.0,), "1.00 us"),
])  # fmt: skip
def test_series(values, text):
    assert Series.of(values).text("us") == text


def test_series_needs_values():
    with pytest.raises(ValueError, match="at least one"):
        Series.of(())


def test_ratio_is_of_medians_and_shows_the_rounds():
    ratio = Ratio(Series.of((1.0, 2.0, 9.0)), Series.of((2.0, 4.0, 3.0)))
    assert ratio.value == 2 / 3
    assert ratio.text("unbound") == "0.67 × unbound (0.50..3.00)"


@pytest.mark.parametrize(("values", "share", "found"), [
    ([5.0], 0.99, 5.0),
    (list(range(100)), 0.99, 99),
    (list(range(1000)), 0.99, 990),
    ([3.0, 1.0, 2.0], 0.5, 2.0),
    ([3.0, 1.0, 2.0], 1.0, 3.0),
])  # fmt: skip
def test_quantile(values, share, found):
    assert quantile(values, share) == found


@pytest.mark.parametrize(("met", "cell"), [(True, "yes"), (False, "**no**"), (None, "")])
def test_table_row(met, cell):
    row = Row("hits", "ours | theirs", "1 us", "0.5", "≤ 1", met)
    assert table([row], STAMP, head=False) == (
        rf"| 2026-01-02 | abc1234 | CPU, 2 cores | hits | ours \| theirs | 1 us | 0.5 | ≤ 1 | {cell} |"
    )


def test_table_is_markdown():
    head, rule, *rows = table([Row("hits", "ours", "1 us")], STAMP).splitlines()
    assert head.count("|") == rule.count("|") == rows[0].count("|")
    assert len(rows) == 1


def test_spent_is_of_all_processes():
    assert spent({1: 100, 2: 50}, {1: 130, 2: 51}) == 31


@pytest.mark.parametrize("after", [{1: 100}, {1: 100, 2: 50, 3: 0}])
def test_spent_refuses_a_family_that_changed(after):
    with pytest.raises(BenchError, match="came or went"):
        spent({1: 100, 2: 50}, after)


def test_cpu_model():
    assert machine.cpu_model("processor\t: 0\nmodel name\t: AMD EPYC\n") == "AMD EPYC"


def test_names_do_not_repeat():
    turns = [set(misses.names(turn, 500)) for turn in range(3)]
    assert len(set.union(*turns)) == 1500


def test_a_million_names_are_distinct_and_the_same_each_time():
    first = list(islice(million.names(), 10_000))
    assert len(set(first)) == 10_000
    assert first == list(islice(million.names(), 10_000))


def test_made_traffic_is_as_many_connections_as_it_says(tmp_path):
    banned = traffic.write(tmp_path / "packets", 300)
    flows = Flows()
    with (tmp_path / "packets").open("rb") as file:
        for now, packet in recorded.read(file):
            flows.see(packet, now)
    assert sum(flows.kinds.values()) == 300
    assert flows.kinds.keys() == {"tls", "quic", "http", "mmtls", "dns"}
    assert 0 < banned < 300
