"""`blocker egress learned`: what the learner wrote down, for people and for programs."""

import json

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from blocker.egress import learned
from blocker.egress.learned import Address, Learned

REFUSED = Address("tiktok", "198.51.100.1", "a.tiktok.example", "refused", left=100)
WATCHED = Address("wechat", "198.51.100.2", "wechat.example", "watched", left=100)
ALONE = Address("tiktok", "198.51.100.3", "b.tiktok.example", "left alone", "shared", "cdn.example", 100)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "b.yaml").write_text("process: {state_dir: state}\n")
    (tmp_path / "state").mkdir()
    return lambda *words: CliRunner().invoke(blocker, ["egress", "learned", "-c", str(tmp_path / "b.yaml"), *words])


@pytest.mark.parametrize(
    ("words", "addresses"),
    [
        ((), [REFUSED, ALONE, WATCHED]),
        (("--app", "tiktok"), [REFUSED, ALONE]),
        (("--app", "tiktok", "--app", "wechat", "--state", "refused", "--state", "watched"), [REFUSED, WATCHED]),
        (("--state", "left alone"), [ALONE]),
        (("--app", "kaspersky"), []),
    ],
)
def test_what_is_shown(run, tmp_path, words, addresses):
    learned.write(Learned(1e9, 7, {"tiktok shared": 1}, (WATCHED, ALONE, REFUSED)), tmp_path / "state")
    said = json.loads(run(*words, "--json").stdout)
    assert [Address(**each) for each in said["addresses"]] == addresses
    assert (said["asked"], said["guarded"]) == (7, {"tiktok shared": 1})
    text = run(*words).stdout
    assert [each.address in text for each in (REFUSED, WATCHED, ALONE)] == [
        each in addresses for each in (REFUSED, WATCHED, ALONE)
    ]
    assert "2001-09-09T01:46:40Z: 1 refused, 1 watched, 1 left alone; 7 questions asked in turn" in text


def test_why_it_is_left_alone(run, tmp_path):
    learned.write(Learned(1e9, 7, {}, (ALONE,)), tmp_path / "state")
    (line,) = [line for line in run().stdout.splitlines() if "198.51.100.3" in line]
    assert "shared" in line
    assert "cdn.example" in line


def test_nothing_yet(run):
    assert "nothing was learned yet" in run().stdout
