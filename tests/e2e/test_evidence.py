"""The attempts as evidence on bad days: no record is lost whose answer had left, and none comes out twice."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from tests.e2e.client import query
from tests.e2e.conftest import need
from tests.e2e.daemon import eventually, free_port
from tests.evidence.records import new_key

CHAIN = {"evidence": {"chain": True, "node": "dns1", "every_records": 200}}


class Load:
    """Asks for one blocked name after the other until it is ended; knows which were answered."""

    def __init__(self, daemon, clients=4, prefix="n"):
        self.answered = set()
        self._prefix = prefix
        self._daemon = daemon
        self._ending = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        with self._daemon.client() as client:
            while not self._ending.is_set():
                asked = {}
                for _ in range(20):
                    name = f"{self._prefix}{next(self._numbers)}.banned.example"
                    message = query(name)
                    asked[message.id] = name
                    with contextlib.suppress(ConnectionRefusedError):  # who answers may be gone
                        client.send(message)
                self._hear(client, asked)
                self._ending.wait(0.02)  # the journals have an end, and who empties them may be dead for seconds

    def _hear(self, client, asked):
        deadline = time.monotonic() + 1.0
        while asked and time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError, TimeoutError):
                name = asked.pop(int.from_bytes(client.receive(0.1)[:2]), None)
                self.answered |= {name} - {None}

    def end(self):
        self._ending.set()
        for thread in self._threads:
            thread.join()
        return self.answered


def files(daemon):
    return [path for path in daemon.folder.glob("attempts.jsonl*") if path.suffix != ".checkpoints"]


def names(daemon):
    """Return the names in the log, as often as they stand there."""
    said = [json.loads(line) for path in files(daemon) for line in path.read_text().splitlines()]
    return [each["qname"] for each in said if "qname" in each]


def verified(daemon, *more):
    done = daemon.run("evidence", "verify", *map(str, files(daemon)), *more)
    return done.returncode, done.stdout + done.stderr


def test_the_control_process_is_killed_under_load(start):
    daemon = start(CHAIN)
    load = Load(daemon)
    for _ in range(6):
        before = daemon.count("blocker_evidence_records_total")  # else the journal, which has an end, runs full
        eventually(lambda before=before: daemon.count("blocker_evidence_records_total") > before + 300)
        os.kill(daemon.children()["control"], signal.SIGKILL)
        eventually(lambda: daemon.get("/readyz")[0] == 200)
    answered = load.end()
    assert daemon.count("blocker_events_dropped_total") == 0
    assert daemon.stop() == 0
    found = names(daemon)
    assert answered <= set(found)
    assert len(found) == len(set(found))  # each name was asked once
    assert verified(daemon)[0] == 0, verified(daemon)
    assert daemon.log.count("process died; starting another") == 6


def test_workers_are_killed_under_load(start):
    daemon = start(CHAIN)
    load = Load(daemon)
    for turn in range(4):
        before = len(load.answered)
        eventually(lambda before=before: len(load.answered) > before + 200)
        os.kill(daemon.children()[f"worker {turn % 2}"], signal.SIGKILL)
        eventually(lambda turn=turn: daemon.log.count("worker died; starting another") == turn + 1)
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    answered = load.end()
    assert daemon.stop() == 0
    found = names(daemon)
    assert answered <= set(found)
    assert len(found) == len(set(found))  # each name was asked once
    assert verified(daemon)[0] == 0, verified(daemon)


def test_the_supervisor_is_killed_under_load(start, tmp_path):
    answered = set()
    for turn in range(3):
        daemon = start({**CHAIN, "process": {"workers": 2}}, folder=tmp_path / "same")
        load = Load(daemon, prefix=f"t{turn}-")
        eventually(lambda load=load: len(load.answered) > 500)
        others = [pid for pid in daemon.children().values() if pid]
        daemon.process.kill()
        daemon.process.wait()
        eventually(lambda others=others: not any(Path(f"/proc/{pid}/exe").exists() for pid in others))
        answered |= load.end()
    found = names(daemon)
    assert answered <= set(found)
    assert len(found) == len(set(found))  # each name was asked once
    status, said = verified(daemon, "--checkpoints", str(daemon.folder / "attempts.jsonl.checkpoints"))
    assert (status, "closed in order" in said) == (0, True), said


def test_it_goes_on_over_restarts_and_rotations(start, tmp_path):
    long = ".".join(["x" * 60] * 3)
    count = 0
    for _ in range(3):
        daemon = start({**CHAIN, "log": {"rotation": {"size": 1, "keep": 50}}}, folder=tmp_path / "same")
        with daemon.client() as client:
            count += len(client.ask_all([query(f"n{number}.{long}.banned.example") for number in range(2500)]))
        assert daemon.stop() == 0
    assert len(files(daemon)) >= 3
    assert len(names(daemon)) == count == 7500
    status, said = verified(daemon, "--checkpoints", str(daemon.folder / "attempts.jsonl.checkpoints"))
    assert (status, "closed in order" in said) == (0, True), said
    middle = sorted(files(daemon), key=lambda path: path.stat().st_mtime)[1]
    middle.rename(tmp_path / "taken")
    status, said = verified(daemon)
    assert (status, "missing before this one" in said) == (1, True), said


def test_records_wait_while_the_disk_is_full(start, tmp_path):
    need(os.geteuid() == 0, "needs root, to mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "blocker-test", str(folder)]
    need(subprocess.run(mount, capture_output=True, check=False).returncode == 0, "this machine mounts nothing")
    try:
        log = folder / "attempts.jsonl"
        daemon = start({**CHAIN, "log": {"attempts": str(log)}})
        with daemon.client() as client:
            assert len(client.ask_all([query(f"n{number}.banned.example") for number in range(1000)])) == 1000
        eventually(lambda: "its records wait in the journal" in daemon.log)
        assert daemon.count("blocker_evidence_waiting_bytes") > 0
        os.kill(daemon.children()["control"], signal.SIGKILL)  # they wait in memory that outlives it
        subprocess.run(["mount", "-o", "remount,size=8m", str(folder)], check=True)
        eventually(lambda: log.read_text().count('"qname":') == 1000, within=30)
        assert daemon.count("blocker_events_dropped_total") == 0
        assert daemon.stop() == 0
        done = daemon.run("evidence", "verify", str(log))
        assert done.returncode == 0, done.stdout
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_signed_checkpoints_and_metrics(start, tmp_path):
    public = new_key(tmp_path / "node")
    daemon = start({"evidence": {**CHAIN["evidence"], "key_file": str(tmp_path / "node.key"), "every_seconds": 1}})
    with daemon.client() as client:
        client.ask_all([query(f"n{number}.banned.example") for number in range(500)])
    eventually(lambda: daemon.count("blocker_evidence_records_total") > 500)
    eventually(lambda: daemon.count("blocker_evidence_checkpoint_timestamp_seconds") > 1.7e9)
    assert daemon.count("blocker_evidence_broken") == 0
    daemon.stop()
    assert verified(daemon, "--key", str(public))[0] == 0
    stranger = new_key(tmp_path / "stranger")
    status, said = verified(daemon, "--key", str(stranger))
    assert (status, "which was not given" in said) == (1, True)
    record = json.loads(next(line for line in files(daemon)[0].read_text().splitlines() if '"qname"' in line))
    assert record.keys() >= {"entry_id", "entry", "list", "policy", "reference", "node", "answer", "seq", "at", "hash"}


def test_a_key_that_cannot_sign_is_refused_at_the_start(start, tmp_path):
    (tmp_path / "node.key").write_text("nonsense")
    (tmp_path / "node.key").chmod(0o600)
    daemon = start({"evidence": {**CHAIN["evidence"], "key_file": str(tmp_path / "node.key")}}, wait=False)
    assert daemon.ended() != 0
    assert "evidence.key_file" in daemon.log


def test_the_control_process_is_killed_just_before_the_end(start):
    daemon = start(CHAIN)
    load = Load(daemon)
    eventually(lambda: len(load.answered) > 1000)
    os.kill(daemon.children()["control"], signal.SIGKILL)
    answered = load.end()
    assert daemon.stop() == 0  # before another one has begun
    assert answered <= set(names(daemon))
    status, said = verified(daemon, "--checkpoints", str(daemon.folder / "attempts.jsonl.checkpoints"))
    assert (status, "closed in order" in said) == (0, True), said


def visit(port, name):
    """Visit the sinkhole as a browser does; tell whether it said that it blocks."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        return b" 451 " in sock.recv(4096)
    return False


def test_visits_to_the_sinkhole_are_in_the_same_chain(start):
    port = free_port("127.0.0.1")
    generous = {"rate_per_client": 1000, "per_client": 1000}
    sinkhole = {"serve": True, "ports": [port], "reset": [], "limits": generous}
    daemon = start({**CHAIN, "answers": {"sinkhole_v4": ["127.0.0.1"]}, "sinkhole": sinkhole})
    load = Load(daemon, clients=1)
    seen = set()
    for turn in range(60):
        if turn in (20, 40):
            os.kill(daemon.children()[("sinkhole", "control")[turn == 40]], signal.SIGKILL)
        name = f"v{turn}.banned.example"
        if eventually(lambda name=name: visit(port, name) and name):
            seen.add(name)
    answered = load.end()
    assert daemon.stop() == 0  # right after the last visit
    found = names(daemon)
    assert answered | seen <= set(found)
    assert verified(daemon)[0] == 0, verified(daemon)
