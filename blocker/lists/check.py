"""What is wrong with lists that can be read: problems refuse them, warnings are for whoever reviews them.

Pure. Each message reads `file:line: what and what to do`.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from blocker import names
from blocker.lists import row, suffixes
from blocker.lists.formats import MAX_PROBLEMS, NamesFile
from blocker.lists.gather import Sources
from blocker.lists.pattern import FLOATING, Pattern
from blocker.lists.source import AppList, Category, Entry
from blocker.names import Name
from blocker.policy import Scope

_WIDE: Final = "is a public suffix or lies above one, so it would block everybody below it. List narrower names"


def problems(sources: Sources) -> list[str]:
    """Return why `sources` must not be compiled; an empty list if they may be."""
    found: list[str] = []
    floating = 0
    for each in sources.lists:
        for entry in each.entries:
            if each.category is not Category.PROTOCOL and _too_wide(entry):
                found.append(f"{each.file}:{entry.line}: {entry.value!r} {_WIDE}.")
            if isinstance(entry.target, Pattern) and entry.target.floating:
                floating += 1
                if floating == FLOATING + 1:
                    found.append(
                        f"{each.file}:{entry.line}: {entry.value!r} is pattern number {floating} whose right end is not"
                        f" spelt out; each is tried on every unknown name, so {FLOATING} are the most over all lists."
                        " Spell out the end of some."
                    )
    for file in sources.files:
        found += _too_wide_names(file)
    return found


def warnings(sources: Sources, today: date) -> list[str]:
    """Return what should be looked at, though it may be compiled."""
    found: list[str] = []
    for each in sources.lists:
        if each.review_by is not None and each.review_by < today:
            found.append(
                f"{each.file}:{each.review_line}: was to be reviewed by {each.review_by}."
                f" Review the list and set 'reviewed' and 'review_by'."
            )
        found += _unused(each)
    for app in sources.apps:
        found += _covered(app, sources)
    return found


def _too_wide(entry: Entry) -> bool:
    name = _suffix_blocked(entry)
    return name is not None and suffixes.load().is_refused(name)


def _suffix_blocked(entry: Entry) -> Name | None:
    """Return the name that the entry blocks with everything below it; None if it does something else."""
    if isinstance(entry.target, bytes) and entry.scope is Scope.SUFFIX and not entry.allow:
        return entry.target
    return None


def _too_wide_names(file: NamesFile) -> list[str]:
    if file.scope is not Scope.SUFFIX or not (wide := suffixes.load().refused(file.keys)):
        return []
    at = (at for at, key in enumerate(file.keys) if key in wide and not file.rows[at] & row.ALLOW)
    found = [f"{_where(file, each)}: {names.to_text(file.keys[each][::-1])!r} {_WIDE}." for each in at]
    return found[:MAX_PROBLEMS]


def _unused(each: AppList) -> Iterator[str]:
    """Yield declarations that nothing refers to, and names at services that let strangers in."""
    sources = {name for entry in each.entries for name in entry.sources}
    switches = {entry.switch for entry in each.entries}
    for name in each.sources:
        if name not in sources:
            yield f"{each.file}:1: source {name!r} is declared, but no entry names it. Remove it."
    for name, switch in each.switches.items():
        if name not in switches:
            yield f"{each.file}:{switch.line}: switch {name!r} is declared, but no entry names it. Remove it."
    if each.category is Category.PROTOCOL:
        return
    for entry in each.entries:
        blocked = _suffix_blocked(entry)
        if blocked is not None and suffixes.load().is_private(blocked):
            yield (
                f"{each.file}:{entry.line}: strangers have names of their own below {entry.value!r}."
                " Make sure that all of them are meant."
            )


def _covered(app: str, sources: Sources) -> Iterator[str]:
    """Yield entries that say what another entry of the same app says already.

    Plain files are told in one line each: a feed repeats itself by the thousand, and nobody tidies it by hand.
    """
    seen: dict[tuple[bytes, bool, str], str] = {}  # suffix blocks and allows that are in force, by key
    for each in sources.lists:
        for entry in each.entries if each.app == app else ():
            if isinstance(entry.target, bytes):
                place = (entry.target[::-1], entry.allow, entry.scope)
                if place in seen:
                    yield f"{each.file}:{entry.line}: {entry.value!r} is already in {seen[place]}. Remove one."
                elif sources.on(app, entry.switch):
                    seen[place] = f"{each.file}:{entry.line}"
    allowed = {key for key, allow, _ in seen if allow}
    for each in sources.lists:
        for entry in each.entries if each.app == app else ():
            if not isinstance(entry.target, bytes) or entry.allow or entry.switch or entry.answer:
                continue  # it says more than the entry above it, or another thing
            if above := _above(entry.target, seen, allowed):
                yield f"{each.file}:{entry.line}: {entry.value!r} is covered by {above}. Remove it, or say why not."
    for file in sources.files:
        if file.app == app and (twice := len(file.keys) - len(set(file.keys))):
            yield f"{file.file}:1: {twice} names are listed more than once; that does no harm."


def _above(name: Name, seen: dict[tuple[bytes, bool, str], str], allowed: set[bytes]) -> str:
    """Return the `file:line` of a suffix block above `name`, if no exception lies between them."""
    uppers: Sequence[bytes] = list(names.parents(name))[1:-1]
    for upper in uppers:
        if upper[::-1] in allowed:
            return ""
        if where := seen.get((upper[::-1], False, Scope.SUFFIX)):
            return where
    return ""


def _where(file: NamesFile, at: int) -> str:
    return f"{file.file}:{row.unpack(file.rows[at]).number}"
