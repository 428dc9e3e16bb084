"""The dashboard with nothing made up: a blocker at work, a Prometheus that scrapes it, and every panel's queries."""

import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.daemon import LIST, eventually, free_port

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "deploy" / "grafana" / "blocker.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
SILENT = {
    # rules in the kernel, and packets looked at: tests/egress has them in network namespaces
    "Packets that the rules met", "Rules in the kernel", "Addresses learned, and left alone",
    "Answers that wait for the gate", "Packets looked at",
    # of a bundle, somebody else's zone, a rollout, an exception that nobody has here
    "Until the bundle expires", "Rollouts", "Attempts under an exception", "Candidates that wait for a person",
}  # fmt: skip
VARIABLES = {"$__rate_interval": "5s", "$__range": "60s", "$instance": ".*", "$group": ".*"}


class Prometheus:
    """A Prometheus of its own that scrapes one blocker every half second."""

    def __init__(self, folder, target):
        self.address = f"127.0.0.1:{free_port('127.0.0.1')}"
        folder.mkdir()
        job = {"job_name": "blocker", "static_configs": [{"targets": [target]}]}
        (folder / "prometheus.yml").write_text(
            json.dumps({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": [job]})
        )
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address={self.address}"], stdout=log, stderr=log,
            )  # fmt: skip
        eventually(self.is_there)

    def is_there(self):
        try:
            return bool(self.ask("up == 1"))
        except OSError:
            return False

    def ask(self, query):
        """Return the samples that a query has now. Raises OSError when it is refused."""
        where = f"http://{self.address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(where, timeout=10) as page:
            said = json.load(page)
        assert said["status"] == "success"
        return [sample for sample in said["data"]["result"] if sample["value"][1] != "NaN"]  # 0 / 0: nothing happened

    def close(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def asked(tmp_path_factory, shared_upstream):
    """What each panel's queries show, by its title: samples of each query."""
    from tests.e2e.daemon import Daemon

    folder = tmp_path_factory.mktemp("board")
    (folder / "feed.txt").write_text("bad.example\n")
    zones = free_port("127.0.0.1")
    daemon = Daemon(
        folder / "blocker", [shared_upstream],
        {
            "groups": [{"name": "noting", "clients": ["127.0.0.9"], "block": [], "monitor": ["banned"]}],
            "answers": {"sinkhole_v4": ["127.0.0.1"]},
            "sinkhole": {"serve": True, "ports": [free_port("127.0.0.1")]},
            "evidence": {"chain": True, "every_seconds": 1},
            "selftest": {"interval": 10},
            "feeds": [{"name": "theirs", "url": f"file://{folder}/feed.txt", "format": "domains", "app": "theirs"}],
            "rpz": {"listen": [f"127.0.0.1:{zones}"], "zones": [{"name": "rpz.example"}]},
        },
        lists={"banned.yaml": LIST},
    )  # fmt: skip
    prometheus = Prometheus(folder / "prometheus", f"127.0.0.1:{daemon.metrics_port}")
    ending = threading.Event()
    traffic = threading.Thread(target=_use, args=(daemon, ending))
    traffic.start()
    try:
        eventually(lambda: daemon.count("blocker_enforcement_ok", app="banned"), within=60)
        eventually(lambda: prometheus.ask("blocker_feed_age_seconds") and prometheus.ask("blocker_rpz_zone_records"))
        time.sleep(4)  # rates need a few scrapes
        found = {
            panel["title"]: [prometheus.ask(_filled(each["expr"])) for each in panel["targets"]] for panel in PANELS
        }
        time.sleep(3)  # and one more look: a scrape that fails hides what had been there
        for panel in PANELS:
            again = [prometheus.ask(_filled(each["expr"])) for each in panel["targets"]]
            found[panel["title"]] = [new or old for new, old in zip(again, found[panel["title"]], strict=True)]
        yield found
    finally:
        ending.set()
        traffic.join()
        prometheus.close()
        daemon.close()


def _use(daemon, ending):
    """Do what clients do, until it is enough."""
    sinkhole = daemon.config["sinkhole"]["ports"][0]
    number = 0
    while not ending.wait(0.1):
        number += 1
        for name in ("www.banned.example", "www.allowed.example", f"n{number}.allowed.example"):
            daemon.ask(name)
        daemon.ask("www.banned.example", source="127.0.0.9")
        with daemon.stream() as stream:
            stream.ask("www.allowed.example", "AAAA")
        visit = urllib.request.Request(f"http://127.0.0.1:{sinkhole}/", headers={"Host": "www.banned.example"})
        try:
            urllib.request.urlopen(visit, timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            pass  # it has not begun to serve, or has had enough of us


def _filled(query):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_shows_what_happens(asked, panel):
    found = asked[panel["title"]]
    if panel["title"] in SILENT:
        assert not any(found), "it shows something now: take it off SILENT"
    else:
        assert any(found), [_filled(each["expr"]) for each in panel["targets"]]


def test_titles_are_of_one_panel_each():
    titles = [panel["title"] for panel in PANELS]
    assert len(titles) == len(set(titles))
    assert set(titles) >= SILENT
