"""What evidence costs: attempts chained and written a second, and lines of a chain verified a second, on one core."""

import json
import os
import subprocess
import sys
from typing import Any, Final

from tests.bench.errors import BenchError
from tests.bench.figures import Row, Series
from tests.bench.lab import Lab, say

_RECORDS: Final = 400_000
_TIMES: Final = 5
_WRITE: Final = 20_000  # records/s: the goal
_VERIFY: Final = 100_000  # lines/s: the goal

# Runs with the blocker as built: what the drainer does with journals, and what `blocker evidence verify` does.
_MEASURE: Final = """import json, sys, time
from functools import partial
from pathlib import Path
from blocker import events, names
from blocker.bundle import secret
from blocker.config import Evidence, Log, Rotation
from blocker.events import ATTEMPT, Basis
from blocker.evidence import files, keys
from blocker.evidence.verify import Verifier
from blocker.policy import Action, Rule, Scope, Trigger, Verdict
from blocker.sinks.querylog import QueryLog
from blocker.sinks.region import Region

folder, count = Path(sys.argv[1]), int(sys.argv[2])
made = secret.generate()
secret.write(folder / "key", secret.dumped(made, None))
rule = Rule("tiktok", "tiktok.com", Scope.SUFFIX, False, "tiktok.yaml:68", "ca-tbs-2023-02-27")
verdict = Verdict(Action.SINKHOLE, Trigger.QNAME, rule)
basis = Basis("0123456789abcdef", "fedcba9876543210")
tails = [
    events.tail("default", names.from_text(f"n{at}.tiktok.com"), 1, "udp", 0, "blocked", verdict, ["0.0.0.0"], basis)
    for at in range(1000)
]
path = folder / "attempts.jsonl"
evidence = Evidence(chain=True, key_file=folder / "key")
log = QueryLog(Log(attempts=path, rotation=Rotation(size=10240)), evidence, "bench", folder / "checkpoints")
region, spent, done = Region(), 0.0, 0
while done < count:
    for at in range(4096):
        region.journal(ATTEMPT, time.time(), bytes((10, 0, at >> 8, at & 255)), tails[at % 1000])
    began = time.monotonic()
    records = region.read(4096)
    log.tick(time.time())
    assert log.write(records, time.time(), region.identity) == len(records)
    region.release()
    spent += time.monotonic() - began
    done += len(records)
began = time.monotonic()
log.close(time.time())
spent += time.monotonic() - began
began = time.monotonic()
verifier = Verifier(partial(keys.trouble, trusted=[made.public]))
verifier.feed(str(path), files.lines(path))
verifier.finish()
nodes = verifier.nodes.values()
took = time.monotonic() - began
lines = sum(node.lines for node in nodes)
print(json.dumps({
    "write": done / spent, "verify": lines / took, "records": done, "read": sum(node.records for node in nodes),
    "findings": verifier.count, "size": path.stat().st_size,
}))
"""


def bench(lab: Lab) -> list[Row]:
    """Return rows for writing and verifying."""
    say(f"evidence: {_RECORDS:,} attempts in a chain with signed checkpoints")
    runs = [_run(lab) for _ in range(2 if lab.quick else _TIMES)]
    write = Series.of(run["write"] for run in runs)
    verify = Series.of(run["verify"] for run in runs)
    return [
        Row("evidence", f"records chained and written, {runs[0]['size'] / runs[0]['records']:.0f} octets each",
            write.text("/s", 0), "", f"≥ {_WRITE:,} /s", write.median >= _WRITE),
        Row("evidence", "lines verified, signatures checked", verify.text("/s", 0), "", f"≥ {_VERIFY:,} /s",
            verify.median >= _VERIFY),
    ]  # fmt: skip


def _run(lab: Lab) -> dict[str, Any]:
    lab.watch.wait()
    argv = ["taskset", "-c", lab.server_cpus, sys.executable, "-c", _MEASURE]
    argv += [str(lab.new_folder("evidence")), str(_RECORDS)]
    env = {**os.environ, **lab.built.env}
    done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise BenchError(f"no evidence could be written: {done.stderr[-800:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    if said["findings"] or said["read"] != said["records"]:
        raise BenchError(f"what was written is not whole: {said}")
    say(f"  {said['write']:.0f} written/s, {said['verify']:.0f} verified/s")
    return said
