"""The control process: a real one, forked, on real sockets, with the test as its supervisor."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from blocker import config as configuration
from blocker.config import Config
from blocker.events import ATTEMPT, Labels
from blocker.selftest import status as selftest
from blocker.selftest.status import Outcome, Status
from blocker.serve import control
from blocker.serve.look import look, signature
from blocker.sinks.region import Region, Word

LIMIT = 10.0  # seconds after which a test gives up
SEEN = Labels("tcp", "", "none", "blocked", "staff", "wechat", "refused", "address")


def generation(number: int = 1, **said: object) -> dict[str, object]:
    """Return what the supervisor says of a generation."""
    return {
        "event": "generation",
        "number": number,
        "digest": f"digest-{number}",
        "policy": f"policy-{number}",
        "compiled": 1700000000.0,
        "apps": {"tiktok": {"entries": 12, "title": "TikTok"}},
        "feeds": {},
        "watch": [],
        "looked": "",
        "duration": 0.25,
        "problems": [],
        "reloads": {"succeeded": 0, "refused": 0, "last_success": 1.0},
        "exceptions": {"granted": {}, "counts": {}, "seq": -1},
        "standing": {"generation": "/nowhere", "exceptions": "", "moment": 0.0, "ends": {}},
        "turns": None,
        "unamended": [],
    } | said


def ready(region: Region) -> None:
    """Make a region that of a worker that serves."""
    region.words[Word.PID] = os.getpid()
    region.words[Word.READY] = 1
    region.words[Word.PULSE] = time.monotonic_ns()


def eventually(found: Callable[[], object]) -> None:
    """Wait until `found` returns something true: other processes take their time."""
    deadline = time.monotonic() + LIMIT
    while not found():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class Running:
    """A control process, and both ends that a test plays: the supervisor, and those who ask."""

    def __init__(self, regions: Sequence[Region], config: Config, folder: Path, kind: socket.SocketKind) -> None:
        """Fork a control process that looks at `regions`, and at one beside them."""
        self.regions = regions
        self.beside = Region()
        self.path = folder / "control.sock"
        console = socket.socket(socket.AF_UNIX)
        console.bind(str(self.path))
        console.listen()
        http = socket.create_server(("127.0.0.1", 0))
        self.address = http.getsockname()
        self.supervisor, theirs = socket.socketpair(socket.AF_UNIX, kind)
        self.supervisor.settimeout(LIMIT)
        self.output = folder / "stdout"
        self.output.touch()
        self.pid = os.fork()
        if not self.pid:
            self._be_the_child(config, theirs, http, console)
        for sock in (theirs, http, console):
            sock.close()
        self.said: bytes = b""

    def _be_the_child(self, config: Config, theirs: socket.socket, http: socket.socket, console: socket.socket) -> None:
        status = 70
        try:
            os.dup2(os.open(self.output, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 1)
            os.dup2(os.open(self.output.with_name("stderr"), os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
            self.supervisor.close()
            status = control.run(self.regions, config, theirs, http, console, {"egress": self.beside})
        finally:
            os._exit(status)

    @property
    def log(self) -> str:
        """What it has written to the operators' log."""
        return self.output.with_name("stderr").read_text()

    def tell(self, message: dict[str, object]) -> None:
        """Say something as the supervisor."""
        self.supervisor.sendall(json.dumps(message).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """Return what it says to the supervisor next."""
        while b"\n" not in self.said:
            data = self.supervisor.recv(65536)
            assert data, "it is gone"
            self.said += data
        line, _, self.said = self.said.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def connect(self) -> socket.socket:
        """Return a connection to the control socket."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(LIMIT)
        sock.connect(str(self.path))
        return sock

    def send(self, request: bytes) -> socket.socket:
        """Send a request to the control socket, and return the connection that the answer comes on."""
        sock = self.connect()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read all of it
            sock.sendall(request)
        return sock

    def ask(self, request: bytes) -> dict[str, Any]:
        """Return the answer to a request on the control socket."""
        return answer(self.send(request))

    def get(self, path: str, method: str = "GET", accept: str = "*/*") -> tuple[int, dict[str, str], str]:
        """Return status, headers and body of what HTTP says."""
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n"
        return self.exchange(request.encode())

    def exchange(self, request: bytes) -> tuple[int, dict[str, str], str]:
        """Return status, headers and body of the answer to raw octets over HTTP."""
        with socket.create_connection(self.address, timeout=LIMIT) as sock:
            sock.sendall(request)
            text = sock.makefile("rb").read().decode()
        head, _, body = text.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body

    def ended(self) -> int:
        """Wait until it has ended, and return its exit status."""
        deadline = time.monotonic() + LIMIT
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, "it did not end"
            time.sleep(0.01)

    def close(self) -> None:
        """End it, however it does."""
        self.supervisor.close()
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def answer(sock: socket.socket) -> dict[str, Any]:
    """Return the line of JSON that comes on a connection before it ends."""
    with sock:
        found: dict[str, Any] = json.loads(sock.makefile("rb").read())
    return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Return what starts control processes; they end with the test."""
    running: list[Running] = []

    def start(workers: int = 1, kind: socket.SocketKind = socket.SOCK_SEQPACKET, **config: object) -> Running:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        regions = [Region() for _ in range(workers)]
        running.append(Running(regions, Config.model_validate(config), folder, kind))
        return running[-1]

    yield start
    for each in running:
        each.close()


Start = Callable[..., Running]


# HTTP.


@pytest.mark.parametrize(
    ("request_line", "status", "content"),
    [
        ("GET /metrics", 200, "blocker_build_info{"),
        ("GET /metrics?x=1", 200, "blocker_build_info{"),
        ("GET /healthz", 200, "ok"),
        ("GET /", 404, "try /metrics"),
        ("GET /metrics/", 404, "try /metrics"),
        ("POST /metrics", 405, "only GET and HEAD"),
        ("DELETE /healthz", 405, "only GET and HEAD"),
        ("BREW /metrics", 405, "only GET and HEAD"),
    ],
)
def test_pages(start: Start, request_line: str, status: int, content: str) -> None:
    method, path = request_line.split()
    found, headers, body = start().get(path, method)
    assert found == status
    assert content in body
    assert headers["Server"] == "blocker"  # and no version
    assert headers["Connection"] == "close"


def test_head_has_no_body(start: Start) -> None:
    status, headers, body = start().get("/healthz", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "3", "")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_metrics_in_the_form_that_is_asked_for(start: Start, accept: str, content_type: str) -> None:
    _, headers, _ = start().get("/metrics", accept=accept)
    assert headers["Content-Type"].startswith(content_type)


@pytest.mark.parametrize(
    "request_", [b"\x00\x01\r\n\r\n", b"GET /" + b"x" * 70000, b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n"]
)
def test_nonsense_is_refused_and_the_next_is_served(start: Start, request_: bytes) -> None:
    running = start()
    with socket.create_connection(running.address, timeout=LIMIT) as sock:
        sock.sendall(request_)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert b" 200 " not in sock.makefile("rb").read()
    assert running.get("/healthz")[0] == 200


def test_ready_only_when_every_worker_is(start: Start) -> None:
    running = start(workers=2)
    ready(running.regions[0])
    status, _, body = running.get("/readyz")
    assert status == 503
    said = {"ready": False, "workers": 2, "problems": ["worker 1: not ready"], "warnings": ["egress: not running"]}
    assert json.loads(body) == said
    ready(running.regions[1])
    status, _, body = running.get("/readyz")
    assert (status, json.loads(body)["ready"]) == (200, True)  # DNS goes on without the other one
    ready(running.beside)
    assert json.loads(running.get("/readyz")[2])["warnings"] == []
    running.regions[0].words[Word.PULSE] = time.monotonic_ns() - 6_000_000_000
    status, _, body = running.get("/readyz")
    assert status == 503
    assert "worker 0: no sign of life for 6." in body


def test_attempts_outside_dns_take_the_same_way(start: Start) -> None:
    running = start()
    running.beside.record(running.beside.outcome(SEEN, attempt=True), b"\x7f\0\0\x01", 0.0, b'"a":1', ATTEMPT)
    eventually(lambda: '"client":"127.0.0.1","a":1' in running.output.read_text())
    text = running.get("/metrics")[2]
    assert 'blocker_egress_attempts_total{action="refused",app="wechat"' in text
    assert "blocker_queries_total{" not in text  # it was none


def test_who_says_nothing_keeps_nobody_out(start: Start) -> None:
    running = start()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(running.address, timeout=LIMIT)) for _ in range(40)]
        held[-1].sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        assert running.get("/healthz")[0] == 200
        assert running.ask(b'{"command":"status"}\n')["version"]
        assert held[0].recv(1) == b""  # who has waited longest gave way


def test_a_head_without_end_costs_nothing_and_is_answered(start: Start) -> None:
    running = start()
    before = resident(running.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            sock = stack.enter_context(socket.create_connection(running.address, timeout=LIMIT))
            sock.sendall(b"GET /healthz HTTP/1.1\r\n")
            with contextlib.suppress(ConnectionError):
                for _ in range(99):
                    sock.sendall(b"X: " + b"a" * 65000 + b"\r\n")
    assert running.get("/healthz")[0] == 200
    assert resident(running.pid) - before < 20 << 20


def resident(pid: int) -> int:
    """Return the most memory that a process has had, octets."""
    found = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(found.split()[1]) * 1024


def test_metrics_tell_what_happened(start: Start) -> None:
    running = start(workers=2)
    running.tell(generation())
    refused = {"succeeded": 0, "refused": 1, "last_success": 1.0}
    running.tell(generation(2, problems=["tiktok.yaml:14: no"], reloads=refused))
    for region in running.regions:
        region.malformed("short")
    eventually(lambda: 'blocker_reload_total{result="refused"} 1.0' in running.get("/metrics")[2])
    text = running.get("/metrics")[2]
    assert 'blocker_malformed_total{reason="short"} 2.0' in text
    assert 'blocker_list_entries{app="tiktok"} 12.0' in text


# The control socket.


def test_status(start: Start) -> None:
    running = start(workers=2)
    running.tell(generation(5))
    for region in running.regions:
        ready(region)
        region.upstream(0, "192.0.2.53:53")
    eventually(lambda: running.ask(b'{"command":"status"}\n')["generation"] == 5)
    found = running.ask(b'{"command":"status"}\n')
    assert found["ok"] is True
    assert "problems" not in found
    assert [(worker["worker"], worker["up"], worker["restarts"]) for worker in found["workers"]] == [
        (0, True, 0),
        (1, True, 0),
    ]
    assert found["lists"] == [{"app": "tiktok", "entries": 12, "title": "TikTok"}]
    assert found["compiled"] == "2023-11-14T22:13:20Z"
    assert [upstream["upstream"] for upstream in found["upstreams"]] == ["192.0.2.53:53"]


def test_status_says_what_is_seen_to_be_blocked(start: Start, tmp_path: Path) -> None:
    outcomes = {"tiktok": Outcome(False, 1.0, "tiktok.com", "tiktok.com at 127.0.0.1:53 over udp: it gave no answer")}
    selftest.write(Status(outcomes, Outcome(True, 1.0, "a.example")), tmp_path)
    running = start()
    running.tell(generation(selftest=str(tmp_path)))
    eventually(lambda: running.ask(b'{"command":"status"}\n')["generation"] == 1)
    assert running.ask(b'{"command":"status"}\n')["selftest"] == {
        "tiktok": "tiktok.com at 127.0.0.1:53 over udp: it gave no answer, 1970-01-01T00:00:01Z, tiktok.com",
        "must resolve": "ok, 1970-01-01T00:00:01Z, a.example",
    }


def test_status_says_what_is_not_well(start: Start) -> None:
    found = start().ask(b'{"command":"status"}\n')
    assert (found["ok"], found["problems"]) == (False, ["worker 0: not ready"])


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM], ids=["packets", "stream"])
@pytest.mark.parametrize(
    "reply", [{"ok": True, "generation": 2}, {"ok": False, "problems": ["tiktok.yaml:14: is not a domain name"]}]
)
def test_reload_is_passed_on_and_its_reply_back(
    start: Start, kind: socket.SocketKind, reply: dict[str, object]
) -> None:
    running = start(kind=kind)
    asking = running.send(b'{"command":"reload"}\n')
    assert running.hear() == {"command": "reload", "ask": 1}
    running.tell(generation(2))  # comes before the reply
    running.tell({**reply, "ask": 1})
    assert answer(asking) == reply


def test_replies_go_to_those_who_asked_in_whatever_order(start: Start) -> None:
    running = start()
    asking, asked = [], []
    for command in (b"reload", b"exceptions", b"reload"):
        asking.append(running.send(b'{"command":"%b"}\n' % command))
        asked.append(running.hear()["ask"])
    for number in (1, 2, 0):  # exceptions wait for no lists
        running.tell({"ok": True, "number": number, "ask": asked[number]})
    assert [answer(sock)["number"] for sock in asking] == [0, 1, 2]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (b"{\n", "the request is not JSON"),
        (b"\xff\n", "the request is not JSON"),
        (b"[" * 60000 + b"\n", "the request is not JSON"),
        (b"[]\n", "one of: status, reload, rollouts, exceptions"),
        (b'{"command":["reload"]}\n', "one of: status, reload, rollouts, exceptions"),
        (b'{"command":"stop"}\n', "one of: status, reload, rollouts, exceptions"),
        (b'{"command":"status"}' + b" " * 65536 + b"\n", "at most 65536 octets"),
        (b"x" * 70000, "at most 65536 octets"),
    ],
)
def test_strange_requests_are_refused(start: Start, request_: bytes, problem: str) -> None:
    found = start().ask(request_)
    assert found["ok"] is False
    assert problem in found["problems"][0]


def test_half_a_request_is_refused(start: Start) -> None:
    sock = start().send(b'{"command":"status"}')
    sock.shutdown(socket.SHUT_WR)
    assert "complete within 5 s" in answer(sock)["problems"][0]


# Logs.


def test_attempts_go_to_standard_output(start: Start) -> None:
    running = start()
    running.regions[0].journal(ATTEMPT, 1700000000.25, b"\xc0\x00\x02\x01", b'"app":"tiktok"')
    eventually(lambda: running.output.stat().st_size)
    line = '{"time":"2023-11-14T22:13:20.250000Z","client":"192.0.2.1","app":"tiktok","node":"NODE"}\n'
    line = line.replace("NODE", configuration.node(Config()))
    assert running.output.read_text() == line


def test_the_last_words_of_workers_are_written_before_the_end(start: Start, tmp_path: Path) -> None:
    running = start(workers=2, log={"attempts": tmp_path / "attempts"})
    for number in range(30_000):
        running.regions[number % 2].journal(ATTEMPT, 1.7e9, b"\xc0\x00\x02\x01", b'"n":%d' % number)
    running.tell({"event": "stop"})
    assert running.ended() == 0
    written = [json.loads(line)["n"] for line in (tmp_path / "attempts").read_bytes().splitlines()]
    assert sorted(written) == list(range(30_000))
    assert [region.words[Word.DROPPED] for region in running.regions] == [0, 0]


def test_a_supervisor_that_is_gone_ends_it_too(start: Start) -> None:
    running = start()
    running.get("/healthz")
    running.regions[0].journal(ATTEMPT, 1.7e9, b"\xc0\x00\x02\x01", b'"app":"tiktok"')
    running.supervisor.close()
    assert running.ended() == 0
    assert "tiktok" in running.output.read_text()


@pytest.mark.parametrize("killed", [True, False])
def test_what_others_record_after_the_supervisors_end_is_written(start: Start, *, killed: bool) -> None:
    running = start()
    running.get("/healthz")
    region = running.regions[0] if killed else running.beside  # a worker, or one of those that hear it as we do
    if not (other := os.fork()):
        time.sleep(0.4)
        region.journal(ATTEMPT, 1.7e9, b"\xc0\x00\x02\x01", b'"app":"tiktok"')
        os._exit(0)
    region.words[Word.PID] = other
    running.supervisor.close() if killed else running.tell({"event": "stop"})
    try:
        assert running.ended() == 0
    finally:
        os.waitpid(other, 0)
    assert "tiktok" in running.output.read_text()


def test_termination_is_the_supervisors_to_say(start: Start) -> None:
    running = start()
    running.get("/healthz")
    os.kill(running.pid, signal.SIGTERM)
    os.kill(running.pid, signal.SIGINT)
    assert running.get("/healthz")[0] == 200
    running.tell({"event": "stop"})
    assert running.ended() == 0


@pytest.mark.parametrize("how", ["signal", "event"])
def test_reopening_for_others_rotation(start: Start, tmp_path: Path, how: str) -> None:
    running = start(log={"attempts": tmp_path / "attempts"})
    running.regions[0].journal(ATTEMPT, time.time(), b"\xc0\x00\x02\x01", b'"n":1')
    eventually(lambda: (tmp_path / "attempts").exists() and (tmp_path / "attempts").stat().st_size)
    (tmp_path / "attempts").rename(tmp_path / "moved")
    if how == "signal":
        os.kill(running.pid, signal.SIGHUP)
    else:
        running.tell({"event": "reopen"})

    def written() -> bool:
        running.regions[0].journal(ATTEMPT, time.time(), b"\xc0\x00\x02\x01", b'"n":2')
        return (tmp_path / "attempts").exists() and b'"n":2' in (tmp_path / "attempts").read_bytes()

    eventually(written)
    running.tell({"event": "stop"})
    assert running.ended() == 0
    assert b'"n":1' in (tmp_path / "moved").read_bytes()
    assert b'"n":1' not in (tmp_path / "attempts").read_bytes()


def test_a_blocked_log_stops_nothing_else(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "attempts")
    running = start(log={"attempts": tmp_path / "attempts"})
    running.regions[0].journal(ATTEMPT, 1.7e9, b"\xc0\x00\x02\x01", b'"n":1')
    eventually(lambda: "blocker_events_dropped_total 1.0" in running.get("/metrics")[2])
    assert "log cannot be written" in running.log


def test_a_missing_hash_key_ends_it_rather_than_show_addresses(start: Start, tmp_path: Path) -> None:
    running = start(log={"clients": "hash", "hash_key_file": tmp_path / "key"})
    assert running.ended() == 1
    assert "log.hash_key_file" in running.log


# Watching.


@pytest.mark.parametrize("how", ["written", "replaced", "added", "removed"])
def test_changed_files_are_reloaded(start: Start, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    file = folder / "own.yaml"
    file.write_text("a")
    running = start()
    running.tell(generation(watch=[str(folder)], looked=signature(look([str(folder)]))))
    eventually(lambda: running.ask(b'{"command":"status"}\n')["generation"] == 1)
    (folder / ".own.yaml.swp").write_text("not meant")
    if how == "written":
        file.write_text("other")
    elif how == "replaced":
        (folder / "own.yaml.tmp").write_text("b")
        (folder / "own.yaml.tmp").replace(file)
    elif how == "added":
        (folder / "more.txt").write_text("c")
    else:
        file.unlink()
    assert running.hear() == {"command": "reload", "ask": 1}
    running.tell({"ok": False, "ask": 1, "problems": ["own.yaml:1: is not a list"]})
    eventually(lambda: "own.yaml:1: is not a list" in running.log)
    assert "files changed; reloading" in running.log
    assert ".swp" not in running.log


def test_nothing_is_watched_where_nobody_wants_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("a")
    running = start(lists={"watch": False})
    running.tell(generation(watch=[str(tmp_path / "own.yaml")]))
    eventually(lambda: running.ask(b'{"command":"status"}\n')["generation"] == 1)
    (tmp_path / "own.yaml").write_text("other")
    running.supervisor.settimeout(1.5)
    with pytest.raises(TimeoutError):
        running.hear()


@pytest.mark.parametrize("line", [b"{\n", b"[]\n", b'{"event":"new"}\n', b'{"event":"generation"}\n', b'{"ok":true}\n'])
def test_nonsense_from_the_supervisor_changes_nothing(start: Start, line: bytes) -> None:
    running = start()
    running.supervisor.sendall(line)
    running.tell(generation(3))
    eventually(lambda: running.ask(b'{"command":"status"}\n')["generation"] == 3)
