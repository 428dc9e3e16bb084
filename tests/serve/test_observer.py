"""The process that looks at packets, in a daemon that serves in a namespace of the test's own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from ipaddress import ip_network
from pathlib import Path

import pytest

from blocker import config
from blocker.config import Config
from blocker.serve import observer
from tests.e2e.daemon import records
from tests.egress.hello import messages
from tests.egress.namespace import Namespace
from tests.egress.wire import SERVER, Connection, datagram
from tests.oracle import ask

ROOT = Path(__file__).parents[2]
CONFIG = """listen: ["192.0.2.1:5353"]
upstream: {servers: ["192.0.2.53"]}
metrics: {listen: "127.0.0.1:9353"}
log: {attempts: FOLDER/attempts.jsonl}
process: {state_dir: FOLDER/state, workers: 1}
lists: {built_in: false, directories: [FOLDER/lists]}
egress: {watch: {interfaces: [b0, absent0]}}
"""


class Daemon:
    """A blocker in a namespace, and who sends packets past it."""

    def __init__(self, space, folder):
        self.space = space
        self.attempts = folder / "attempts.jsonl"
        self.lists = folder / "lists"
        self.lists.mkdir()
        (self.lists / "tiktok.txt").write_text("tiktok.com\n")
        self.config = folder / "blocker.yaml"
        self.config.write_text(CONFIG.replace("FOLDER", str(folder)))
        self.log = folder / "log"
        command = [sys.executable, "-m", "blocker.cli", "run", "-c", str(self.config)]
        with self.log.open("wb") as log:
            self.process = space.run(lambda: subprocess.Popen(command, cwd=ROOT, stderr=log))
        self.sender = space.run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        self.sender.bind(("a0", 0))
        self.wait(lambda: "absent0" in self.log.read_text(), "the capture to begin")

    def wait(self, met, what):
        until = time.monotonic() + 20
        while not met():
            assert time.monotonic() < until, f"{what} did not come: {self.log.read_text()}"
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def attempt(self, name, port):
        tcp = Connection(source_port=port)
        for frame in (tcp.syn(), tcp.data(messages.client_hello(name))):
            self.sender.send(frame)

    def recorded(self):
        return records(self.attempts) if self.attempts.exists() else []

    def metric(self, name):
        try:
            with self.space.run(lambda: urllib.request.urlopen("http://127.0.0.1:9353/metrics")) as page:
                lines = page.read().decode().splitlines()
        except urllib.error.URLError:
            return None
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), None)

    def watcher(self):
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(stat[1]) == self.process.pid and (entry / "cmdline").read_bytes().startswith(b"blocker: watch"):
                    return int(entry.name)
            except OSError:
                continue
        return None


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with Namespace() as space:
        space.ip("link add a0 type veth peer name b0")
        for name in ("a0", "b0"):
            space.ip(f"link set {name} up")
        space.ip("addr add 192.0.2.1/24 dev b0")
        running = Daemon(space, tmp_path_factory.mktemp("daemon"))
        yield running
        running.sender.close()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0


def test_what_is_seen_is_in_the_log_of_attempts_and_in_the_metrics(daemon):
    daemon.attempt("www.tiktok.com", 40000)
    daemon.sender.send(datagram(ask("www.tiktok.com"), 53, destination="192.0.2.1"))  # to us: no finding
    daemon.wait(daemon.recorded, "a record")
    (record,) = daemon.recorded()
    assert (record["trigger"], record["app"], record["qname"]) == ("sni", "tiktok", "www.tiktok.com")
    assert (record["destination"], record["port"], record["action"]) == (SERVER, 443, "monitor")
    assert record["entry_id"]
    assert record["list"]
    daemon.wait(lambda: daemon.metric('blocker_egress_connections_total{kind="tls"}') == 1, "the count")
    assert daemon.metric("blocker_egress_capture_lost_total") == 0
    assert daemon.metric("blocker_egress_interfaces_missing") == 1
    assert daemon.metric('blocker_egress_up{process="watch"}') == 1


def test_it_holds_no_capability_and_may_gain_none(daemon):
    threads = [each.read_text() for each in Path(f"/proc/{daemon.watcher()}/task").glob("*/status")]
    assert len(threads) > 1
    for said in threads:  # the kernel takes from one thread alone
        fields = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
        assert {int(fields[kind], 16) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
        assert fields["NoNewPrivs"] == "1"


def test_nobody_else_keeps_what_the_capture_was_opened_with(daemon):
    wanted = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
    assert len(children) >= 3
    for pid in (daemon.process.pid, *children):
        fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert int(fields["CapPrm"], 16) & wanted == 0, Path(f"/proc/{pid}/cmdline").read_bytes()


def test_killed_it_is_replaced_and_what_was_seen_before_and_meanwhile_is_recorded(daemon):
    before = daemon.watcher()
    count = len(daemon.recorded())
    daemon.attempt("one.tiktok.com", 40001)
    daemon.wait(lambda: len(daemon.recorded()) == count + 1, "a record")
    os.kill(before, signal.SIGKILL)
    daemon.attempt("two.tiktok.com", 40002)
    daemon.wait(lambda: daemon.watcher() not in (None, before), "another")
    daemon.wait(lambda: len(daemon.recorded()) == count + 2, "what was sent meanwhile")
    assert daemon.recorded()[-1]["qname"] == "two.tiktok.com"


def test_new_lists_are_adopted(daemon):
    daemon.attempt("new.example", 40003)
    (daemon.lists / "tiktok.txt").write_text("tiktok.com\nnew.example\n")
    daemon.space.command(sys.executable, "-m", "blocker.cli", "reload", "-c", str(daemon.config))

    def seen():
        daemon.attempt("new.example", 40100 + int(time.monotonic() * 100) % 20_000)
        return any(record["qname"] == "new.example" for record in daemon.recorded())

    daemon.wait(seen, "a finding by the new list")


@pytest.mark.parametrize(("listen", "resolver", "more", "expected"), [
    (["0.0.0.0:53"], [], [], set()),
    (["192.0.2.1:53", "[2001:db8::1]:53"], [], [], {"192.0.2.1", "2001:db8::1"}),
    (["127.0.0.1:53"], ["192.0.2.2:53"], ["192.0.2.3"], {"127.0.0.1", "192.0.2.2", "192.0.2.3"}),
])  # fmt: skip
def test_whom_devices_may_ask(listen, resolver, more, expected):
    made = Config.model_validate({"listen": listen, "egress": {"resolver": resolver}})
    assert observer.resolvers(made, more) == {config.endpoint(each, 53).address.packed for each in expected}


def test_whose_packets_are_looked_at():
    groups = [{"name": "staff", "clients": ["192.0.2.0/24"]}]
    assert observer.devices(Config.model_validate({"groups": groups})) == (ip_network("192.0.2.0/24"),)
    assert observer.devices(Config.model_validate({})) == ()


@pytest.mark.parametrize(("mode", "exempt"), [
    ("gateway", {"192.0.2.9/32", "192.0.2.53/32"}),
    ("node", {"192.0.2.9/32"}),
])  # fmt: skip
def test_whose_packets_are_not(mode, exempt):
    made = Config.model_validate({"egress": {"mode": mode, "exempt": ["192.0.2.9/32"]}})
    ours = [config.endpoint("192.0.2.53", 53).address.packed]
    assert {str(each) for each in observer.exempt(made, ours)} == exempt


def test_on_a_node_only_its_own_packets_are_looked_at():
    made = Config.model_validate({"egress": {"mode": "node"}})
    assert ip_network("127.0.0.1/32") in observer.devices(made)
