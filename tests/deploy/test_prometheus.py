"""The alert rules: valid, firing when they should, about metrics that exist, explained to whoever is woken."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy import metrics

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
CASES = Path(__file__).with_name("alerts.test.yaml")

RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


def test_prometheus_takes_the_rules() -> None:
    said = promtool("check", "rules", ALERTS)
    assert said.returncode == 0, said.stdout + said.stderr


def test_each_alert_fires_when_it_should_and_is_quiet_otherwise(tmp_path: Path) -> None:
    rules = yaml.safe_load(ALERTS.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
    shutil.copy(CASES, tmp_path)
    said = promtool("test", "rules", tmp_path / CASES.name)
    assert said.returncode == 0, said.stdout + said.stderr


def test_no_alert_is_untested() -> None:
    fired, silent = set(), set()
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for expected in case["alert_rule_test"]:
            (fired if expected.get("exp_alerts") else silent).add(expected["alertname"])
    names = {rule["alert"] for rule in RULES}
    assert fired == names
    assert silent == names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_exist(rule: dict[str, str]) -> None:
    assert metrics.unknown(rule["expr"]) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in ("page", "ticket")


def test_each_alert_has_its_place_in_the_runbook() -> None:
    chapters = re.findall(r"^#### (\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert chapters == [rule["alert"] for rule in RULES]


def test_each_metric_is_explained() -> None:
    """docs/metrics.md names every metric that is exposed, and no other."""
    said = (ROOT / "docs" / "metrics.md").read_text()
    documented = {name.partition("{")[0] for name in re.findall(r"^\| `(blocker_[^`]+)`", said, re.MULTILINE)}
    assert documented == {re.sub(r"_(bucket|count|sum)$", "", name) for name in metrics.exposed()}
