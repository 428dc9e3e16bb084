"""The dashboard: it asks for metrics that exist, and its panels do not overlap."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import metrics

BOARD = json.loads((Path(__file__).parents[2] / "deploy" / "grafana" / "blocker.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_that_exist(panel: dict[str, Any]) -> None:
    queries = [target["expr"] for target in panel["targets"]]
    assert queries
    assert [name for query in queries for name in metrics.unknown(query)] == []


@pytest.mark.parametrize("variable", [each for each in BOARD["templating"]["list"] if each["type"] == "query"], ids=str)
def test_a_variable_asks_for_metrics_that_exist(variable: dict[str, Any]) -> None:
    assert metrics.unknown(variable["query"]["query"]) == []


def test_panels_do_not_overlap() -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    assert all(x < 24 for panel in BOARD["panels"] for x, _ in cells(panel))
    for one, other in combinations(BOARD["panels"], 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


def test_panels_have_ids_of_their_own() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("metric", [
    "blocker_exceptions", "blocker_exceptions_readable", "blocker_excepted_total", "blocker_rollout_stage",
    "blocker_enforcement_ok", "blocker_resolution_ok", "blocker_candidates", "blocker_egress_learned",
    "blocker_egress_gate_pairs", "blocker_egress_gate_failures_total", "blocker_evidence_checkpoint_timestamp_seconds",
    "blocker_evidence_broken", "blocker_bundle_expiry_timestamp_seconds", "blocker_rpz_zone_exceptions_left_out",
])  # fmt: skip
def test_what_people_decide_and_what_is_proven_has_a_panel(metric: str) -> None:
    queries = [target["expr"] for panel in PANELS for target in panel["targets"]]
    assert any(metric == name for query in queries for name, _ in metrics.named(query))
