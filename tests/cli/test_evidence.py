"""`blocker evidence`: what an auditor sees, and the exit status scripts rely on."""

import gzip
import json

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from blocker.sinks.region import Region
from tests.evidence.records import NOW, carry, journal, new_key, open_log, written


@pytest.fixture
def folder(tmp_path):
    new_key(tmp_path / "node")
    written(tmp_path / "log", range(8), key_file=tmp_path / "node.key")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(blocker, ["evidence", *map(str, arguments)])


def tamper(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))


def test_a_whole_file_with_its_key(folder):
    done = run("verify", folder / "log", "--key", folder / "node.pub")
    assert done.exit_code == 0
    assert "dns1: lines 0 to 9, 8 records: 1 signed checkpoint, the last of" in done.output
    assert "closed in order\nwhole\n" in done.output


def test_without_a_key_it_says_what_was_not_checked(folder):
    done = run("verify", folder / "log")
    assert done.exit_code == 0
    assert "who signed its checkpoints was not checked" in done.output


def test_a_finding_says_file_line_and_number(folder):
    tamper(folder / "log", b'"n":4', b'"n":5')
    done = run("verify", folder / "log")
    assert done.exit_code == 1
    assert f"{folder / 'log'}:6: dns1 seq 5: changed: altered" in done.output
    assert "NOT WHOLE: 1 finding\n" in done.output


def test_json(folder):
    tamper(folder / "log", b'"n":4', b'"n":5')
    done = run("verify", folder / "log", "--json", "--key", folder / "node.pub")
    said = json.loads(done.output)
    assert (done.exit_code, said["whole"], said["count"]) == (1, False, 1)
    assert said["findings"][0].items() >= {"line": 6, "seq": 5, "kind": "changed", "node": "dns1"}.items()
    assert said["nodes"][0].items() >= {"node": "dns1", "records": 8, "covered": 8, "closed": True}.items()


def test_a_cut_that_only_a_checkpoint_elsewhere_shows(folder):
    lines = (folder / "log").read_bytes().splitlines(keepends=True)
    (folder / "log").write_bytes(b"".join(lines[:5]))
    assert run("verify", folder / "log").exit_code == 0
    done = run("verify", folder / "log", "--checkpoints", folder / "log.checkpoints", "--key", folder / "node.pub")
    assert done.exit_code == 1
    assert "cut: cut off: the chain ends at 4, and had line 8" in done.output


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read"),
        (b"", "no line of a chain was found"),
    ],
)
def test_what_cannot_be_said(tmp_path, content, why):
    if content is not None:
        (tmp_path / "log").write_bytes(content)
    done = run("verify", tmp_path / "log")
    assert done.exit_code == 2
    assert why in done.output


def test_keys_without_a_signed_checkpoint_say_nothing(folder, tmp_path):
    written(tmp_path / "bare", range(3))
    lines = (tmp_path / "bare").read_bytes().splitlines(keepends=True)
    (tmp_path / "bare").write_bytes(b"".join(lines[:-1]))
    done = run("verify", tmp_path / "bare", "--key", folder / "node.pub")
    assert done.exit_code == 2
    assert "no checkpoint of dns1 is signed" in done.output


def test_lines_that_no_checkpoint_covers_are_counted(tmp_path):
    log, region = open_log(tmp_path / "log", every_records=3), Region()
    for numbers in (range(3), range(3, 5)):
        journal(region, numbers)
        carry(log, region)
    done = run("verify", tmp_path / "log")
    assert "up to line 3; of the 2 lines after it a cut at the end would not show" in done.output
    log.close(NOW)


def test_a_damaged_file_among_others_is_a_finding(folder):
    whole = (folder / "log").read_bytes()
    first, second = whole.splitlines(keepends=True)[:5], whole.splitlines(keepends=True)[5:]
    (folder / "log").write_bytes(b"".join(second))
    packed = gzip.compress(b"".join(first))
    (folder / "log.1").write_bytes(packed[:-20])
    done = run("verify", folder / "log", folder / "log.1")
    assert done.exit_code == 1
    assert "damaged: what follows this line is lost" in done.output
    assert "missing before this one" in done.output


# show


@pytest.mark.parametrize("key", [(), ("node.pub",)])
def test_show_a_record_and_what_covers_it(folder, key):
    done = run("show", folder / "log", "--seq", 5, *(each for name in key for each in ("--key", folder / name)))
    assert done.exit_code == 0
    assert '"n": 4' in done.output
    assert "up to line 8\n" in done.output


@pytest.mark.parametrize(
    ("old", "new", "seq", "status", "why"),
    [
        (b'"n":4', b'"n":9', 5, 1, "the record itself was altered"),
        (b'"n":6', b'"n":7', 5, 1, "the chain is broken at line 7"),
        (b"end yes", b"end no", 5, 1, "the chain is broken at line 9"),
        (b"", b"", 99, 2, "has no record 99"),
        (b'"event":"checkpoint"', b'"event":"other"', 5, 2, "no checkpoint behind it"),
    ],
)
def test_show_says_what_does_not_hold(folder, old, new, seq, status, why):
    tamper(folder / "log", old, new)
    done = run("show", folder / "log", "--seq", seq, "--key", folder / "node.pub")
    assert (done.exit_code, why in done.output) == (status, True), done.output


def test_show_does_not_vouch_for_a_record_whose_neighbour_is_gone(folder):
    lines = (folder / "log").read_bytes().splitlines(keepends=True)
    (folder / "log").write_bytes(b"".join(lines[5:]))
    done = run("show", folder / "log", "--seq", 5, "--key", folder / "node.pub")
    assert (done.exit_code, "the line before it is not in this file" in done.output) == (1, True)


def test_show_json(folder):
    done = run("show", folder / "log", "--seq", 5, "--json", "--key", folder / "node.pub")
    said = json.loads(done.output)
    assert (said["record"]["n"], said["checkpoint"]["seq"], said["problem"]) == (4, 8, "")
    assert said["signature_checked"]


def test_show_with_another_key(folder):
    other = new_key(folder / "other")
    done = run("show", folder / "log", "--seq", 5, "--key", other)
    assert (done.exit_code, "which was not given" in done.output) == (1, True)
