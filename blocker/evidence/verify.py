"""Finds what was removed, changed, put in another order, repeated, put in or cut off, and says where.

Pure: lines go in, findings come out, whatever the octets. It goes on behind each finding from what the line says
of itself, so that one altered line is one finding, or two where its neighbour no longer follows from it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from blocker.evidence import chain, checkpoint
from blocker.evidence.chain import GENESIS, Entry
from blocker.evidence.checkpoint import Checkpoint

MAX_LINE: Final = 65536  # octets: no record of ours is longer
MAX_FINDINGS: Final = 10_000  # kept; more are only counted
_START: Final = b'"event":"start"'
_CHANGED: Final = "altered; or the line before it was, and sealed anew"

Trouble = Callable[[Checkpoint], str]
"""Says why a checkpoint is not to be believed; nothing if it is."""


class Kind(StrEnum):
    """What is wrong."""

    UNCHAINED = "unchained"  # not a line of a chain: put in, damaged, or from before the chain
    TORN = "torn"  # the last line has no end
    CHANGED = "changed"  # it, or the line before it, is not what it was
    DAMAGED = "damaged"  # a packed file that cannot be unpacked to its end
    MISSING = "missing"
    ORDER = "order"  # stands behind a line that came later, or twice
    REPEATED = "repeated"  # two lines say that they are the same record of a journal
    ANEW = "anew"  # a new chain begins where the old one should have gone on
    CHECKPOINT = "checkpoint"  # its signature or what it says does not hold
    CUT = "cut"  # a checkpoint knows lines that are not there


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where; `line` 0: the file as a whole."""

    file: str
    line: int
    node: str
    seq: int | None
    kind: Kind
    text: str


@dataclass(slots=True)
class NodeChain:
    """What was seen of one node's chain."""

    name: str
    first: int  # number of its first line seen, ...
    begins: tuple[str, int]  # ... file and line where that stands, ...
    sure: bool  # ... and whether it can be checked without the line before it
    next: int  # number of the line to come
    hash: bytes  # of the last line
    lines: int = 0
    records: int = 0
    lost: int = 0  # records that never came to be written, as the node says itself
    checkpoints: int = 0  # that hold; signed by a key that was given, if keys were
    covered: int = -1  # number of the last line that such a checkpoint covers
    covered_at: str = ""  # its time
    final: bool = False  # it was closed in order, and nothing follows
    kept_from: int = 0  # number of the first line that the node has not removed itself, as it says
    file: str = ""
    line: int = 0
    positions: dict[bytes, int] = field(default_factory=dict)  # in each journal
    awaited: dict[int, Checkpoint] = field(default_factory=dict)  # copies of checkpoints, by the line they cover


class Verifier:
    """Takes lines in the order of the files, and remembers what is wrong."""

    def __init__(self, trouble: Trouble, copies: Iterable[Checkpoint] = (), since: int = 0) -> None:
        """Ask `trouble` why a checkpoint is not to be believed; `copies` are checkpoints that were kept elsewhere.

        Lines before number `since` need not be there.
        """
        self.findings: list[Finding] = []
        self.count = 0  # of findings, also of those that are not kept
        self.nodes: dict[bytes, NodeChain] = {}
        self._trouble = trouble
        self._since = since
        self._file = ""
        self._line = 0
        self._copies: dict[bytes, dict[int, Checkpoint]] = {}
        for copy in copies:
            self._take_copy(copy)

    def feed(self, file: str, lines: Iterable[bytes]) -> None:
        """Take the lines of one file, each with its line end."""
        self._file = file
        for number, line in enumerate(lines, 1):
            self._line = number
            if line[-1:] != b"\n" and len(line) >= MAX_LINE:
                self._find(Kind.UNCHAINED, None, None, f"longer than {MAX_LINE} octets, as no line of ours is")
                continue
            if line[-1:] != b"\n":
                self._find(Kind.TORN, None, None, "the line has no end: it was cut off, or is still being written")
                continue
            entry = chain.parse(line[:-1])
            if entry is None:
                self._find(Kind.UNCHAINED, None, None, "not a line of a chain: it was put in, or altered")
            else:
                self._take(entry, line)

    def damaged(self, why: str) -> None:
        """Take note that the file that was fed last ends too soon."""
        self._find(Kind.DAMAGED, None, None, f"what follows this line is lost: {why}")

    def finish(self) -> None:
        """Say what the files do not hold: what was before them, and what the copies of checkpoints know."""
        for chained in self.nodes.values():
            self._look_before(chained)
        self._line = 0
        for name, copies in self._copies.items():
            node = self.nodes.get(name)
            for number, copy in sorted(copies.items()):
                if node is None or number + 1 >= node.next:  # it stood behind the line that it covers
                    self._file = node.file if node else ""
                    ends = f"ends at {node.next - 1}" if node else "is not there"
                    self._find(
                        Kind.CUT, name, number,
                        f"cut off: the chain {ends}, and had line {number} and its checkpoint at {copy.time}",
                    )  # fmt: skip
                    break  # the later ones say the same

    def _take(self, entry: Entry, line: bytes) -> None:
        node = self.nodes.get(entry.node)
        if node is None:
            node = self._first(entry, line)
        elif entry.number == node.next:
            if not chain.follows(entry, node.hash):
                self._find(Kind.CHANGED, entry.node, entry.number, _CHANGED)
        elif entry.number == 0 and _START in line[:80]:
            self._find(Kind.ANEW, entry.node, 0, f"a new chain begins, and the old one ended at {node.next - 1}")
            at = self._file, self._line
            self._look_before(node)
            self._file, self._line = at
            node = self._first(entry, line)
        elif entry.number > node.next:
            last = entry.number - 1
            which = f"line {last} is" if last == node.next else f"lines {node.next} to {last} are"
            self._find(Kind.MISSING, entry.node, node.next, f"{which} missing before this one")
        else:
            self._find(Kind.ORDER, entry.node, entry.number, f"stands behind line {node.next - 1}: moved, or repeated")
            return
        self._accept(node, entry, line)

    def _first(self, entry: Entry, line: bytes) -> NodeChain:
        """Begin to look at a node's chain."""
        name = entry.node.decode()
        said = checkpoint.parse_heading(line)
        before = GENESIS.hash if entry.number == 0 else said.before if said is not None else None
        if before is not None and not chain.follows(entry, before):
            self._find(Kind.CHANGED, entry.node, entry.number, "altered")
        begins = self._file, self._line
        node = self.nodes[entry.node] = NodeChain(name, entry.number, begins, before is not None, entry.number, b"")
        node.awaited = self._copies.get(entry.node, {})
        return node

    def _look_before(self, node: NodeChain) -> None:
        """Say what is missing before the first line of a chain, beyond what the node itself has removed by age."""
        start = max(node.kept_from, self._since)
        if node.first <= start:
            return
        self._file, self._line = node.begins
        last = node.first - 1
        which = f"line {last} is" if last == start else f"lines {start} to {last} are"
        unsure = "" if node.sure else ", and without it nobody can tell whether this one was altered"
        self._find(Kind.MISSING, node.name.encode(), start, f"{which} missing before this one{unsure}")

    def _accept(self, node: NodeChain, entry: Entry, line: bytes) -> None:
        place = entry.place
        if place is not None:
            if place.position <= node.positions.get(place.journal, 0):
                self._find(Kind.REPEATED, entry.node, entry.number, "an earlier line says that it is this very record")
            node.positions[place.journal] = place.position
            node.records += 1
            node.final = False
        elif checkpoint.is_one(line):
            self._look_at(node, entry, line[:-1])
        else:
            node.final = False
            node.lost += checkpoint.lost(line)
            if (said := checkpoint.parse_heading(line)) is not None:
                node.kept_from = max(node.kept_from, said.kept_from)
        if node.awaited and (copy := node.awaited.get(entry.number)) is not None and copy.hash != entry.hash:
            self._find(
                Kind.CHECKPOINT, entry.node, entry.number, f"not the line that a checkpoint covered at {copy.time}"
            )
        node.next, node.hash = entry.number + 1, entry.hash
        node.lines += 1
        node.file, node.line = self._file, self._line

    def _look_at(self, node: NodeChain, entry: Entry, line: bytes) -> None:
        found = checkpoint.parse(line)
        if found is None:
            why = "it cannot be read"
        elif (found.node, found.number, found.hash) != (node.name, entry.number - 1, node.hash) and node.lines:
            why = f"it states line {found.number} of {found.node}, and stands elsewhere or behind other lines"
        else:
            why = self._trouble(found)
        if why:
            self._find(Kind.CHECKPOINT, entry.node, entry.number, f"a checkpoint that does not hold: {why}")
            return
        assert found is not None
        node.checkpoints += 1
        node.covered, node.covered_at, node.final = found.number, found.time, found.final

    def _take_copy(self, copy: Checkpoint) -> None:
        name = copy.node.encode()
        if why := self._trouble(copy):
            self._find(Kind.CHECKPOINT, name, copy.number, f"a copied checkpoint that does not hold: {why}")
        else:
            self._copies.setdefault(name, {})[copy.number] = copy

    def _find(self, kind: Kind, node: bytes | None, seq: int | None, text: str) -> None:
        self.count += 1
        if len(self.findings) < MAX_FINDINGS:
            name = node.decode(errors="replace") if node is not None else ""
            self.findings.append(Finding(self._file, self._line, name, seq, kind, text))
