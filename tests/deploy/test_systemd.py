"""The units: what systemd says of them, and whether the product lives within their rules."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest

from tests.e2e.daemon import free_port
from tests.feeds.server import HOST, Authority, Publisher
from tests.feeds.test_bootstrap import Resolver

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
SANDBOX = Path(__file__).with_name("sandbox.py")
MAX_EXPOSURE = 1.6  # capset, which takes privileges away, counts like one
MAX_EXPOSURE_OF_EGRESS = 2.2  # two capabilities more, and two families of sockets
START = 60.0  # seconds, on a busy machine


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder with the units, their program replaced by one that is installed."""
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/blocker/bin/blocker", "/bin/true"))
    return tmp_path


def test_systemd_understands_the_units(units: Path) -> None:
    said = analyze("verify", "--man=no", units / "blocker.service", units / "blocker.socket")
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_systemd_understands_the_egress_half(units: Path) -> None:
    """The drop-in adds to the unit, and what it adds costs little."""
    (units / "blocker.service.d").mkdir()
    (units / "blocker.service.d" / "egress.conf").write_text((UNITS / "egress.conf").read_text())
    said = analyze("verify", "--man=no", units / "blocker.service")
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    whole = units / "whole.service"
    whole.write_text((units / "blocker.service").read_text() + (UNITS / "egress.conf").read_text())
    level = re.search(r"exposure level for whole.service: ([\d.]+)", analyze("security", "--offline=yes", whole).stdout)
    assert level is not None
    assert float(level[1]) <= MAX_EXPOSURE_OF_EGRESS


def test_the_service_is_hardly_exposed(units: Path) -> None:
    said = analyze("security", "--offline=yes", f"--threshold={int(MAX_EXPOSURE * 10)}", units / "blocker.service")
    level = re.search(r"exposure level for blocker.service: ([\d.]+)", said.stdout)
    assert level is not None, said.stderr
    assert float(level[1]) <= MAX_EXPOSURE
    assert said.returncode == 0


def test_the_account_can_be_made() -> None:
    said = subprocess.run(
        ["systemd-sysusers", "--dry-run", UNITS / "blocker.sysusers"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr


def test_commands_and_configuration_of_the_service() -> None:
    """The unit calls commands that exist, with the configuration that stands beside it."""
    from click.testing import CliRunner

    from blocker.cli import blocker

    unit = (UNITS / "blocker.service").read_text()
    commands = re.findall(r"^Exec\w+=/opt/blocker/bin/blocker (\w+) --config (\S+)$", unit, re.MULTILINE)
    assert commands == [("run", "/etc/blocker/blocker.yaml"), ("reload", "/etc/blocker/blocker.yaml")]
    for command, _ in commands:
        assert "--config" in CliRunner().invoke(blocker, [command, "--help"]).output
    assert CliRunner().invoke(blocker, ["check", str(UNITS / "blocker.yaml")]).exit_code == 0


@pytest.fixture
def ports() -> tuple[int, int, int]:
    """Return a free port for DNS, one for metrics and one for the sinkhole."""
    return free_port("127.0.0.1"), free_port("127.0.0.1"), free_port("127.0.0.1")


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[str]:
    """Serve a list over HTTPS under a name that only a resolver of the test knows; return the configuration for it."""
    authority, resolver = Authority(tmp_path), Resolver()
    publisher = Publisher(authority.chain(HOST))
    publisher.pages["/list"] = b"fetched.example\n"
    resolver.records[HOST, "A"] = ["127.0.0.1"]
    yield (
        f"fetch: {{resolvers: ['{resolver.end}'], ca_file: {authority.file}}}\n"
        f"feeds: [{{name: threats, app: threats, url: '{publisher.url('/list', HOST)}'}}]\n"
    )
    publisher.close()
    resolver.close()


@pytest.fixture
def confined(tmp_path: Path, ports: tuple[int, int, int], feed: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the product within the service's system call rules, as systemd would, and wait until it is ready."""
    dns_port, http_port, sinkhole_port = ports
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "local.txt").write_text("own.example\n")
    (tmp_path / "blocker.yaml").write_text(
        f"listen: ['127.0.0.1:{dns_port}']\n"
        f"metrics: {{listen: '127.0.0.1:{http_port}'}}\n"
        "upstream: {servers: ['127.0.0.1:9'], deadline: 1}\n"
        "lists: {directories: [lists]}\n"
        f"log: {{attempts: {tmp_path}/attempts.jsonl}}\n"
        f"process: {{workers: 2, state_dir: {tmp_path}/state}}\n"
        f"sinkhole: {{serve: true, listen: ['127.0.0.1'], ports: [{sinkhole_port}], reset: []}}\n"
        f"{feed}"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(START)
        program = [sys.executable, "-m", "blocker.cli", "run", "--config", str(tmp_path / "blocker.yaml")]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(SANDBOX), str(UNITS / "blocker.service"), *program],
                env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "PYTHONPATH": str(ROOT)},
                stderr=log,
            )
        try:
            assert notify.recv(500).startswith(b"READY=1"), (tmp_path / "log").read_text()
            yield process, dns_port
        finally:
            process.kill()
            process.wait()


@pytest.mark.usefixtures("confined")
def test_the_sinkhole_lives_within_the_rules(ports: tuple[int, int, int], tmp_path: Path) -> None:
    """It gives up what it does not need before it hears anybody, which the rules must let it."""
    with socket.create_connection(("127.0.0.1", ports[2]), timeout=START) as visitor:
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: www.own.example\r\nConnection: close\r\n\r\n")
        assert visitor.recv(65535).startswith(b"HTTP/1.1")
    assert "process died" not in (tmp_path / "log").read_text()


def command(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "blocker.cli", *arguments, "--config", str(tmp_path / "blocker.yaml")]
    return subprocess.run(
        program, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def test_the_product_lives_within_the_rules(confined: tuple[subprocess.Popen[bytes], int], tmp_path: Path) -> None:
    """All it does in its life: answer over UDP and TCP, ask upstream, log, fetch, reload, replace a worker, stop."""
    process, port = confined
    blocked = dns.message.make_query("www.own.example", "A")
    for ask in (dns.query.udp, dns.query.tcp):
        assert ask(blocked, "127.0.0.1", port=port, timeout=START).answer[0][0].address == "0.0.0.0"
    said = dns.query.udp(dns.message.make_query("example.org", "A"), "127.0.0.1", port=port, timeout=START)
    assert said.rcode() == dns.rcode.SERVFAIL  # nobody listens upstream
    fetched = dns.message.make_query("www.fetched.example", "A")
    deadline = time.monotonic() + START / 4
    while not dns.query.udp(fetched, "127.0.0.1", port=port, timeout=START).answer:
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.05)
    assert command(tmp_path, "reload").returncode == 0
    state = json.loads(command(tmp_path, "status", "--json").stdout)
    os.kill(state["workers"][0]["pid"], signal.SIGKILL)
    for _ in range(20):
        assert dns.query.udp(blocked, "127.0.0.1", port=port, timeout=START).answer
    process.send_signal(signal.SIGTERM)
    assert process.wait(START) == 0, (tmp_path / "log").read_text()
    lines = (tmp_path / "attempts.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["entry"] == f"{tmp_path}/lists/local.txt:1"
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)", 0),
        ("import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", -signal.SIGSYS),
        ("import os; os.setuid(os.getuid())", -signal.SIGSYS),
        ("import os; os.sched_setaffinity(0, {0})", -signal.SIGSYS),
    ],
)
def test_the_rules_of_that_test_bite(code: str, status: int) -> None:
    said = subprocess.run([sys.executable, SANDBOX, UNITS / "blocker.service", sys.executable, "-c", code], check=False)
    assert said.returncode == status
