"""`blocker evidence`: was anything of the attempt log removed, changed or put in? Works without a running blocker."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from blocker.cli.options import json_option
from blocker.errors import DamagedError, EvidenceError
from blocker.evidence import chain, checkpoint, files
from blocker.evidence.chain import Entry
from blocker.evidence.checkpoint import Checkpoint
from blocker.evidence.verify import NodeChain, Trouble, Verifier

if TYPE_CHECKING:
    from blocker.bundle.key import PublicKey

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_SHOWN: Final = 50  # findings on a page
_WHOLE, _WRONG, _UNKNOWN = 0, 1, 2  # exit statuses

key_option = click.option(
    "--key", "keys", multiple=True, type=_FILE, metavar="PUB", help="Public key of checkpoints. Repeatable."
)


@click.group("evidence")
def commands() -> None:
    """Check the attempt log of a node whose `evidence.chain` is on."""


@commands.command()
@click.argument("paths", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@key_option
@click.option(
    "--checkpoints", "kept", multiple=True, type=_FILE, metavar="FILE",
    help="Checkpoints that were sent away: shows what was cut off at the end. Repeatable.",
)  # fmt: skip
@click.option(
    "--from", "since", type=click.IntRange(0), default=0, metavar="N",
    help="Lines before number N need not be there: you know where they went.",
)  # fmt: skip
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    paths: tuple[Path, ...],
    keys: tuple[Path, ...],
    kept: tuple[Path, ...],
    since: int,
    as_json: bool,
) -> None:
    """Say whether the records in FILE... are whole, and where they are not.

    Name the log and its rotated files in any order, also packed by gzip; each node in them has its own chain. All
    that the node has not removed itself must be there (log.rotation.keep), or else from line N on.

    Exit status 0: whole. 1: something is wrong, and where. 2: it cannot be said: a file cannot be read, holds no
    chain, or keys were given and no checkpoint is signed by one of them.
    """
    trusted = read_keys(keys)
    copies = [copy for path in kept for copy in files.copies(path)]
    verifier = Verifier(trouble(trusted), copies, since)
    began = time.monotonic()
    ordered = files.in_order(paths)
    for path in ordered:
        with _progress(path, quiet=as_json) as lines:
            try:
                verifier.feed(str(path), lines)
            except DamagedError as error:
                verifier.damaged(str(error))
    verifier.finish()
    nodes = list(verifier.nodes.values())
    unsure = unsure_of(nodes, signed=bool(trusted))
    status = _WRONG if verifier.count else _UNKNOWN if unsure else _WHOLE
    if as_json:
        found = _report(verifier, nodes, unsure, signed=bool(trusted))
        click.echo(json.dumps({"whole": status == _WHOLE, **found, "seconds": round(time.monotonic() - began, 3)}))
    else:
        for line in _page(verifier, nodes, unsure, signed=bool(trusted)):
            click.echo(line)
    ctx.exit(status)


@commands.command()
@click.argument("path", type=_FILE, metavar="FILE")
@click.option("--seq", type=click.IntRange(0), required=True, metavar="N", help="The record's number.")
@click.option("--node", metavar="NAME", help="Of which node; not said: the only one in FILE.")
@key_option
@json_option
@click.pass_context
def show(ctx: click.Context, path: Path, seq: int, node: str | None, keys: tuple[Path, ...], as_json: bool) -> None:
    """Show record N in FILE, and the first checkpoint that covers it.

    Exit status 0: a checkpoint covers it, and the chain between the two holds (with --key: its signature too).
    1: the chain between them or the checkpoint does not hold. 2: no such record, or no checkpoint behind it.
    """
    found, covering = _search(path, seq, node)
    trusted = read_keys(keys)
    checked, why = covering
    if checked is not None and not why:
        why = trouble(trusted)(checked)
    if as_json:
        click.echo(json.dumps({
            "record": _parsed(found),
            "checkpoint": None if checked is None else _said(checked),
            "signature_checked": bool(trusted),
            "problem": why,
        }))  # fmt: skip
    else:
        click.echo(json.dumps(_parsed(found), indent=2, ensure_ascii=False))
        for line in _covering_text(checked, why, signed=bool(trusted)):
            click.echo(line)
    ctx.exit(_UNKNOWN if checked is None else _WRONG if why else _WHOLE)


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # it carries a number and a hash, and may be anything before them
        return line.decode(errors="replace")


def _said(found: Checkpoint) -> dict[str, object]:
    return {
        "seq": found.number, "time": found.time, "statement": found.statement, "signature": found.signature,
    }  # fmt: skip


def _search(path: Path, seq: int, node: str | None) -> tuple[bytes, tuple[Checkpoint | None, str]]:
    """Return the record, and the first checkpoint behind it with what is wrong between the two."""
    record, last = b"", b""
    why = ""
    next_number = seq
    before: dict[bytes, Entry] = {}  # of each node, its last line
    for line in files.lines(path):
        entry = chain.parse(line.rstrip(b"\n"))
        if entry is None or (node is not None and entry.node.decode() != node):
            continue
        if not record:
            if entry.number != seq:
                before[entry.node] = entry
                continue
            record, node = line, entry.node.decode()
            why = _of_itself(entry, line, before.get(entry.node))
        elif entry.number != next_number or not chain.follows(entry, last):
            why = why or f"the chain is broken at line {entry.number}"
        last, next_number = entry.hash, entry.number + 1
        if entry.number > seq and checkpoint.is_one(line):
            found = checkpoint.parse(line.rstrip(b"\n"))
            return record, (found, why if found is not None else "the checkpoint cannot be read")
    if not record:
        raise EvidenceError(f"{path}: has no record {seq}{f' of {node}' if node else ''}. Look into the rotated files.")
    return record, (None, "")


def _of_itself(entry: Entry, line: bytes, before: Entry | None) -> str:
    """Say why the record in `line` cannot be believed, whatever follows it; nothing: it can."""
    said = checkpoint.parse_heading(line)
    if entry.number == 0:
        known = chain.GENESIS.hash
    elif before is not None and before.number == entry.number - 1:
        known = before.hash
    elif said is not None:
        known = said.before
    else:
        return "the line before it is not in this file, and without it nobody can tell whether the record was altered"
    return "" if chain.follows(entry, known) else "the record itself was altered, or the line before it"


def _covering_text(found: Checkpoint | None, why: str, *, signed: bool) -> Iterator[str]:
    if found is None:
        yield "no checkpoint behind it in this file: only the chain itself speaks for it"
        return
    yield f"covered by the checkpoint of {found.time}, up to line {found.number}"
    if why:
        yield f"which does not hold: {why}"
    else:
        yield (
            "signed, and the chain up to it holds"
            if signed
            else "the chain up to it holds; give --key to check who signed"
        )


def read_keys(paths: Sequence[Path]) -> "list[PublicKey]":
    """Return the public keys in files. Raises BundleError."""
    if not paths:
        return []
    from blocker.evidence import keys  # cryptography takes its time to load

    return [keys.read(path) for path in paths]


def trouble(trusted: "Sequence[PublicKey]") -> Trouble:
    """Return what says why a checkpoint is not to be believed; without keys every signature is."""
    if not trusted:
        return _trusting
    from blocker.evidence import keys

    return partial(keys.trouble, trusted=trusted)


def _trusting(_checkpoint: Checkpoint) -> str:
    return ""


def _progress(path: Path, *, quiet: bool) -> Any:  # noqa: ANN401 (a context manager of lines)
    lines = files.lines(path)
    if quiet or not sys.stderr.isatty():
        return nullcontext(lines)
    return click.progressbar(lines, label=path.name, file=sys.stderr, update_min_steps=20_000)


def unsure_of(nodes: Sequence[NodeChain], *, signed: bool) -> str:
    """Say why chains cannot be said to be whole though nothing is wrong in them; nothing: they can."""
    if not nodes:
        return "no line of a chain was found: name the log of a node whose evidence.chain is on"
    for node in nodes:
        if not node.sure:
            return f"line {node.first} of {node.name} cannot be checked without the one before it: name that file too"
    bare = [node.name for node in nodes if not node.checkpoints]
    return f"no checkpoint of {', '.join(bare)} is signed by a key that was given" if signed and bare else ""


def _page(verifier: Verifier, nodes: Sequence[NodeChain], unsure: str, *, signed: bool) -> Iterator[str]:
    for finding in verifier.findings[:_SHOWN]:
        where = f"{finding.file}:{finding.line}" if finding.line else finding.file or "checkpoints"
        seq = "" if finding.seq is None else f" {finding.node} seq {finding.seq}:"
        yield f"{where}:{seq} {finding.kind}: {finding.text}"
    if verifier.count > _SHOWN:
        yield f"... and {verifier.count - _SHOWN} more; --json has up to 10,000"
    for node in nodes:
        older = f" (the node has removed those before {node.kept_from})" if node.first and node.kept_from else ""
        lines = f"lines {node.first} to {node.next - 1}{older}, {node.records} records"
        yield f"{node.name}: {lines}: {cover(node, signed=signed)}"
    if verifier.count:
        yield f"NOT WHOLE: {verifier.count} finding{'s' if verifier.count > 1 else ''}"
    elif unsure:
        yield f"cannot say: {unsure}"
    else:
        yield "whole" if signed else "whole as a chain; who signed its checkpoints was not checked (--key)"


def cover(node: NodeChain, *, signed: bool) -> str:
    """Say how far checkpoints cover a chain."""
    if not node.checkpoints:
        return "no checkpoint"
    what = f"{node.checkpoints} {'signed ' if signed else ''}checkpoint{'s' if node.checkpoints > 1 else ''}"
    left = _uncovered(node)
    if node.final:
        return f"{what}, the last of {node.covered_at}; closed in order"
    if not left:
        return (
            f"{what}, the last of {node.covered_at}; it ends there, in mid-service: later lines may have been cut off"
        )
    return (
        f"{what}, the last of {node.covered_at} up to line {node.covered};"
        f" of the {left} lines after it a cut at the end would not show"
    )


def _uncovered(node: NodeChain) -> int:
    """Return how many lines stand behind the last checkpoint's own."""
    return max(0, node.next - node.covered - 2) if node.checkpoints else node.lines


def _report(verifier: Verifier, nodes: Sequence[NodeChain], unsure: str, *, signed: bool) -> dict[str, Any]:
    return {
        "unsure": unsure,
        "signatures_checked": signed,
        "count": verifier.count,
        "findings": [asdict(finding) for finding in verifier.findings],
        "nodes": [
            {
                "node": node.name, "first": node.first, "kept_from": node.kept_from, "last": node.next - 1,
                "lines": node.lines, "records": node.records, "lost": node.lost, "checkpoints": node.checkpoints,
                "covered": node.covered, "covered_at": node.covered_at, "uncovered": _uncovered(node),
                "closed": node.final,
            }
            for node in nodes
        ],
    }  # fmt: skip
