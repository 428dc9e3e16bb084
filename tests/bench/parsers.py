"""A million hostile beginnings of connections: no reader raises on any octets."""

import subprocess
import sys
import time
from typing import Final

from tests.bench.errors import BenchError
from tests.bench.figures import Row
from tests.bench.lab import Lab, say
from tests.bench.ours import ROOT

_CASES: Final = 1_000_000
_QUICK: Final = 20_000
_EACH: Final = 50_000  # cases of one run: what hypothesis remembers of them must not grow for ever
_SHARE: Final = 3  # of four runs, so many are of streams; the others of frames inside sound QUIC packets

# From the working copy: what is proved is the source, and hypothesis needs the tests'.
_RUN: Final = """import sys
from hypothesis import HealthCheck, Phase, given, seed, settings
from tests.egress.hello import hostile

which, count, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
many = settings(
    max_examples=count, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
)
ran = 0

@seed(number)
@many
@given(hostile.seeds)
def run(number):
    global ran
    ran += 1
    if which == "streams":
        hostile.check_stream(hostile.of_seed(number))
    else:
        hostile.check_frames(hostile.frames_of_seed(number))

run()
print(ran)
"""


def bench(lab: Lab) -> list[Row]:
    """Return one row."""
    wanted = _QUICK if lab.quick else _CASES
    say(f"parsers: {wanted} hostile cases")
    began = time.monotonic()
    cases = runs = 0
    while cases < wanted:
        which = "frames" if runs % 4 == _SHARE else "streams"
        cases += _run(which, min(_EACH, wanted - cases), runs)
        runs += 1
        say(f"  {cases} cases, {time.monotonic() - began:.0f} s")
    text = f"{cases} cases, none raised"
    return [Row("parsers", "ClientHello, QUIC Initial, HTTP, mmtls, DNS: hostile octets", text, "",
                f"≥ {_CASES} cases", cases >= _CASES or None)]  # fmt: skip


def _run(which: str, count: int, number: int) -> int:
    argv = [sys.executable, "-c", _RUN, which, str(count), str(number)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    if done.returncode:
        raise BenchError(f"a reader raised: {done.stderr[-2000:]}")
    ran = int(done.stdout)
    if not ran:
        raise BenchError("no case was run")
    return ran
