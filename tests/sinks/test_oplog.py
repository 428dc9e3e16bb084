"""The operators' log."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from blocker.config import Log
from blocker.sinks import oplog


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def told(capfd: pytest.CaptureFixture[str]) -> str:
    """Return what went to standard error; nothing may go to standard output, which is the attempt log's."""
    out, err = capfd.readouterr()
    assert out == ""
    return err


def test_text(capfd: pytest.CaptureFixture[str]) -> None:
    oplog.configure(Log())
    oplog.get("worker").warning("upstream is down", upstream="192.0.2.1:53", why="no answer", tries=3, text="")
    line = told(capfd)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z warning worker: ", line)
    assert line.endswith(' upstream is down upstream=192.0.2.1:53 why="no answer" tries=3 text=""\n')


def test_json(capfd: pytest.CaptureFixture[str]) -> None:
    oplog.configure(Log(format="json"))
    oplog.get("worker").error("upstream is down", tries=3, upstream=object)
    found = json.loads(told(capfd))
    assert list(found)[:4] == ["time", "level", "part", "event"]
    assert (found["level"], found["part"], found["event"], found["tries"]) == ("error", "worker", "upstream is down", 3)


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", "abcd"), ("info", "bcd"), ("warning", "cd"), ("error", "d")],
)
def test_levels(capfd: pytest.CaptureFixture[str], level: str, shown: str) -> None:
    log = oplog.get("x")  # made before the level is known, as module-level loggers are
    oplog.configure(Log.model_validate({"level": level, "format": "json"}))
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert "".join(json.loads(line)["event"] for line in told(capfd).splitlines()) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ('say "x"', r'"say \"x\""'),
        ("a=b", '"a=b"'),
        ("é", "é"),
        ("\u2028", r"\u2028"),
        ("\udcff", r"\udcff"),
    ],
)
def test_strangers_words_stay_on_one_line(capfd: pytest.CaptureFixture[str], value: str, shown: str) -> None:
    oplog.configure(Log())
    oplog.get("x").info("said", value=value)
    assert told(capfd).endswith(f" said value={shown}\n")


@pytest.mark.parametrize("given", [True, False], ids=["current", "given"])
def test_tracebacks(capfd: pytest.CaptureFixture[str], given: bool) -> None:
    oplog.configure(Log())
    try:
        raise ValueError("deep down")
    except ValueError as error:
        oplog.get("x").error("a bug", exc_info=True if given else error)
    lines = told(capfd).splitlines()
    assert lines[0].endswith("x: a bug")
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-1] == "    ValueError: deep down"


def test_unconfigured_it_writes_to_standard_error_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    structlog.reset_defaults()
    oplog.get("x").info("hello")
    assert told(capfd).endswith("x: hello\n")


def test_a_closed_standard_error_is_passed_over() -> None:
    code = "import os; from blocker.sinks import oplog; os.close(2); oplog.get('x').error('lost'); print('on')"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ, check=True)
    assert done.stdout == b"on\n"
