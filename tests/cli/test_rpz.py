"""`blocker rpz`: a zone on the terminal or in a file, and what it could not say."""

import json
import time

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from blocker.config import load
from blocker.exceptions import entry, store
from blocker.exceptions.entry import Grant, Person
from blocker.rpz import status
from blocker.rpz.status import ImportStatus, Status, ZoneStatus

LIST = """\
app: a
entries:
  - {value: b.example, kind: exact}
  - {value: "tracker.*", kind: pattern}
"""
CONFIG = """\
lists: {built_in: false, directories: [lists]}
process: {state_dir: state}
groups: [{name: staff, clients: [192.0.2.0/24], action: nxdomain}]
rpz: {listen: ["127.0.0.1:5399"], zones: [{name: staff.rpz.example, group: staff}]}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/a.yaml").write_text(LIST)
    (tmp_path / "b.yaml").write_text(CONFIG)
    return lambda *words: CliRunner().invoke(blocker, ["rpz", *words, "-c", str(tmp_path / "b.yaml")])


def test_export(run):
    result = run("export")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "$ORIGIN rpz.blocker.\n" in result.stdout
    assert (
        "\nb.example A 0.0.0.0\nb.example AAAA ::\n; triggers: 1 sinkhole\n; 1 patterns are left out" in result.stdout
    )


def test_a_groups_zone_has_the_name_of_the_configuration(run):
    assert "$ORIGIN staff.rpz.example.\n" in (said := run("export", "--group", "staff").stdout)
    assert "\nb.example CNAME .\n" in said


def test_into_a_file_with_a_report(run, tmp_path):
    result = run("export", "--zone", "x.example", "--out", str(tmp_path / "zone"), "--report")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("triggers: 1 sinkhole\n1 patterns are left out")
    assert "  pattern tracker.* (" in result.stderr
    assert "$ORIGIN x.example.\n" in (tmp_path / "zone").read_text()


def test_json(run, tmp_path):
    said = json.loads(run("export", "--out", str(tmp_path / "zone"), "--json").stderr)
    assert (said["triggers"], said["patterns"]) == ({"sinkhole": 1}, 1)


@pytest.mark.parametrize(("words", "why"), [
    (("--group", "staf"), "there is no group 'staf'"),
    (("--zone", "a..b"), "empty label"),
    (("--out", "/nowhere/zone"), "cannot be written"),
])  # fmt: skip
def test_refused(run, words, why):
    result = run("export", *words)
    assert result.exit_code == 2
    assert why in result.stderr


def test_status(run, tmp_path):
    said = Status({"staff.rpz.example": ZoneStatus(7, 2, 3)}, {"theirs.example": ImportStatus(8, 3, 60.0, 120.0)})
    status.write(said, tmp_path / "state")
    lines = run("status").stdout.splitlines()
    assert lines[1].split() == ["staff.rpz.example", "served", "7", "2", "3", "exceptions"]
    assert lines[2].split() == ["theirs.example", "taken", "over,", "EXPIRED", "8", "3", "1970-01-01", "00:01:00+00:00"]
    assert json.loads(run("status", "--json").stdout)["imports"]["theirs.example"]["expires"] == 120.0


def test_an_exception_that_cannot_be_said_is_told_without_being_asked(run, tmp_path):
    found = load(tmp_path / "b.yaml")
    now = int(time.time())
    grant = Grant("", "", "suffix", "b.example", "", "staff", "192.0.2.7", 0, now + 60)
    with store.opened(found) as kept:
        kept.add(entry.request(grant, "a visit", Person("ines"), now, longest=60), now)
        kept.change("1", "approved", lambda each: entry.approve(each, Person("omar"), now), now)
    result = run("export", "--group", "staff", "--out", str(tmp_path / "zone"))
    said = (
        "exception 1 is left out, and stays blocked there: b.example and all below it, for 192.0.2.7/32 in group staff"
    )
    assert (result.exit_code, result.stderr) == (0, f"{said}\n")
    assert f"; {said}\n" in (tmp_path / "zone").read_text()
    assert run("export", "--out", str(tmp_path / "zone")).stderr == ""  # the zone of others lacks nothing
    assert json.loads(run("export", "--group", "staff", "--json").stderr)["unsaid"] == [said]
