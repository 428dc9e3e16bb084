"""The attempt log and the query log."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import events, names
from blocker.config import ClientPrivacy, Log
from blocker.errors import ConfigError
from blocker.events import ATTEMPT, QUERY
from blocker.policy import Action, Rule, Scope, Trigger, Verdict
from blocker.sinks import querylog
from blocker.sinks.querylog import QueryLog
from blocker.sinks.region import Record

NOW = 1795464721.0  # 2026-11-23T20:12:01Z
V4 = b"\xc0\x00\x02\x01"
RULE = Rule("tiktok", "tiktok.com", Scope.SUFFIX, allow=False, source="tiktok.yaml:14", reference="order-1")
TAIL = events.tail(
    "staff", names.from_text("www.tiktok.com"), 1, "udp", 0, "blocked", Verdict(Action.SINKHOLE, Trigger.QNAME, RULE)
)


def record(number: int, flags: int = ATTEMPT, when: float = NOW) -> Record:
    """Return a record that can be told from others."""
    return Record(flags, when, V4, b'"n":%d' % number)


def numbers(path: Path) -> list[int]:
    """Return which records a log holds."""
    return [json.loads(line)["n"] for line in path.read_bytes().splitlines()] if path.exists() else []


def test_a_file_that_cannot_be_written_is_told_of_before_there_is_a_line(tmp_path, capfd):
    (tmp_path / "no").touch()
    log = QueryLog(Log(attempts=tmp_path / "a", queries=tmp_path / "no" / "b"))
    log.begin(NOW)
    assert (tmp_path / "a").read_bytes() == b""
    (said,) = capfd.readouterr().err.splitlines()
    assert "log cannot be written" in said
    assert "Not a directory" in said
    assert log.dropped == 0
    log.close(NOW)


def test_a_line_says_everything(tmp_path: Path) -> None:
    log = QueryLog(Log(attempts=tmp_path / "a"))
    log.write([Record(ATTEMPT, NOW + 0.123456, V4, TAIL)], NOW)
    assert json.loads((tmp_path / "a").read_bytes()) == {
        "time": "2026-11-23T20:12:01.123456Z",
        "client": "192.0.2.1",
        "group": "staff",
        "qname": "www.tiktok.com",
        "qtype": "A",
        "transport": "udp",
        "rcode": "NOERROR",
        "outcome": "blocked",
        "app": "tiktok",
        "entry": "tiktok.yaml:14",
        "value": "tiktok.com",
        "trigger": "qname",
        "action": "sinkhole",
        "reference": "order-1",
    }


@pytest.mark.parametrize(
    ("when", "time"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (NOW + 0.999999, "2026-11-23T20:12:01.999999Z"),
        (NOW + 0.5, "2026-11-23T20:12:01.500000Z"),
        (NOW - 0.5, "2026-11-23T20:12:00.500000Z"),  # records of several workers come out of order
    ],
)
def test_times(tmp_path: Path, when: float, time: str) -> None:
    log = QueryLog(Log(attempts=tmp_path / "a"))
    log.write([record(1), record(2, when=when), record(3)], NOW)
    assert json.loads((tmp_path / "a").read_bytes().splitlines()[1])["time"] == time


@pytest.mark.parametrize(
    ("attempts", "queries", "in_a", "in_b"),
    [
        ("a", "off", [1, 3], []),
        ("off", "b", [], [2, 3]),
        ("a", "b", [1, 3], [2, 3]),
        ("a", "a", [1, 2, 3], []),  # the one that belongs into both is written once
        ("off", "off", [], []),
    ],
)
def test_flags_choose_the_log(tmp_path: Path, attempts: str, queries: str, in_a: list[int], in_b: list[int]) -> None:
    where = {"attempts": attempts, "queries": queries}
    log = QueryLog(Log.model_validate({k: v if v == "off" else tmp_path / v for k, v in where.items()}))
    log.write([record(1, ATTEMPT), record(2, QUERY), record(3, ATTEMPT | QUERY)], NOW)
    assert numbers(tmp_path / "a") == in_a
    assert numbers(tmp_path / "b") == in_b


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    QueryLog(Log()).write([record(1), record(2)], NOW)
    assert [json.loads(line)["n"] for line in capfd.readouterr().out.splitlines()] == [1, 2]


def test_a_batch_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = QueryLog(Log(attempts=tmp_path / "a"))
    sizes: list[int] = []
    write = os.write

    def noted(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", noted)
        log.write([record(number) for number in range(1000)], NOW)
    assert sizes == [(tmp_path / "a").stat().st_size]
    assert numbers(tmp_path / "a") == list(range(1000))


def test_hashed_clients(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(16))
    log = QueryLog(Log(attempts=tmp_path / "a", clients=ClientPrivacy.HASH, hash_key_file=tmp_path / "key"))
    log.write([record(1)], NOW)
    text = (tmp_path / "a").read_text()
    assert "192.0.2.1" not in text
    assert len(json.loads(text)["client"]) == 16


def test_hashed_clients_without_their_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="hash_key_file"):
        QueryLog(Log(clients=ClientPrivacy.HASH, hash_key_file=tmp_path / "key"))


def test_dropped_counts_both_logs(tmp_path: Path) -> None:
    log = QueryLog(Log(attempts=tmp_path / "no" / "a", queries=tmp_path / "no" / "b"))
    log.write([record(1, ATTEMPT), record(2, ATTEMPT | QUERY)], NOW)
    assert log.dropped == 3


def test_the_memory_for_clients_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querylog, "_MAX_CLIENTS", 10)
    log = QueryLog(Log(attempts=tmp_path / "a"))
    clients = [bytes((10, 0, 0, number)) for number in range(25)]
    log.write([Record(ATTEMPT, NOW, client, b'"n":0') for client in clients], NOW)
    shown = [json.loads(line)["client"] for line in (tmp_path / "a").read_bytes().splitlines()]
    assert shown == [f"10.0.0.{number}" for number in range(25)]
    assert len(log._clients) <= 10


def test_reopen_and_close_reach_the_files(tmp_path: Path) -> None:
    log = QueryLog(Log(attempts=tmp_path / "a"))
    log.write([record(1)], NOW)
    (tmp_path / "a").rename(tmp_path / "old")
    log.reopen()
    log.write([record(2)], NOW)
    log.close(NOW)
    log.write([record(3)], NOW)
    assert (numbers(tmp_path / "old"), numbers(tmp_path / "a")) == ([1], [2, 3])


@given(
    st.lists(
        st.builds(
            Record,
            flags=st.integers(0, 3),
            when=st.floats(0, 4e9),
            client=st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
            tail=st.just(TAIL),
        )
    )
)
def test_every_line_is_json_with_a_microsecond_time(records: list[Record]) -> None:
    log = QueryLog(Log(attempts="off"))
    for line in log._lines(records, ATTEMPT | QUERY, b"}\n"):
        found = json.loads(line)
        assert len(found["time"]) == len("2026-11-23T20:12:01.123456Z")
        assert found["app"] == "tiktok"
