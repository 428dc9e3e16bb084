"""Replays logs against two sides: distinct names first, then the counts of those that change, on DuckDB.

    logs -> distinct (name, via) and distinct clients     one pass, memory for distinct names only
         -> each decided for each pair of policies        the server's own decide and inspect
         -> counts, clients and times of what changed     a second pass, only if something changed

Nothing grows with the length of a log: what does not fit into the engine's memory is on its disk.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from blocker import names
from blocker.errors import LogError, NameFormatError
from blocker.lists.guard import Guard
from blocker.names import Name
from blocker.policy import Policy
from blocker.simulate import changes, sources
from blocker.simulate.changes import Change, Kind, Report, Total
from blocker.simulate.engine import Engine, Spool
from blocker.simulate.sides import Side, read_via
from blocker.simulate.sources import Source

_PRINTED: Final = re.compile(r"[!-~]{1,1004}")  # every name, client and group of a log; anything else is a bad line
_VIA: Final = re.compile(r"[ -~]{0,20000}")
_SAY_EVERY: Final = 50_000  # names between two words on progress
_MAX_VIOLATIONS: Final = 1000  # shown, and each in full
_CHANGED: Final = (
    ("qname", "VARCHAR"), ("via", "VARCHAR"), ("pair", "INTEGER"), ("kind", "VARCHAR"), ("app", "VARCHAR"),
    ("violates", "BOOLEAN"),
)  # fmt: skip
_DISTINCT: Final = """
    SELECT qname, coalesce(via, '') AS known, sum(n)::BIGINT FROM seen WHERE is_client = 0 GROUP BY qname, known
"""  # one log leaves empty what another does not have
_WHO: Final = (("client", "VARCHAR"), ("grp", "VARCHAR"), ("pair", "INTEGER"))


@dataclass(frozen=True, slots=True)
class Pair:
    """The policies of some clients, before and after."""

    old: Policy
    new: Policy

    @property
    def group(self) -> str:
        """Return the group for people."""
        if self.old.group == self.new.group:
            return self.new.group
        return f"{self.old.group} -> {self.new.group}"


def replay(engine: Engine, source: Source, old: Side, new: Side, guard: Guard, *, limit: int | None) -> Report:
    """Return what the queries of `source` would hear from `new` that they do not hear from `old`.

    `limit` changes are told one by one (None: all), and counted all. Raises LogError when no query could be read.
    """
    return _Replay(engine, source, old, new, guard).run(limit)


class _Replay:
    def __init__(self, engine: Engine, source: Source, old: Side, new: Side, guard: Guard) -> None:
        self._engine = engine
        self._source = source
        self._old = old
        self._new = new
        self._guard = guard
        self._pairs: list[Pair] = []
        self._bad = 0

    def run(self, limit: int | None) -> Report:
        self._read()
        clients = self._place_clients()
        distinct, queries = self._decide()
        found = [*self._source.tallies]
        if self._source.ours:
            found.append(sources.find_bad(self._source, self._bad))
            found[-1].queries = queries - sum(tally.queries for tally in self._source.tallies)
        if not queries:
            examples = [example for tally in found for example in tally.examples]
            raise LogError(
                "\n".join(["no query could be read from the logs. Check --format, --from and --to.", *examples])
            )
        changed = self._engine.row("SELECT count(*) FROM changed")[0]
        if changed:
            self._count()
        return Report(
            old_digest=self._old.index.digest,
            new_digest=self._new.index.digest,
            queries=queries,
            names=distinct,
            clients=clients,
            bad=sum(tally.bad for tally in found),
            logs=found,
            totals=list(self._totals()) if changed else [],
            violations=list(self._changes("violates", _MAX_VIOLATIONS)) if changed else [],
            changes=list(self._changes("NOT violates", limit)) if changed else [],
            more=max(0, self._engine.row("SELECT count(*) FROM told WHERE NOT violates")[0] - (limit or 0))
            if changed and limit is not None
            else 0,
        )

    def _read(self) -> None:
        """Read the logs once: every distinct name with its count, and every distinct client."""
        self._engine.run(
            f"""CREATE TEMP TABLE seen AS
                SELECT qname, via, client, grp, count(*) AS n, grouping(qname) AS is_client
                FROM ({self._source.select})
                GROUP BY GROUPING SETS ((qname, via), (client, grp))""",  # noqa: S608 made of our own texts
            "Reading the logs",
        )

    def _place_clients(self) -> int:
        """Give each client the pair of its policies, and return the number of clients."""
        numbers: dict[tuple[str, str, str, str], int] = {}
        target = self._engine.new_file(".tsv")
        with Spool(target) as spool:
            for client, group in self._engine.rows(
                "SELECT DISTINCT client, coalesce(grp, '') FROM seen WHERE is_client = 1"
            ):
                if client is None or not _PRINTED.fullmatch(client) or not (group == "" or _PRINTED.fullmatch(group)):
                    continue
                pair = Pair(self._old.policy_for(client, group), self._new.policy_for(client, group))
                both = (pair.old.group, pair.old.variant, pair.new.group, pair.new.variant)
                number = numbers.setdefault(both, len(self._pairs))
                if number == len(self._pairs):
                    self._pairs.append(pair)
                spool.write(client, group, number)
        self._engine.load("who", _WHO, target)
        return int(self._engine.row("SELECT count(DISTINCT client) FROM who")[0])

    def _decide(self) -> tuple[int, int]:
        """Decide every distinct name for every pair; return how many names and queries there were."""
        total = max(1, self._engine.row("SELECT count(*) FROM seen WHERE is_client = 0")[0])
        target = self._engine.new_file(".tsv")
        distinct = queries = 0
        with Spool(target) as spool:
            for at, (qname, via, n) in enumerate(self._engine.rows(_DISTINCT)):
                if not at % _SAY_EVERY:
                    self._engine.progress("Deciding names", at / total)
                name = _name(qname, via)
                if name is None:
                    self._bad += n
                    continue
                distinct += 1
                queries += n
                self._compare(spool, qname, name, via)
        self._engine.progress("Deciding names", 1.0)
        self._engine.load("changed", _CHANGED, target)
        return distinct, queries

    def _compare(self, spool: Spool, qname: str, name: Name, via: str) -> None:
        known = read_via(via)
        for number, pair in enumerate(self._pairs):
            after = self._new.verdict(pair.new, name, known)
            found = changes.difference(self._old.verdict(pair.old, name, known), after)
            if found is not None:
                violates = found.kind is Kind.BLOCKED and bool(self._guard(name))
                spool.write(qname, via, number, found.kind.name, found.app, violates)

    def _count(self) -> None:
        """Read the logs again for the names that change, by whom they were asked and when."""
        self._engine.run(
            f"""CREATE TEMP TABLE hits AS
                SELECT qname, coalesce(via, '') AS via, client, coalesce(grp, '') AS grp, n, first, last FROM (
                    SELECT qname, via, client, grp, count(*) AS n, min(time) AS first, max(time) AS last
                    FROM ({self._source.select}) SEMI JOIN changed USING (qname)
                    GROUP BY qname, via, client, grp
                )""",  # noqa: S608
            "Counting what changes",
        )
        self._engine.run(
            """CREATE TEMP TABLE told AS
               SELECT kind, app, pair, violates, qname, via, sum(n)::BIGINT AS queries,
                      count(DISTINCT client) AS clients,
                      coalesce(min(first), '') AS first, coalesce(max(last), '') AS last
               FROM hits JOIN who USING (client, grp) JOIN changed USING (qname, via, pair)
               GROUP BY kind, app, pair, violates, qname, via""",
            "Counting what changes",
        )

    def _totals(self) -> Iterator[Total]:
        found = self._engine.rows(
            """SELECT kind, app, pair, count(DISTINCT qname), sum(n)::BIGINT, count(DISTINCT client)
               FROM hits JOIN who USING (client, grp) JOIN changed USING (qname, via, pair)
               GROUP BY kind, app, pair"""
        )
        totals = [Total(Kind[kind], app, self._pairs[pair].group, *counts) for kind, app, pair, *counts in found]
        order = list(Kind)
        yield from sorted(totals, key=lambda each: (order.index(each.kind), -each.queries, each.app, each.group))

    def _changes(self, which: str, limit: int | None) -> Iterator[Change]:
        found = self._engine.rows(
            f"""SELECT kind, app, pair, qname, via, queries, clients, first, last FROM told WHERE {which}
                ORDER BY queries DESC, qname, via, pair {f"LIMIT {limit}" if limit is not None else ""}"""  # noqa: S608
        )
        for row in list(found):
            yield self._change(row)

    def _change(self, row: tuple[Any, ...]) -> Change:
        kind, app, number, qname, via, queries, clients, first, last = row
        name, known, pair = names.from_text(qname), read_via(via), self._pairs[number]
        return Change(
            kind=Kind[kind],
            qname=qname,
            via=via,
            app=app,
            group=pair.group,
            before=changes.worded(self._old.verdict(pair.old, name, known)),
            after=changes.worded(self._new.verdict(pair.new, name, known)),
            queries=queries,
            clients=clients,
            first=first,
            last=last,
            must_resolve=self._guard(name) if Kind[kind] is Kind.BLOCKED else "",
        )


def _name(qname: str | None, via: str) -> Name | None:
    """Return the name of a log's line; None if it is none, and the line a bad one."""
    if qname is None or not _PRINTED.fullmatch(qname) or not _VIA.fullmatch(via):
        return None
    try:
        return names.from_text(qname)
    except NameFormatError:
        return None
