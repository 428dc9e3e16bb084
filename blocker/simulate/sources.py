"""The logs of one run as one table for the engine: ours are read by DuckDB, all others are spooled first."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blocker.errors import LogError
from blocker.simulate.engine import Engine, Spool, spooled, text
from blocker.simulate.logs import detect, ours
from blocker.simulate.logs.detect import Format, Packing
from blocker.simulate.logs.record import Tally

COLUMNS: Final = tuple((name, "VARCHAR") for name in ("time", "client", "grp", "via", "qname"))
_SUFFIXES: Final = {Packing.NONE: ".jsonl", Packing.GZIP: ".jsonl.gz", Packing.ZSTD: ".jsonl.zst", Packing.XZ: ".jsonl"}


@dataclass(frozen=True, slots=True)
class Source:
    """What was asked, as SQL: columns time, client, grp, via, qname; NULL is nothing said, and in qname a bad line."""

    select: str
    ours: tuple[Path, ...]
    tallies: tuple[Tally, ...]  # of the others


def source(
    engine: Engine,
    logs: Sequence[Path],
    stated: Format | None,
    *,
    since: str = "",
    until: str = "",
    plain: bool = False,
) -> Source:
    """Return the queries of `logs` from the time `since` until before `until`; empty: without end.

    `plain` allows files of names alone, of which neither client nor time is known.
    Raises LogError when a log cannot be read or recognised.
    """
    own: list[tuple[Path, str]] = []
    spools: list[str] = []
    tallies: list[Tally] = []
    for path in logs:
        if detect.packing(path) is not Packing.ZSTD and detect.is_empty(path):
            tallies.append(Tally(str(path), "empty"))
            continue
        found = stated or detect.detect(path)
        if found is Format.NAMES and not plain:
            raise LogError(f"{path}: names without clients and times are no log. Use `blocker coverage` for them.")
        if found is Format.BLOCKER:
            own.append((path, _own(engine, path)))
        else:
            tallies.append(Tally(str(path), found))
            spools.append(_spooled(engine, path, found, tallies[-1]))
    if not own and not spools:
        raise LogError(f"{', '.join(map(str, logs))}: empty: nobody has asked anything.")
    parts = [ours.select([link for _, link in own])] if own else []
    parts += [spooled(COLUMNS, spools)] if spools else []
    # By name: the columns of the parts need not stand in one order.
    joined = " UNION ALL BY NAME ".join(f"({part})" for part in parts)
    limits = [f"time >= {text(since)}"] * bool(since) + [f"time < {text(until)}"] * bool(until)
    where = f" WHERE qname IS NULL OR ({' AND '.join(limits)})" if limits else ""  # bad lines have no time to go by
    return Source(f"SELECT * FROM ({joined}){where}", tuple(path for path, _ in own), tuple(tallies))  # noqa: S608


def find_bad(source: Source, bad: int) -> Tally:
    """Return the tally of our own logs, in which `bad` lines were bad, with the first of them."""
    tally = Tally(", ".join(map(str, source.ours)), Format.BLOCKER, bad=bad)
    for path in source.ours if bad else ():
        if detect.packing(path) is Packing.ZSTD:
            continue
        of_file = Tally(str(path), examples=tally.examples)
        with detect.opened(path) as stream:
            ours.find_bad(stream, of_file)
    return tally


def _own(engine: Engine, path: Path) -> str:
    """Return a log of ours as an SQL text that DuckDB can open."""
    packing = detect.packing(path)
    if packing is not Packing.XZ:
        return engine.linked(path, _SUFFIXES[packing])
    target = engine.new_file(".jsonl")
    with detect.opened(path) as stream, target.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    return text(str(target))


def _spooled(engine: Engine, path: Path, found: Format, tally: Tally) -> str:
    target = engine.new_file(".tsv")
    with Spool(target) as spool:
        for batch in detect.read(path, found, tally):
            for query in batch:
                spool.write(query.time, query.client, "", query.via, query.qname)
            engine.progress(f"Reading {path.name}: {tally.queries:,} queries", 0.0)
    return text(str(target))
