"""How many new connections one core looks at, in a file of packets, by the lists that ship; and each reader alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.bench import traffic
from tests.bench.errors import BenchError
from tests.bench.figures import Row, Series
from tests.bench.lab import Lab, say
from tests.e2e.daemon import eventually
from tests.lab import test_cut
from tests.lab.lab import opened

_CONNECTIONS: Final = 100_000
_TIMES: Final = 5
_GOAL: Final = 20_000  # connections/s on one core
_CUT: Final = 50  # ms

# Runs with the blocker as built, on one core: what `blocker egress watch -r` does, without what it prints.
_MEASURE: Final = """import json, sys, time
from pathlib import Path
from blocker.clients import Clients
from blocker.config import Config
from blocker.egress import recorded
from blocker.egress.findings import Setting
from blocker.egress.observe import Observer
from blocker.lists.opened import opened

config = Config.model_validate({})
index = opened(config.lists, Path(sys.argv[2]), Path(sys.argv[2]))
observer = Observer(Setting(index, frozenset()), Clients(config, index, time.time()).policy_for)
recorded.prepare()
found = packets = 0
began = time.process_time()
with open(sys.argv[1], "rb") as file:
    for now, packet in recorded.read(file):
        packets += 1
        if packet is not None:
            found += len(observer.take(packet, now))
spent = time.process_time() - began
print(json.dumps({"seconds": spent, "packets": packets, "found": found, "kinds": observer.flows.kinds}))
"""

_READERS: Final = """import json, sys, time
from blocker.egress import packets
from blocker.egress.hello import first, quic
from blocker.egress.hello.seen import Hello
from tests.bench import traffic
from tests.egress.hello import messages

hello, long = messages.client_hello(), messages.records(messages.handshake((51, bytes(1220))), 16384)
datagrams = messages.quic_client()

def quic_hello():
    initials = quic.Initials()
    for each in datagrams:
        found = initials.feed(each)
    assert isinstance(found, Hello)

calls = {
    "a frame taken apart": lambda: packets.read(frame),
    "a ClientHello": lambda: first.read(hello),
    "a ClientHello with a post-quantum key": lambda: first.read(long),
    "the Initials of a QUIC client": quic_hello,
    "a request of HTTP": lambda: first.read(messages.MMTLS_REQUEST),
    "a record of mmtls": lambda: first.read(messages.MMTLS_CLIENT),
}
frame = next(traffic._connection(7, "tls", [hello]))
said = {}
for name, call in calls.items():
    best = 1e9
    for _ in range(7):
        began = time.process_time()
        for _ in range(2000):
            call()
        best = min(best, (time.process_time() - began) / 2000)
    said[name] = best * 1e6
print(json.dumps(said))
"""


def bench(lab: Lab) -> list[Row]:
    """Return a row for the whole way, and one for each reader."""
    count = _CONNECTIONS // 5 if lab.quick else _CONNECTIONS
    say(f"watch: {count} new connections from a file of packets")
    folder = lab.new_folder("watch")
    banned = traffic.write(folder / "packets", count)
    runs = [_run(lab, _MEASURE, str(folder / "packets"), str(folder)) for _ in range(2 if lab.quick else _TIMES)]
    for run in runs:
        seen = sum(run["kinds"].values())
        if seen != count or run["found"] != banned:
            raise BenchError(f"{seen} of {count} connections were seen, {run['found']} of {banned} found out")
    rate = Series.of(count / run["seconds"] for run in runs)
    say(f"  {rate.text('connections/s', 0)}, {runs[0]['packets']} packets")
    readers = _run(lab, _READERS)
    cuts = _cuts(folder / "laboratory", 10 if lab.quick else 50)
    cuts_ms = [each * 1000 for each in cuts]
    worst = max(cuts_ms)
    return [
        Row("watch", f"new connections on one core, {banned * 100 // count} % of them banned", rate.text("/s", 0),
            "all seen, all found out", f"≥ {_GOAL} /s", rate.median >= _GOAL),
        Row("watch", "from a ClientHello to the end of its connection",
            f"{median(cuts_ms):.1f} ms (worst of {len(cuts)}: {worst:.1f})", "", f"≤ {_CUT} ms", worst <= _CUT),
        *(Row("watch", name, f"{cost:.2f} us") for name, cost in readers.items()),
    ]  # fmt: skip


def _cuts(folder: Path, times: int) -> list[float]:
    """Return the seconds that connections with a banned server name lasted, in the laboratory."""
    folder.mkdir()
    with opened(folder) as laboratory:
        laboratory.start(test_cut.LAB)
        eventually(lambda: laboratory.metric("blocker_egress_up", process="watch") == 1)
        found = [test_cut.lasted(laboratory, test_cut.ROWS[0], 4, 2.0) for _ in range(times)]
    if None in found:
        raise BenchError("a connection that was to be cut went on")
    return [each for each in found if each is not None]


def _run(lab: Lab, script: str, *arguments: str) -> dict[str, Any]:
    path = f"{lab.built.folder}:{Path.cwd()}"
    env = {**os.environ, **lab.built.env, "PYTHONPATH": path}
    argv = ["taskset", "-c", lab.server_cpus, sys.executable, "-c", script, *arguments]
    done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise BenchError(f"packets could not be read: {done.stderr[-800:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said
