"""A blocker as operators run it: `blocker run` in a process of its own, with a folder of its own."""

import atexit
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.client import Client, Stream, addresses

ROOT = Path(__file__).parents[2]
BLOCKER = (sys.executable, "-P", "-c", "from blocker.cli import main; main()")
PATIENCE = 15.0  # seconds: other work may share the machine
LIST = """\
app: banned
title: The banned app
vendor: Somebody
reason: "It is banned."
category: ban
legal:
  - {id: decision-1, jurisdiction: Somewhere, date: 2026-01-02, text: "Decision 1", source: gazette}
entries:
  - {value: banned.example, kind: suffix}
"""


def eventually(found, within=PATIENCE):
    """Return what `found` returns as soon as it is true; other processes take their time."""
    deadline = time.monotonic() + within
    while not (result := found()):
        assert time.monotonic() < deadline, f"it did not happen within {within:g} s"
        time.sleep(0.01)
    return result


def records(path):
    """Return what the lines of a log say; a last one that is being written is not there yet."""
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


_GIVEN = set()
_PRODUCT = []


class _Product:
    """The product as people install it, compiled; made once, in BLOCKER_PRODUCT if that is said."""

    def __init__(self):
        said = os.environ.get("BLOCKER_PRODUCT")
        self.folder = Path(said) if said else Path(tempfile.mkdtemp(prefix="blocker-product-"))
        self._making = None
        self._said = ""
        if not said:
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        if not (self.folder / "blocker").exists():
            how = ("--quiet", "--no-deps", "--no-build-isolation", "--no-compile", "--target", str(self.folder))
            self._making = subprocess.Popen(
                [sys.executable, "-m", "pip", "install", *how, str(ROOT)], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            atexit.register(self._making.kill)

    def wait(self):
        if self._making is not None:
            self._said, _ = self._making.communicate()
            self._making = None
            self.folder.chmod(0o755)  # accounts with fewer privileges must be able to read it
        assert list((self.folder / "blocker").glob("line*.so")), f"the core was not compiled:\n{self._said}"


def begin_product():
    """Begin to make the product, so that it is there when it is wanted: compiling it takes a minute."""
    if not _PRODUCT:
        _PRODUCT.append(_Product())


def product():
    """Return the folder of the product.

    The other tests run the sources, which can be patched and give better tracebacks. These find what only a
    compiled module does, such as insisting on the types that it declares.
    """
    begin_product()
    _PRODUCT[0].wait()
    return _PRODUCT[0].folder


def free_port(*hosts):
    """Return a port that is free for UDP and TCP on all `hosts`; below those the kernel gives away by itself."""
    for _ in range(100):
        port = random.randrange(20000, 32000)
        try:
            with contextlib.ExitStack() as stack:
                for host in hosts:
                    family = socket.AF_INET6 if ":" in host else socket.AF_INET
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        sock = stack.enter_context(socket.socket(family, kind))
                        sock.bind((host, port))
        except OSError:
            continue
        if port not in _GIVEN:  # two that are free now need not be two
            _GIVEN.add(port)
            return port
    raise OSError("no free port")


def end(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def environment(folder, **more):
    """Return the environment of a blocker: nothing of the home folder's, nothing of systemd's."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "HOME", "LD_LIBRARY_PATH")}
    return kept | {"PYTHONPATH": str(product()), "XDG_CACHE_HOME": str(folder / "cache")} | more


def merged(base, over):
    """Return `base` with the sections of `over` put over it."""
    found = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both else value
    return found


class Daemon:
    """One running blocker, everything that can be seen of it, and what an operator does to it."""

    def __init__(
        self, folder, upstreams, config=None, *, hosts=("127.0.0.1",), port=None, lists=None, flags=(), wrap=(),
        variables=None, wait=True, **popen,
    ):  # fmt: skip
        """Start it with the small list above (or the files `lists`) and `config` over these tests' defaults."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.hosts = hosts
        self.port = port or free_port(*hosts)
        self.metrics_port = free_port("127.0.0.1")
        self.lists = folder / "lists"
        self.lists.mkdir(exist_ok=True)
        for name, text in (lists or {"banned.yaml": LIST}).items():
            (self.lists / name).write_text(text)
        self.config = {
            "listen": [end(host, self.port) for host in hosts],
            "upstream": {"servers": [str(each) for each in upstreams]},
            "metrics": {"listen": f"127.0.0.1:{self.metrics_port}"},
            "lists": {"built_in": False, "directories": [str(self.lists)], "watch": False},
            "log": {"attempts": str(folder / "attempts.jsonl")},
            "selftest": {"interval": 0},  # else it asks and counts too
            "process": {"workers": 2, "state_dir": str(folder / "state")},
        }
        self.path = folder / "blocker.yaml"
        self.configure(config or {})
        self.control = folder / "state" / "control.sock"
        self.environment = environment(folder, **(variables or {}))
        command = [*wrap, *BLOCKER, "run", *(flags or ("--config", str(self.path)))]
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self.environment, **popen
            )
        if wait:
            self.wait_ready()

    def configure(self, over):
        """Write the configuration file anew, with `over` put over what it said."""
        self.config = merged(self.config, over)
        self.path.write_text(yaml.safe_dump(self.config))

    # What can be seen.

    @property
    def address(self):
        return (self.hosts[0], self.port)

    @property
    def log(self):
        return (self.folder / "stderr").read_text()

    def wait_ready(self):
        """Wait until /readyz says so, and metrics tell of a generation."""

        def ready():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            if self.get("/readyz")[0] != 200:
                return False
            status, text = self.get("/metrics")
            return status != 200 or "\nblocker_reload_generation " in text

        try:
            eventually(ready)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from error

    def get(self, path):
        """Return status and body of what HTTP says; status 0 when nobody is there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=5) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, urllib.error.URLError):
            return 0, ""

    def count(self, name, **labels):
        """Return the sum of a metric's samples that carry `labels`."""
        status, text = self.get("/metrics")
        assert status == 200, (status, text[:2000], self.log[-3000:])
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def attempts(self):
        """Return the lines of the attempt log, its rotated files first."""
        files = [*sorted(self.folder.glob("attempts.jsonl.*")), self.folder / "attempts.jsonl"]
        found = []
        for file in files:
            with contextlib.suppress(FileNotFoundError):  # it is being rotated: who waits looks again
                found += records(file)
        return found

    def tell(self, command):
        """Return what the control socket replies."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(self.control))
            sock.sendall(json.dumps({"command": command}).encode() + b"\n")
            return json.loads(sock.makefile("rb").readline())

    def workers(self):
        """Return the pids of the workers."""
        return [worker["pid"] for worker in self.tell("status")["workers"]]

    def children(self):
        """Return the pids of all child processes by what they call themselves, `worker 0`."""
        found = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode()
                found[title.removeprefix("blocker: ")] = int(pid)
        return found

    # What clients and operators do.

    def client(self, source=None, host=None):
        return Client((host or self.hosts[0], self.port), source)

    def stream(self, source=None, host=None):
        return Stream((host or self.hosts[0], self.port), source)

    def ask(self, name, qtype="A", *, source=None, host=None, **how):
        """Ask over UDP from a new socket."""
        with self.client(source, host) as client:
            return client.ask(name, qtype, **how)

    def everywhere(self, name, expected):
        """Tell whether every worker answers `name` with the addresses `expected`: new sockets reach all of them."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.client()) for _ in range(12)]
            return all(addresses(client.ask(name)) == expected for client in clients)

    def run(self, *arguments):
        """Run a command of `blocker` and return how it ended."""
        return subprocess.run(
            [*BLOCKER, *arguments], env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def reload(self):
        """Run `blocker reload`."""
        return self.run("reload", "--config", str(self.path))

    def signal(self, number):
        os.kill(self.process.pid, number)

    def stop(self):
        """End it as systemd does, and return the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self):
        """Wait until it has ended by itself, and return the exit status."""
        return self.process.wait(PATIENCE)

    def close(self):
        """Make sure that nothing of it stays."""
        if self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()  # its children end when it is gone
                self.process.wait(PATIENCE)
