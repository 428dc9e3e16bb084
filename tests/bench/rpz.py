"""Whether BIND and Unbound say of each name what we say: our policy, taken from us, and a zone of somebody's."""

import os
from pathlib import Path
from types import ModuleType
from typing import Final

from tests.bench.figures import Row
from tests.bench.lab import Lab, say

_NAMES: Final = 1000


def bench(lab: Lab) -> list[Row]:
    """Return a row for each server."""
    os.environ["BLOCKER_PRODUCT"] = str(lab.built.folder)  # as built here, instead of built once more
    from tests.rpz import estate, theirs

    folder = lab.new_folder("rpz")
    (folder / "expected").mkdir()
    expected = estate.expected(folder / "expected")
    say(f"rpz: {len(expected):,} names at, below, beside and between everything that is listed")
    upstream = estate.upstream()
    made = estate.Estate(folder / "estate", upstream)
    try:
        made.wait()
        asked = {"ours": made.daemon.address, **{who: each.address for who, each in made.resolvers.items()}}
        differing = {who: estate.differing(address, expected) for who, address in asked.items()}
    finally:
        made.close()
        upstream.close()
    triggers = ", ".join(sorted(set(expected.values())))
    rows = [Row("rpz", f"names asked for A and AAAA; verdicts {triggers}", f"{len(expected)}", "", f"≥ {_NAMES}",
                len(expected) >= _NAMES)]  # fmt: skip
    for who, found in differing.items():
        say(f"  {who}: {len(found)} of {len(expected)} differ {dict(list(found.items())[:3]) or ''}")
        rows.append(Row("rpz", f"{who}: another verdict than `blocker explain`", f"{len(found)}", "", "0", not found))
    return rows + _theirs(folder / "theirs", theirs)


def _theirs(folder: Path, theirs: ModuleType) -> list[Row]:
    """Return the rows of a zone with every trigger and action, its verdicts written by hand."""
    expected = theirs.table()
    say(f"rpz: a zone of somebody's with every trigger and action, {len(expected):,} questions")
    internet = theirs.internet()
    made = theirs.Estate(folder, internet)
    try:
        made.wait()
        differing = {who: theirs.differing(each.address, expected) for who, each in made.resolvers.items()}
    finally:
        made.close()
        internet.close()
    rows = [Row("rpz", "questions about a zone with every trigger and action", f"{len(expected)}", "", f"≥ {_NAMES}",
                len(expected) >= _NAMES)]  # fmt: skip
    for who, found in differing.items():
        known = theirs.corners() if who == "unbound" else {}
        unknown = {question: said for question, said in found.items() if known.get(question) != said}
        say(f"  {who}: {len(found)} of {len(expected)} differ, {len(unknown)} for no known reason")
        what = "another verdict than the zone's author means"
        what += f"; {len(known)} known (docs/rpz.md)" if known else ""
        rows.append(Row("rpz", f"{who}: {what}", f"{len(unknown)}", "", "0", not unknown))
    return rows
