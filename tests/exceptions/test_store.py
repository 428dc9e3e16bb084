"""The store and its audit log: whole after a crash, and not believed when one of them was altered."""

import json
import os
import sqlite3
import threading
from dataclasses import replace

import pytest

from blocker import config
from blocker.config import Config
from blocker.errors import ExceptionsError
from blocker.evidence.verify import Verifier
from blocker.exceptions import entry, store
from blocker.exceptions.differences import differences
from blocker.exceptions.entry import Grant, Person, State
from blocker.exceptions.snapshot import NONE
from blocker.exceptions.store import Store

NOW, DAY = 1_795_608_000, 86400
INES, OMAR = Person("ines"), Person("omar")


@pytest.fixture
def found(tmp_path):
    return Config.model_validate({"process": {"state_dir": tmp_path / "state"}, "evidence": {"node": "dns1"}})


def add(kept, value="help.tiktok.com", days=3, by=INES):
    grant = Grant("", "INC-1", "suffix", value, "", "", "", 0, NOW + days * DAY)
    return kept.add(entry.request(grant, "a visit", by, NOW, longest=90 * DAY), NOW)


def approve(kept, number, by=OMAR):
    return kept.change(number, "approved", lambda each: entry.approve(each, by, NOW), NOW)


def revoke(kept, number):
    return kept.change(number, "revoked", lambda each: entry.revoke(each, INES, "done", NOW + 5), NOW + 5)


def log(found):
    return config.exceptions_audit(found)


def events(found):
    return [json.loads(line)["event"] for line in log(found).read_text().splitlines()]


def findings(found):
    verifier = Verifier(lambda _checkpoint: "")
    verifier.feed("log", log(found).read_bytes().splitlines(keepends=True))
    verifier.finish()
    return [(each.line, each.kind) for each in verifier.findings]


def test_what_is_kept_and_told(found):
    assert store.snapshot(found) == NONE
    with store.opened(found) as kept:
        assert [add(kept).grant.id, add(kept, "x.example").grant.id, add(kept, "y.example").grant.id] == ["1", "2", "3"]
        approve(kept, "1")
        approve(kept, "2")
        revoke(kept, "2")
        assert [(each.grant.id, each.state) for each in kept.entries()] == [("1", "approved"), ("3", "requested")]
        assert [each.state for each in kept.entries(every=True)] == ["approved", "revoked", "requested"]
        assert kept.entry("1").grant.value == "help.tiktok.com"
    told = store.snapshot(found)
    assert [each.id for each in told.granted] == ["1"]
    assert (told.counts, told.seq) == ({"approved": 1, "revoked": 1, "requested": 1}, 6)
    assert events(found) == ["start", "requested", "requested", "requested", "approved", "approved", "revoked"]
    assert findings(found) == []
    line = json.loads(log(found).read_text().splitlines()[4])
    assert (line["exception"]["approved_by"], line["exception"]["grant"]["ends"], line["node"]) == (
        {"account": "omar", "name": ""}, NOW + 3 * DAY, "dns1.exceptions",
    )  # fmt: skip


def test_a_change_that_changes_nothing_is_no_line(found):
    with store.opened(found) as kept:
        add(kept)
        kept.change("1", "shortened", lambda each: entry.shorten(each, NOW + 9 * DAY), NOW)
    assert events(found) == ["start", "requested"]


def test_a_change_that_is_refused_is_no_line(found):
    with store.opened(found) as kept:
        add(kept)
        with pytest.raises(ExceptionsError, match="another person"):
            approve(kept, "1", by=INES)
        for number in ("2", "", "x", "-1", "9" * 30):
            with pytest.raises(ExceptionsError, match="exceptions list"):
                kept.entry(number)
    assert events(found) == ["start", "requested"]


def test_there_is_a_limit(found, monkeypatch):
    monkeypatch.setattr(store, "MAX_OPEN", 2)
    with store.opened(found) as kept:
        add(kept), add(kept)
        with pytest.raises(ExceptionsError, match="2 exceptions are open"):
            add(kept)
        revoke(kept, "1")
        assert add(kept).grant.id == "3"  # numbers never come back


@pytest.mark.parametrize("at", range(4))
def test_whoever_is_killed_between_the_change_and_its_line_has_lost_neither(found, monkeypatch, at):
    """What the log's file missed is appended with the next change; a torn line is taken back first."""
    with store.opened(found) as kept:
        add(kept)
    whole = log(found).read_bytes()
    with store.opened(found) as kept:
        add(kept, "x.example")
    behind = log(found).read_bytes()
    torn = (whole, behind[:-1], whole + behind[len(whole) : -20], b"")[at]
    log(found).write_bytes(torn)
    if at in (0, 3):
        assert len(store.snapshot(found).counts) == 1  # the log says less than the store, and nothing else
    with store.opened(found) as kept:
        approve(kept, "2")
    assert events(found) == ["start", "requested", "requested", "approved"]
    assert findings(found) == []


def test_a_change_whose_line_cannot_be_written_is_told(found, monkeypatch):
    with store.opened(found) as kept:
        add(kept)
        real = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, text: real(descriptor, text[:10]))
        with pytest.raises(ExceptionsError, match="its line follows"):
            approve(kept, "1")
        monkeypatch.undo()
        assert kept.entry("1").state is State.APPROVED
        revoke(kept, "1")
    assert events(found) == ["start", "requested", "approved", "revoked"]


def test_without_a_place_for_its_line_there_is_no_change(found, tmp_path):
    with store.opened(found) as kept:
        add(kept)
    elsewhere = Store(config.exceptions_file(found), tmp_path / "no" / "log", "dns1")
    with elsewhere, pytest.raises(ExceptionsError, match="cannot be written"):
        approve(elsewhere, "1")
    with store.opened(found) as kept:
        assert kept.entry("1").state is State.REQUESTED


def test_an_old_copy_of_the_store_is_not_believed(found):
    """Else what was revoked would be in force again."""
    file = config.exceptions_file(found)
    with store.opened(found) as kept:
        add(kept)
        approve(kept, "1")
        with sqlite3.connect(file.with_suffix(".copy")) as copy:
            kept._db.backup(copy)
        copy.close()
        revoke(kept, "1")
    for each in file.parent.glob("exceptions.db-*"):
        each.unlink()
    file.with_suffix(".copy").rename(file)
    with pytest.raises(ExceptionsError, match="is older than its log"):
        store.snapshot(found)
    with store.opened(found) as kept, pytest.raises(ExceptionsError, match="is older than its log"):
        add(kept)


def test_a_store_that_is_gone_is_missed(found):
    with store.opened(found) as kept:
        add(kept)
    config.exceptions_file(found).unlink()
    with pytest.raises(ExceptionsError, match="is gone, and its log"):
        store.snapshot(found)


@pytest.mark.parametrize(
    ("altered", "why"),
    [
        (lambda text: text.replace(b"help.tiktok.com", b"www.tiktok.com"), None),  # a line before the last: `verify`
        (lambda text: text[: text.rindex(b'{"time"')] + b"{}\n", "does not end with"),
        (lambda text: text + text.splitlines(keepends=True)[-1], "does not follow|is not what the store says"),
        (lambda _text: b"other\n", "does not end with a line of this log"),
    ],
)
def test_an_altered_log_is_not_believed(found, altered, why):
    with store.opened(found) as kept:
        add(kept)
        approve(kept, "1")
    log(found).write_bytes(altered(log(found).read_bytes()))
    if why is None:
        assert findings(found)
    else:
        with pytest.raises(ExceptionsError, match=why):
            store.snapshot(found)


@pytest.mark.parametrize("damage", ["text", "half", "entry", "version"])
def test_a_damaged_store_is_an_error_that_says_what_to_do(found, damage):
    file = config.exceptions_file(found)
    with store.opened(found) as kept:
        add(kept)
        approve(kept, "1")
    if damage == "text":
        file.write_bytes(b"not a database" * 1000)
    elif damage == "half":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        with sqlite3.connect(file) as db:
            db.execute("PRAGMA user_version = 9" if damage == "version" else "UPDATE exceptions SET entry = '{}'")
        db.close()
    with pytest.raises(ExceptionsError, match=r"put a copy|exceptions verify|Update it"):
        store.snapshot(found)


def test_the_log_goes_on_under_another_name_of_the_machine(found):
    with store.opened(found) as kept:
        add(kept)
    renamed = found.model_copy(update={"evidence": found.evidence.model_copy(update={"node": "dns2"})})
    with store.opened(renamed) as kept:
        approve(kept, "1")
    assert findings(found) == []
    assert len(store.snapshot(renamed).granted) == 1


def test_who_reads_what_was_written_reads_the_same(found):
    with store.opened(found) as kept:
        add(kept, by=Person("root", "Ines Gómez"))
        made = approve(kept, "1")
        assert kept.entry("1") == made
        assert made == replace(made)
        assert len(kept.lines()) == 3


def test_it_is_for_its_owner_and_group_alone(found):
    with store.opened(found) as kept:
        add(kept)
    modes = {each.name: each.stat().st_mode & 0o777 for each in config.exceptions_file(found).parent.iterdir()}
    assert modes["exceptions.db"] == modes["exceptions.audit.jsonl"] == 0o640


def test_many_at_once_wait_for_each_other(found):
    """The command, the control process and a preparer open and close it in the same moment, and make it."""
    failed = []

    def work(number):
        try:
            for _ in range(5):
                with store.opened(found) as kept:
                    add(kept, f"n{number}.example")
                store.snapshot(found)
        except ExceptionsError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with store.opened(found) as kept:
        assert [each.grant.id for each in kept.entries()] == [str(number) for number in range(1, 21)]
        assert list(differences(log(found), kept)) == []
    assert findings(found) == []


BROUGHT = Grant("bundle:7", "T-1", "suffix", "a.example", "", "", "", NOW - DAY, NOW + DAY, "omar")


def settle(found, now, *brought, ends=()):
    with store.opened(found) as kept:
        return kept.settle(now, dict(ends), brought)


def test_what_a_bundle_brought_and_has_ended_stays_ended(found):
    """Whatever the clock says after a restart, and in whatever bundle it comes again."""
    assert store.snapshot(found, [BROUGHT]).granted == (BROUGHT,)
    assert settle(found, NOW + DAY - 1, BROUGHT) == 0
    assert settle(found, NOW + DAY, BROUGHT) == 1
    assert settle(found, NOW + DAY, BROUGHT) == 0
    assert store.snapshot(found, [BROUGHT]).granted == ()
    longer, renewed = replace(BROUGHT, ends=NOW + 9 * DAY), replace(BROUGHT, id="bundle:8")
    another = replace(BROUGHT, value="b.example")  # a publisher who has begun to count anew
    assert store.snapshot(found, [longer, renewed, another]).granted == (renewed, another)
    line = json.loads(log(found).read_text().splitlines()[-1])
    assert (line["event"], line["bundled"]["id"]) == ("ended", "bundle:7")
    assert findings(found) == []


def test_what_a_bundle_brought_never_lasts_longer_after_a_clock_was_set_back(found):
    assert settle(found, NOW, BROUGHT, ends={"bundle:7": NOW + 50.5}) == 1
    assert store.snapshot(found, [BROUGHT]).granted == (replace(BROUGHT, ends=NOW + 50),)
    assert settle(found, NOW, replace(BROUGHT, ends=NOW + 50)) == 0
    assert [event for event in events(found) if event != "checkpoint"] == ["start", "shortened"]
    with store.opened(found) as kept:
        assert list(differences(log(found), kept)) == []
        kept._db.execute("DELETE FROM bundled")
        assert list(differences(log(found), kept)) == [
            "exception bundle:7: the log and the store say different ends of it"
        ]


def test_ten_thousand_that_end_at_once_are_one_change(found, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    assert settle(found, NOW + DAY, *(replace(BROUGHT, id=f"bundle:{number}") for number in range(10_000))) == 10_000
    assert len(synced) == 1
    assert findings(found) == []


def test_an_approved_exception_that_no_line_tells_is_not_believed(found):
    """Who opens the store with a tool of SQLite approves nothing."""
    with store.opened(found) as kept:
        add(kept)
        forged = store.written(replace(kept.entry("1"), state=State.APPROVED))
        kept._db.execute("UPDATE exceptions SET state = 'approved', entry = ?", (json.dumps(forged),))
    with pytest.raises(ExceptionsError, match="exception 1: the store holds what no line"):
        store.snapshot(found)


def test_where_only_signed_ones_count_the_stores_own_do_not(found):
    with store.opened(found) as kept:
        add(kept)
        approve(kept, "1")
    strict = found.model_copy(update={"exceptions": found.exceptions.model_copy(update={"local": False})})
    assert [each.id for each in store.snapshot(found, [BROUGHT]).granted] == ["1", "bundle:7"]
    assert [each.id for each in store.snapshot(strict, [BROUGHT]).granted] == ["bundle:7"]


def test_a_store_of_the_version_before_is_taken_over(found):
    with store.opened(found) as kept:
        add(kept)
        approve(kept, "1")
        kept._db.execute("DROP TABLE bundled")
        kept._db.execute("DROP INDEX by_exception")
        kept._db.execute("PRAGMA user_version = 1")
    assert len(store.snapshot(found, [BROUGHT]).granted) == 2
    assert settle(found, NOW + DAY, BROUGHT) == 1


def test_there_is_a_limit_for_patterns(found, monkeypatch):
    monkeypatch.setattr(entry, "MAX_PATTERNS", 1)
    with store.opened(found) as kept:
        grant = Grant("", "", "pattern", "**.*tiktok*.com", "", "", "", 0, NOW + DAY)
        asked = entry.request(grant, "a visit", INES, NOW, longest=DAY)
        kept.add(asked, NOW)
        with pytest.raises(ExceptionsError, match="1 exceptions for patterns are open"):
            kept.add(asked, NOW)
        assert add(kept).grant.id == "2"
