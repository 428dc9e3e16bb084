"""Whether BIND and Unbound, which take the policy from us by zone transfer, say of each name what we say ourselves."""

import os
from typing import Final

from tests.bench.figures import Row
from tests.bench.lab import Lab, say

_NAMES: Final = 1000


def bench(lab: Lab) -> list[Row]:
    """Return a row for each server."""
    os.environ["BLOCKER_PRODUCT"] = str(lab.built.folder)  # as built here, instead of built once more
    from tests.rpz import estate

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
    return rows
