"""`blocker candidates`: found in logs, kept, accepted into a list, dismissed."""

import json

import pytest
from click.testing import CliRunner

from blocker.candidates.finding import Evidence, Finding, Kind
from blocker.candidates.store import Store
from blocker.cli import blocker, candidates
from blocker.errors import BlockerError
from blocker.lists import source

LIST = "app: tiktok\nbrand: [tiktok]\nentries:\n  - {value: tiktok.com, kind: suffix}\n"
OTHER = "app: wechat\nbrand: [weixin]\nentries:\n  - {value: wechat.com, kind: suffix}\n"
CONFIG = "lists: {built_in: false, directories: [lists]}\nprocess: {state_dir: state}\n"
WHO = ("--by", "Jane Doe", "--reason", "it is theirs")
FOUND = Finding("new.example", "tiktok", (Evidence(Kind.ALIAS, 0.9, "an [alias]"),), ("a.new.example",), 2)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "lists/tiktok.yaml").write_text(LIST)
    (tmp_path / "lists/wechat.yaml").write_text(OTHER)
    (tmp_path / "b.yaml").write_text(CONFIG)
    return lambda *words: CliRunner().invoke(blocker, ["candidates", "-c", str(tmp_path / "b.yaml"), *words])


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "state")


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "q.jsonl"
    common = '"time":"2026-11-23T10:00:00.000000Z","client":"192.0.2.1","qtype":"A"'
    path.write_text(f'{{{common},"qname":"tiktok-9.example"}}\n{{{common},"qname":"plain.example"}}\n')
    return path


def test_nothing_yet(run):
    assert run().output == "no candidates; candidates.enabled is not set\n"
    assert json.loads(run("--json").stdout) == []


def test_from_a_log(run, store, log):
    result = run("--from", str(log), "--json")
    assert [(each["name"], each["app"], each["weight"]) for each in json.loads(result.stdout)] == [
        ("tiktok-9.example", "tiktok", 0.6)
    ]
    assert f"{log}: 2 queries read as blocker, 0 bad lines left out\n" == result.stderr
    assert store.all() == ()
    assert "alone in it" in run("--from", str(log), "--keep").stdout
    assert "tiktok-9.example" in run("list").stdout


def test_show(run, store):
    store.put([FOUND], 0.0)
    assert run("show", "new.example").stdout == (
        "new.example: open\n  app      tiktok\n  weight   0.90\n  alias    0.90: an [alias]\n  asked    a.new.example\n"
        "  clients  2\n  seen     1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z\n"
    )
    assert "an [alias]" in run().stdout
    assert json.loads(run("show", "new.example", "--json").stdout)[0]["clients"] == 2


def test_accept(run, store, tmp_path):
    store.put([FOUND], 0.0)
    result = run("accept", "new.example", *WHO)
    path = tmp_path / "lists/candidates-tiktok.yaml"
    assert result.output == f"new.example: accepted for tiktok; {path}; in force when the blocker runs\n"
    (entry,) = source.read(path).entries
    assert "by Jane Doe: it is theirs; found by an [alias] (weight 0.90)" in entry.note
    assert run().output == "no candidates; candidates.enabled is not set\n"
    assert "accepted" in run("list", "--all").stdout
    assert run("accept", "new.example", *WHO).exit_code == 2  # it stands there already


def test_what_the_running_blocker_refuses_is_taken_back(run, store, tmp_path, monkeypatch):
    store.put([FOUND], 0.0)
    monkeypatch.setattr(candidates.control, "ask", lambda *_: {"ok": False, "problems": ["no memory"]})
    result = run("accept", "new.example", *WHO)
    assert result.exit_code == 1
    assert "not accepted: the running blocker refuses it: no memory" in result.output
    assert not (tmp_path / "lists/candidates-tiktok.yaml").exists()
    assert [each.state for each in store.all()] == ["open"]


def test_what_the_running_blocker_cannot_be_told_is_taken_back(run, store, tmp_path, monkeypatch):
    def silent(*_):
        raise BlockerError("no reply within 130 seconds")

    store.put([FOUND], 0.0)
    monkeypatch.setattr(candidates.control, "ask", silent)
    result = run("accept", "new.example", *WHO)
    assert (result.exit_code, "no reply" in result.output) == (2, True)
    assert not (tmp_path / "lists/candidates-tiktok.yaml").exists()
    assert [each.state for each in store.all()] == ["open"]


def test_into_another_list(run, store, tmp_path):
    store.put([FOUND], 0.0)
    result = run("accept", "new.example", "--exact", "--to", str(tmp_path / "next.yaml"), *WHO)
    assert "in force when it is loaded" in result.output
    assert source.read(tmp_path / "next.yaml").entries[0].scope == "exact"


def test_one_that_was_never_found(run, tmp_path):
    assert "is no candidate. Say whose it is with --app" in run("accept", "other.example", *WHO).output
    assert run("accept", "other.example", "--app", "tiktok", *WHO).exit_code == 0
    assert "other.example" in (tmp_path / "lists/candidates-tiktok.yaml").read_text()


def test_a_candidate_of_two_apps(run, store):
    store.put([FOUND, Finding("new.example", "wechat", FOUND.evidence)], 0.0)
    assert "candidate of tiktok, wechat" in run("accept", "new.example", *WHO).output
    assert run("accept", "new.example", "--app", "wechat", *WHO).exit_code == 0
    assert run("dismiss", "new.example", "--app", "tiktok", *WHO).output == "new.example: dismissed for tiktok\n"


@pytest.mark.parametrize(("words", "why"), [
    (("accept", "login.microsoftonline.com", "--app", "tiktok", *WHO), "must resolve"),
    (("accept", "co.uk", "--app", "tiktok", *WHO), "public suffix"),
    (("accept", "new.example", "--app", "tiktok", "--by", "", "--reason", "x"), "--by"),
    (("dismiss", "new.example", *WHO), "is no candidate"),
    (("show", "new.example"), "is no candidate"),
])  # fmt: skip
def test_refused(run, words, why):
    result = run(*words)
    assert result.exit_code == 2
    assert why in result.output


def test_dismiss(run, store):
    store.put([FOUND], 0.0)
    assert run("dismiss", "new.example", *WHO).output == "new.example: dismissed for tiktok\n"
    assert "decided" in run("show", "new.example").output


def test_dismiss_takes_back_what_was_accepted(run, store, tmp_path):
    store.put([FOUND], 0.0)
    run("accept", "new.example", *WHO)
    path = tmp_path / "lists/candidates-tiktok.yaml"
    assert run("dismiss", "new.example", *WHO).output == (
        f"new.example: dismissed for tiktok; taken out of {path}, which counts when the blocker runs\n"
    )
    assert not path.exists()
    assert [each.state for each in store.all()] == ["dismissed"]
    run("accept", "new.example", "--to", str(tmp_path / "next.yaml"), *WHO)
    assert "take it out there" in run("dismiss", "new.example", *WHO).output


def test_what_the_running_blocker_will_not_let_go_stays_accepted(run, store, tmp_path, monkeypatch):
    store.put([FOUND], 0.0)
    run("accept", "new.example", *WHO)
    monkeypatch.setattr(candidates.control, "ask", lambda *_: {"ok": False, "problems": ["no memory"]})
    assert "not dismissed: the running blocker refuses it: no memory" in run("dismiss", "new.example", *WHO).output
    assert "new.example" in (tmp_path / "lists/candidates-tiktok.yaml").read_text()
    assert [each.state for each in store.all()] == ["accepted"]


def test_no_folder_to_put_it(run, tmp_path, store):
    (tmp_path / "b.yaml").write_text("lists: {built_in: false}\nprocess: {state_dir: state}\n")
    store.put([FOUND], 0.0)
    assert "names no folder" in run("accept", "new.example", *WHO).output
