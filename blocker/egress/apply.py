"""Puts the rules into the kernel, in one transaction by nft(8), and says what is there.

Decides nothing about packets. A table of ours from before is turned into the new one: rules and static sets are
replaced in the same transaction, so that no packet finds a gap; sets with a timeout stay as they are.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from blocker.egress import sets
from blocker.egress.netlink import Netlink
from blocker.egress.ruleset import Ruleset
from blocker.errors import KernelError

_WHERE: Final = f"inet {sets.TABLE}"
_ABOUT: Final = "about_"  # a chain that nothing jumps to: its name says which rules these are
_LEARNED: Final = ("learned_", sets.GATE, sets.CUT, sets.MOVED, sets.NOTED)  # sets whose elements are nobody's text
_WAIT: Final = 60.0  # seconds a transaction may take
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"  # where nft is, and nothing of anybody's environment
_LONGEST: Final = 600  # characters of what nft says


@dataclass(frozen=True, slots=True)
class Table:
    """What the kernel holds of ours."""

    digest: str  # of the rules, as Ruleset.digest; nothing: another program made the table
    chains: frozenset[str]
    sets: frozenset[str]
    maps: frozenset[str]
    counters: Mapping[str, int]  # packets


def apply(wanted: Ruleset) -> None:
    """Replace whatever is in our table by `wanted`, all at once. Raises KernelError, and then nothing has changed."""
    former = table()
    try:
        nft(_lines(_turning(former, wanted)))
    except KernelError:
        if former is None:
            raise
        nft(whole(wanted))  # a set or a hook may be of another shape, if another version of ours made it


def whole(wanted: Ruleset) -> str:
    """Return the commands that put `wanted` in place of whatever is in our table; what was learned is forgotten."""
    return _lines((f"add table {_WHERE}", f"delete table {_WHERE}", *_turning(None, wanted)))


def _lines(commands: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in commands)


def _turning(former: Table | None, wanted: Ruleset) -> Iterator[str]:
    """Yield the commands that turn `former` into `wanted`."""
    yield f"add table {_WHERE}"
    if former is not None:
        yield f"flush table {_WHERE}"  # of its rules
        yield from (f"flush map {_WHERE} {name}" for name in sorted(former.maps))
        yield from (f"delete map {_WHERE} {name}" for name in sorted(former.maps - wanted.maps.keys()))
        # A base chain stays: its hook would be gone for a moment.
        yield from (f"delete chain {_WHERE} {name}" for name in sorted(former.chains - wanted.chains.keys()))
        # A set that the rules look at is emptied and filled, not replaced: a packet that is still under the former
        # rules looks at the set with the eyes of the new ones (nft_genmask_cur), and must find in it what is banned.
        staying = wanted.static.keys() | wanted.kept.keys()
        yield from (f"flush set {_WHERE} {name}" for name in sorted(former.sets & wanted.static.keys()))
        yield from (f"delete set {_WHERE} {name}" for name in sorted(former.sets - staying))
        yield from (f"delete counter {_WHERE} {name}" for name in sorted(former.counters.keys() - set(wanted.counters)))
    yield from wanted.commands()
    yield f"add chain {_WHERE} {_ABOUT}{wanted.digest}"


def table() -> Table | None:
    """Return what the kernel holds of ours; None: no table. Raises KernelError."""
    found: dict[str, set[str]] = {"chain": set(), "set": set(), "map": set()}
    # Kind by kind and terse: a list of the table reads every element of every set, and takes forty times as long.
    for listed in ("chains", "sets", "maps"):
        for each in json.loads(nft("", "-j", "-t", "list", listed, "inet"))["nftables"]:
            for kind, said in each.items():
                if said.get("table") == sets.TABLE:
                    found[kind].add(said["name"])
    with Netlink() as kernel:
        counters = kernel.counters()
    if not counters and not any(found.values()):
        return None
    about = [name.removeprefix(_ABOUT) for name in found["chain"] if name.startswith(_ABOUT)]
    return Table(
        about[0] if about else "", frozenset(found["chain"]), frozenset(found["set"]), frozenset(found["map"]), counters
    )


def flowtables() -> list[str]:
    """Return the flowtables of all tables: what is in one passes by our rules once it stands. Raises KernelError."""
    listed = json.loads(nft("", "-j", "list", "flowtables"))["nftables"]
    found = (each["flowtable"] for each in listed if "flowtable" in each)
    return [f"{each['family']} {each['table']} {each['name']}" for each in found]


def remove() -> bool:
    """Remove our table with everything in it; return whether there was one. Raises KernelError."""
    if table() is None:
        return False
    nft(f"delete table {_WHERE}\n")
    return True


def listing(prefix: Sequence[str] = ()) -> list[str]:
    """Return what is in the table as nft lists it, by name, without counts and without what was learned.

    Each element of a set has a line. `prefix` is a command that runs nft elsewhere. Raises KernelError.
    """
    blocks: list[list[str]] = []
    elements = ""  # of a set whose end is not read yet
    for line in nft("", "-s", "list", "table", *_WHERE.split(), prefix=prefix).splitlines():
        text = line.strip()
        if elements or text.startswith("elements = {"):
            elements += text
            if text.endswith("}") and not blocks[-1][0].split()[1].startswith(_LEARNED):
                inside = elements.removeprefix("elements = {").removesuffix("}")
                blocks[-1] += [f"\t\t{each.strip()}" for each in inside.split(",")]
            elements = "" if text.endswith("}") else elements
        elif line.startswith("\t") and not line.startswith("\t\t") and line.endswith("{"):
            blocks.append([line])
        elif blocks and text and line != "}":
            blocks[-1].append(line)
    ours = (block for block in blocks if f"chain {_ABOUT}" not in block[0])
    return [line for block in sorted(ours) for line in block]


def nft(text: str, *arguments: str, prefix: Sequence[str] = ()) -> str:
    """Return what nft prints, given the commands `text`, or these arguments. Raises KernelError with what it says."""
    command = [*prefix, "nft", *(arguments or ("-f", "-"))]
    try:
        done = subprocess.run(  # noqa: S603 our own words, and no shell
            command, input=text, capture_output=True, text=True, timeout=_WAIT, check=False, env={"PATH": _PATH}
        )
    except FileNotFoundError as error:
        raise KernelError("nft: no such program. Install nftables.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelError(f"nft: {error}") from error
    if done.returncode:
        why = " ".join(done.stderr.split())[:_LONGEST] or f"exit status {done.returncode}"
        cure = " It needs CAP_NET_ADMIN: run it as root." if "not permitted" in why else ""
        raise KernelError(f"nft: {why}.{cure} The former rules stay in force.")
    return done.stdout
