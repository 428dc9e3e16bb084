"""Who dies, who goes on, who refuses to start: real processes, real signals."""

import itertools
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.client import addresses, query
from tests.e2e.daemon import eventually, free_port
from tests.e2e.upstream import V4, silence, slow


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Load(threading.Thread):
    """Clients that ask for blocked names, each another one, and ask again when they hear nothing."""

    def __init__(self, daemon, clients=8):
        super().__init__()
        self.clients = [daemon.client() for _ in range(clients)]
        self.answered = []  # names
        self.unanswered = 0
        self.wrong = 0
        self.ending = False
        self._numbers = itertools.count()

    def run(self):
        while not self.ending:
            for client in self.clients:
                batch = {
                    message.id: message
                    for message in (query(f"n{next(self._numbers)}.banned.example") for _ in range(10))
                }
                heard = client.ask_all(batch.values(), window=10, patience=3.0)
                self.unanswered += len(batch) - len(heard)
                self.wrong += sum(wire[3] & 0xF != 0 for wire in heard.values())
                self.answered += [batch[ident].question[0].name.to_text(omit_final_dot=True) for ident in heard]

    def goes_on(self, count):
        """Wait until so many more were answered."""
        floor = len(self.answered)
        eventually(lambda: len(self.answered) > floor + count)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.join()
        for client in self.clients:
            client.sock.close()


def test_a_killed_worker_is_replaced_and_nothing_answered_is_forgotten(start):
    daemon = start()
    with Load(daemon) as load:
        for kills in (1, 2, 3):
            load.goes_on(200)
            before = daemon.count("blocker_blocked_total")
            victim = daemon.workers()[kills % 2]
            os.kill(victim, signal.SIGKILL)
            eventually(lambda kills=kills: daemon.count("blocker_worker_restarts_total") == kills)
            eventually(lambda: daemon.count("blocker_worker_up") == 2)
            assert daemon.count("blocker_blocked_total") >= before
            assert victim not in daemon.workers()
        load.goes_on(200)
    assert load.wrong == 0
    assert load.unanswered <= 3 * 64  # what was in a killed worker's hands
    assert daemon.count("blocker_blocked_total") >= len(load.answered)
    assert daemon.stop() == 0
    logged = {line["qname"] for line in daemon.attempts()}
    assert set(load.answered) <= logged


def test_a_killed_control_process_stops_no_answer(start):
    daemon = start()
    with Load(daemon) as load:
        eventually(lambda: len(load.answered) > 100)
        eventually(lambda: daemon.count("blocker_blocked_total") > 0)
        before = daemon.count("blocker_blocked_total")
        former = daemon.children()["control"]
        os.kill(former, signal.SIGKILL)
        eventually(lambda: daemon.children().get("control", former) != former and daemon.get("/readyz")[0] == 200)
        assert daemon.count("blocker_blocked_total") >= before
        eventually(lambda: daemon.count("blocker_list_entries", app="banned") == 1)  # the supervisor tells it anew
        load.goes_on(100)
    assert (load.wrong, load.unanswered) == (0, 0)
    assert daemon.count("blocker_worker_restarts_total") == 0
    assert daemon.reload().returncode == 0


def test_without_supervisor_everybody_ends(start):
    daemon = start()
    children = daemon.children()
    assert sorted(children) == ["control", "worker 0", "worker 1"]
    daemon.process.kill()
    daemon.process.wait()
    eventually(lambda: all(gone(pid) for pid in children.values()))


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_are_nobody_elses(start, closed):
    """Else a socket would have their number, and clients would get our log."""
    shell = ("sh", "-c", f'exec "$@" {closed}', "sh")
    daemon = start({"log": {"attempts": "stdout"}}, wrap=shell)
    assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]
    with daemon.stream() as stream:
        assert addresses(stream.ask("www.banned.example")) == ["0.0.0.0"]
    lost = 2 if ">&-" in closed.split() else 0
    eventually(lambda: daemon.count("blocker_events_dropped_total") == lost)
    assert daemon.reload().returncode == 0
    assert daemon.stop() == 0


def test_all_processes_told_to_end_at_once_end_without_complaint(start):
    daemon = start(start_new_session=True)
    os.killpg(daemon.process.pid, signal.SIGTERM)
    assert daemon.ended() == 0
    assert "died" not in daemon.log


@pytest.mark.parametrize(
    ("transport", "number"), [("udp", signal.SIGTERM), ("tcp", signal.SIGTERM), ("udp", signal.SIGINT)]
)
def test_what_is_under_way_is_answered_before_the_end(start, upstream, transport, number):
    upstream.scripts["slow.example"] = slow(0.35)
    daemon = start()
    with (daemon.stream if transport == "tcp" else daemon.client)() as client:
        client.send(query("slow.example"))
        eventually(lambda: upstream.seen("slow.example"))
        daemon.signal(number)
        heard = client.receive()
        assert (bytes(heard) if transport == "udp" else heard.to_wire())[3] & 0xF == 0
    assert daemon.ended() == 0
    assert not daemon.control.exists()
    with pytest.raises(ConnectionRefusedError), daemon.stream():
        pass


def test_what_nobody_answers_does_not_hold_up_the_end_for_ever(start, upstream):
    upstream.scripts["never.example"] = silence
    daemon = start({"upstream": {"deadline": 1.0}})
    with daemon.client() as client:
        client.send(query("never.example"))
        eventually(lambda: upstream.seen("never.example"))
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 8.0
        assert client.receive()[3] & 0xF == 2


@pytest.mark.parametrize("what", ["udp", "tcp", "metrics"])
def test_a_port_that_is_taken(start, what):
    port = free_port("127.0.0.1")
    kind = socket.SOCK_DGRAM if what == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        config = {"metrics": {"listen": f"127.0.0.1:{port}"}} if what == "metrics" else {}
        daemon = start(config, port=None if what == "metrics" else port, wait=False)
        assert daemon.ended() == 2
    assert (
        f"blocker: error: listen 127.0.0.1:{port}: Address already in use. Another program listens there." in daemon.log
    )


def test_a_port_that_another_blocker_serves(start):
    first = start()
    second = start(port=first.port, wait=False)
    assert second.ended() == 2
    assert "Another program listens there" in second.log
    assert addresses(first.ask("www.banned.example")) == ["0.0.0.0"]


def test_a_second_daemon_on_the_same_state_folder(start):
    first = start()
    second = start({"process": {"state_dir": str(first.folder / "state")}}, wait=False)
    assert second.ended() == 2
    assert "another blocker is running" in second.log
    assert first.tell("status")["ok"] is True
    assert addresses(first.ask("www.banned.example")) == ["0.0.0.0"]


def test_a_daemon_that_was_killed_starts_again(start, tmp_path):
    first = start()
    children = first.children().values()
    first.process.kill()
    first.process.wait()
    eventually(lambda: all(gone(pid) for pid in children))
    assert first.control.exists()
    second = start(folder=first.folder)
    assert addresses(second.ask("www.banned.example")) == ["0.0.0.0"]


def test_a_bad_configuration_says_all_that_is_wrong(start):
    daemon = start({"colour": "blue", "cache": {"size": -1}, "upstream": {"strategy": "slowest"}}, wait=False)
    assert daemon.ended() == 2
    lines = [line for line in daemon.log.splitlines() if line.startswith("blocker: error: ")]
    assert len(lines) == 3
    for word in ("colour", "cache.size", "upstream.strategy"):
        assert any(word in line and f"{daemon.path}:" in line for line in lines)


def test_a_bad_list_says_where(start):
    daemon = start(lists={"own.txt": "good.example\nnot a name\n", "own2.yaml": "app: [\n"}, wait=False)
    assert daemon.ended() == 2
    assert "own2.yaml:" in daemon.log
    assert "Traceback" not in daemon.log


def test_a_configuration_that_is_not_there(start, tmp_path):
    daemon = start(flags=("--config", str(tmp_path / "nothing.yaml")), wait=False)
    assert daemon.ended() == 2
    assert "nothing.yaml" in daemon.log


def test_a_worker_that_cannot_open_its_generation_stops_the_start(start, tmp_path):
    """The index is damaged between the preparer's work and the workers': no process in a loop, but a failed unit."""
    wrap = tmp_path / "wrap.py"
    wrap.write_text(
        "import sys\n"
        "from blocker.serve import generation\n"
        "prepare = generation.prepare\n"
        "def damaging(*arguments, **more):\n"
        "    said = prepare(*arguments, **more)\n"
        "    open(said['path'], 'w').write('{')\n"
        "    return said\n"
        "generation.prepare = damaging\n"
        "sys.argv = ['blocker', *sys.argv[sys.argv.index('run'):]]\n"
        "from blocker.cli import main\n"
        "main()\n"
    )
    daemon = start(wrap=(sys.executable, str(wrap)), wait=False)
    assert daemon.ended() == 1
    assert "a worker died before it served; not starting" in daemon.log
    assert "not a generation" in daemon.log
    assert not daemon.control.exists()


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "files"])
def test_lost_files_are_made_again(start, whole):
    """A cleaner of old files empties the state folder; the next worker that is replaced needs them."""
    daemon = start(lists={"banned.txt": "banned.example\n"})
    state = daemon.folder / "state"
    children = daemon.children()
    if whole:
        shutil.rmtree(state)
    else:
        for file in [*state.glob("*.json"), *state.glob("*.index")]:
            file.unlink()
    os.kill(children["worker 0"], signal.SIGKILL)
    eventually(lambda: daemon.count("blocker_worker_restarts_total", worker="0") >= 1)
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    for _ in range(8):  # sooner or later every worker
        assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]


def test_a_stopped_worker_is_seen_and_replaced(start):
    daemon = start()
    victim = daemon.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    eventually(lambda: daemon.get("/readyz")[0] == 503, within=8)
    assert "no sign of life" in daemon.get("/readyz")[1]
    eventually(lambda: daemon.count("blocker_worker_restarts_total") == 1, within=20)
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    assert victim not in daemon.workers()
    assert "worker is silent" in daemon.log
    with daemon.client() as client:
        assert addresses(client.ask("www.replaced.example")) == [V4]


def test_worker_after_worker_killed_is_not_a_busy_loop(start):
    daemon = start({"process": {"workers": 1}})
    for deaths in range(1, 7):
        (victim,) = daemon.workers()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda deaths=deaths: daemon.count("blocker_worker_restarts_total") == deaths)
        eventually(lambda: daemon.count("blocker_worker_up") == 1)
    assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]
