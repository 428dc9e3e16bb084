"""Chains for the tests of evidence: written by the product's own writer, checked against hashlib by hand."""

import json
from hashlib import sha256

from blocker.bundle import secret
from blocker.config import Evidence, Log, Rotation
from blocker.events import ATTEMPT
from blocker.sinks.querylog import QueryLog
from blocker.sinks.region import Region

NOW = 1795464721.0  # 2026-11-23T20:12:01Z
V4 = b"\xc0\x00\x02\x01"


def new_key(path):
    """Write a key pair as `path`.key and `path`.pub; return the public key's path."""
    made = secret.generate()
    secret.write(path.with_suffix(".key"), secret.dumped(made, None))
    path.with_suffix(".pub").write_text(f"untrusted comment: test\n{made.public}\n")
    return path.with_suffix(".pub")


def journal(region, numbers):
    """Let a worker record attempts with these numbers."""
    for number in numbers:
        region.journal(ATTEMPT, NOW, V4, b'"n":%d' % number)


def open_log(path, *, node="dns1", rotation=None, **evidence):
    """Return a log whose attempts are a chain in the file at `path`; "stdout" works too."""
    copies = path.with_name(path.name + ".checkpoints") if path != "stdout" else evidence.pop("copies")
    log = Log(attempts=path, rotation=rotation or Rotation())
    return QueryLog(log, Evidence(chain=True, **evidence), node, copies)


def carry(log, region, now=NOW, limit=10_000):
    """Carry a journal into the log once, as the drainer does; return how many records were settled."""
    log.tick(now)
    records = region.read(limit)
    settled = log.write(records, now, region.identity)
    if settled:
        region.release(records[settled - 1].end)
    log.tick(now)
    return settled


def written(path, numbers=range(10), *, region=None, **more):
    """Write a chain of attempts and close it in order; return its lines."""
    region = region or Region()
    log = open_log(path, **more)
    journal(region, numbers)
    carry(log, region)
    log.close(NOW)
    return path.read_bytes().splitlines(keepends=True)


def numbers(path):
    """Return which attempts a file holds, in order."""
    return [said["n"] for said in map(json.loads, path.read_bytes().splitlines()) if "n" in said]


def sealed(lines, before="0" * 64):
    """Tell whether the hashes of `lines` are right: computed by the recipe in docs/evidence.md, not by our code."""
    for line in lines:
        covered, _, own = line.rstrip(b"\n").rpartition(b',"hash":"')
        if own != (before := sha256(before.encode() + covered).hexdigest()).encode() + b'"}':
            return False
    return True
