"""`blocker check`: one line for what is fine, every problem for what is not."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from blocker.bundle import current
from blocker.cli import blocker

EXAMPLES = sorted((Path(__file__).parents[2] / "deploy/examples").glob("*.yaml"))


@pytest.fixture
def check(tmp_path):
    path = tmp_path / "b.yaml"

    def run(text):
        path.write_text(text)
        result = CliRunner().invoke(blocker, ["check", str(path)])
        return result.exit_code, result.stdout, result.stderr.replace(f"{tmp_path}/", "")

    return run


def test_fine(check):
    status, stdout, stderr = check("upstream: {servers: [192.0.2.1]}\ngroups: [{name: a, clients: [192.0.2.0/24]}]")
    assert (status, stderr) == (0, "")
    assert "b.yaml: ok: 2 listeners, 1 group, 1 upstream, " in stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_fine(path):
    result = CliRunner().invoke(blocker, ["check", str(path)])
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "stderr"),
    [
        ("cache: 1\nlog: 2", "b.yaml:1: cache: must hold keys; write 'key: value' lines below it (got 1)\n"
                             "b.yaml:2: log: must hold keys; write 'key: value' lines below it (got 2)\n"),
        ("upstream: {servers: [192.0.2.1]}\nunlisted: {actions: {tikok: drop}}",
         "b.yaml:2: unlisted.actions.tikok: there is no app 'tikok'; did you mean 'tiktok'?\n"),
        ("upstream: {servers: [192.0.2.1]}\nlists: {switches: {wechat.keep-wecm: true}}",
         "b.yaml:2: lists.switches.wechat.keep-wecm: app 'wechat' has no switch 'keep-wecm';"
         " did you mean 'keep-wecom'?\n"),
    ],
)  # fmt: skip
def test_refused(check, text, stderr):
    assert check(text) == (1, "", stderr)


def test_problems_of_all_kinds_at_once(check, tmp_path):
    (tmp_path / "resolv.conf").write_text("")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/bad.yaml").write_text("app: [")
    status, _, stderr = check("upstream: {resolv_conf: resolv.conf}\nlists: {directories: [lists]}")
    assert status == 1
    assert "no resolver to ask" in stderr
    assert "lists/bad.yaml:" in stderr


def test_a_file_that_is_not_there():
    result = CliRunner().invoke(blocker, ["check", "/nowhere.yaml"])
    assert (result.exit_code, result.stderr.startswith("/nowhere.yaml: cannot be read")) == (1, True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "do not count, only those of signed bundles"),
        ("\nexceptions: {local: true}", "count beside those of signed bundles"),
    ],
)
def test_whose_exceptions_count_is_said(check, monkeypatch, more, said):
    monkeypatch.setattr(current, "in_force", lambda found: current.InForce(found.lists))
    _, stdout, _ = check(
        "upstream: {servers: [192.0.2.1]}\n"
        "bundles: {keys: [RWSFayVJGxRMvk/Au6/q2kcyJU3WBL3UVPvVuTrmzKVNrtZbalWqXLVg]}" + more
    )
    assert said in stdout
