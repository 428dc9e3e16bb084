"""DuckDB: there or not, bounded, and given names that could be patterns."""

import os
import signal
import sys
import threading

import pytest

from blocker.errors import EngineError
from blocker.simulate.engine import Engine, Spool, spooled, text


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(EngineError, match=r"pip install 'blocker\[simulate\]'"), Engine.opened(memory=64):
        pass


def test_it_takes_the_cores_that_it_may_use():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        with Engine.opened(memory=64) as engine:
            assert engine.row("SELECT current_setting('threads')") == (1,)
    finally:
        os.sched_setaffinity(0, before)


def test_what_is_spooled_comes_back(tmp_path):
    columns = (("name", "VARCHAR"), ("n", "INTEGER"))
    with Engine.opened(memory=64, threads=1) as engine:
        path = engine.new_file(".tsv")
        with Spool(path) as spool:
            spool.write('a"b', 1)
            spool.write("", 2)
        assert list(engine.rows(spooled(columns, [text(str(path))]))) == [('a"b', 1), ("", 2)]
        engine.load("kept", columns, path)
        assert engine.row("SELECT sum(n) FROM kept") == (3,)
        scratch = engine.scratch
    assert not scratch.exists()


@pytest.mark.parametrize("name", ["it's.jsonl", "*.jsonl", "a[b].jsonl", "https:x.jsonl"])
def test_file_names_are_names(tmp_path, name):
    (tmp_path / name).write_text("x\n")
    (tmp_path / "other.jsonl").write_text("y\n")
    with Engine.opened(memory=64, threads=1) as engine:
        assert engine.row(f"SELECT content FROM read_text({engine.linked(tmp_path / name, '.txt')})") == ("x\n",)


def test_what_goes_wrong_in_it_is_told():
    with pytest.raises(EngineError, match="DuckDB gave up"), Engine.opened(memory=64, threads=1) as engine:
        engine.run("SELECT * FROM nothing", "work")


def test_progress_is_told():
    heard = []
    with Engine.opened(memory=64, threads=1, progress=lambda what, share: heard.append((what, share))) as engine:
        engine.run("CREATE TABLE t AS SELECT 1", "work")
    assert heard[-1] == ("work", 1.0)


def test_progress_of_a_long_statement_is_told_to_us_alone(capfd):
    heard = []
    with Engine.opened(memory=64, threads=1, progress=lambda _what, share: heard.append(share)) as engine:
        engine.run("SET progress_bar_time = 0", "work")  # milliseconds until DuckDB would begin to write of it
        heard.clear()
        engine.run("CREATE TABLE t AS SELECT sum(hash(range)) FROM range(150000000)", "work")
    assert [share for share in heard if 0 < share < 1]
    assert capfd.readouterr() == ("", "")


LONG = "SELECT sum(hash(range)) FROM range(10000000000)"


@pytest.mark.parametrize("ask", [
    lambda engine: engine.run(LONG, "work"), lambda engine: engine.row(LONG), lambda engine: list(engine.rows(LONG)),
])  # fmt: skip
def test_an_interrupt_is_an_interrupt_whatever_is_under_way(ask):
    opened = []

    def work():
        with Engine.opened(memory=64, threads=1) as engine:
            opened.append(engine)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            ask(engine)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert not opened[0].scratch.exists()
