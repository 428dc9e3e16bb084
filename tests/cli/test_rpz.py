"""`blocker rpz`: a zone on the terminal or in a file, and what it could not say."""

import json

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
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
    said = Status({"staff.rpz.example": ZoneStatus(7, 2)}, {"theirs.example": ImportStatus(8, 3, 60.0, 120.0)})
    status.write(said, tmp_path / "state")
    lines = run("status").stdout.splitlines()
    assert lines[1].split() == ["staff.rpz.example", "served", "7", "2"]
    assert lines[2].split() == ["theirs.example", "taken", "over,", "EXPIRED", "8", "3", "1970-01-01", "00:01:00+00:00"]
    assert json.loads(run("status", "--json").stdout)["imports"]["theirs.example"]["expires"] == 120.0
