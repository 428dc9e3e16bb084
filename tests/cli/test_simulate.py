"""`blocker simulate`: what it prints, and the exit status scripts rely on."""

import json
import os
import signal
import time

import pytest
from click.testing import CliRunner

from blocker.cli import blocker, replaying
from blocker.config import load
from blocker.exceptions import entry, store
from blocker.exceptions.entry import Grant, Person
from tests.simulate.estates import GROUPS, NEW, OLD, estate, line

LOG = line("help.game.example") + line("a.new.example") + line("www.game.example") + line("far.example", "192.0.2.4")


@pytest.fixture
def folder(tmp_path):
    estate(tmp_path / "now", OLD, GROUPS)
    estate(tmp_path / "new", NEW)
    (tmp_path / "a.jsonl").write_text(LOG)
    (tmp_path / "b.jsonl").write_text(line("plain.example"))
    return tmp_path


def run(folder, *arguments, logs=("a.jsonl",), lists="new"):
    config = folder / "now" / "blocker.yaml"
    wanted = ["simulate", "--config", config, "--lists", folder / lists / "lists", *arguments, "--against"]
    return CliRunner().invoke(blocker, [*map(str, wanted), *(str(folder / log) for log in logs)])


def test_table(folder):
    done = run(folder)
    assert done.exit_code == 1
    for part in ("4 queries for 4 names by 2 clients", "Some names would be treated otherwise.", "help.game.example"):
        assert part in done.stdout


def test_nothing_would_change(folder):
    done = run(folder, lists="now")
    assert (done.exit_code, "Nothing would change" in done.stdout) == (0, True)
    done = run(folder, logs=("b.jsonl",))
    assert (done.exit_code, "Nothing would change" in done.stdout) == (0, True)


def test_names_that_must_resolve(folder):
    (folder / "new" / "lists" / "must_resolve.yaml").write_text("must_resolve:\n  - {value: new.example, why: taxes}\n")
    (folder / "new" / "lists" / "games.txt").write_text("a.new.example\n")
    done = run(folder)
    assert (done.exit_code, "Do not roll this out" in done.stdout, "taxes" in done.stdout) == (3, True, True)
    (folder / "new" / "lists" / "games.txt").write_text("new.example\n")  # refused by the lists' own rule already
    assert (run(folder).exit_code, "taxes" in run(folder).stderr) == (2, True)


def test_several_logs_after_one_option(folder):
    assert "5 queries" in run(folder, logs=("a.jsonl", "b.jsonl")).stdout


def test_json(folder):
    said = json.loads(run(folder, "--json", "--limit", "1").stdout)
    assert (said["status"], said["queries"], len(said["changes"]), said["more"]) == ("changes", 4, 1, 2)


def test_html(folder):
    done = run(folder, "--html", folder / "out.html")
    assert done.exit_code == 1
    assert "help.game.example" in (folder / "out.html").read_text()
    assert [each.name for each in folder.iterdir() if "draft" in each.name] == []


@pytest.mark.parametrize(("arguments", "why"), [
    (("--html", "/none/out.html"), "cannot be written"),
    (("--format", "dnstap"), "no query could be read"),
    (("--from", "2030-01-01"), "no query could be read"),
    (("--from", "yesterday"), "is not a time"),
])  # fmt: skip
def test_it_cannot_be_said(folder, arguments, why):
    done = run(folder, *arguments)
    assert (done.exit_code, why in done.stderr) == (2, True)


def test_lists_that_would_be_refused(folder):
    (folder / "new" / "lists" / "games.txt").write_text("a name\n")
    done = run(folder)
    assert (done.exit_code, "games.txt:1: " in done.stderr) == (2, True)


def test_nothing_new_is_given(folder):
    done = CliRunner().invoke(blocker, ["simulate", "--against", str(folder / "a.jsonl")])
    assert (done.exit_code, "Say what is new" in done.stderr) == (2, True)


def test_it_agrees_with_explain(folder):
    """Each name of the log, before and after, by another command."""
    changed = {each["qname"]: each for each in json.loads(run(folder, "--json").stdout)["changes"]}
    for qname, client in [("help.game.example", "203.0.113.77"), ("a.new.example", "203.0.113.77"),
                          ("www.game.example", "203.0.113.77"), ("far.example", "192.0.2.4")]:  # fmt: skip
        verdicts = []
        for lists in ("now", "new"):
            wanted = ["explain", qname, "--client", client, "--json", "--config", folder / "now" / "blocker.yaml",
                      "--lists", folder / lists / "lists"]  # fmt: skip
            verdicts.append(json.loads(CliRunner().invoke(blocker, list(map(str, wanted))).stdout)["verdict"])
        if qname in changed:
            assert [
                changed[qname]["before"].split()[0].strip(":"),
                changed[qname]["after"].split()[0].strip(":"),
            ] == verdicts
        else:
            assert verdicts[0] == verdicts[1]


def test_exceptions_in_force_count_unless_they_are_left_out(folder):
    """Staff may have a.new.example for an hour: for others the new list blocks it, and for all once that is over."""
    found = load(folder / "now" / "blocker.yaml")
    now = int(time.time())
    with store.opened(found) as kept:
        grant = Grant("", "", "suffix", "a.new.example", "", "staff", "", 0, now + 3600)
        kept.add(entry.request(grant, "a visit", Person("ines"), now, longest=3600), now)
        kept.change("1", "approved", lambda each: entry.approve(each, Person("omar"), now), now)
    (folder / "staff.jsonl").write_text(line("a.new.example") + line("a.new.example", "192.0.2.4"))

    def kinds(*more):
        said = json.loads(run(folder, "--json", *more, logs=("staff.jsonl",)).stdout)
        return {(each["group"], each["kind"], each["after"].partition(":")[0]) for each in said["changes"]}

    assert kinds() == {
        ("default", "newly blocked", "blocked (sinkhole)"), ("staff", "newly excepted", "excepted by 1"),
    }  # fmt: skip
    assert {each[1] for each in kinds("--no-exceptions")} == {"newly blocked"}


def test_nothing_stays_behind_when_it_is_terminated():
    opened = []

    def work():
        with replaying.engine(64) as engine:
            opened.append(engine)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        work()
    assert ended.value.code == 128 + signal.SIGTERM
    assert not opened[0].scratch.exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
