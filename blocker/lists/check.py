"""What is wrong with lists that can be read: problems refuse them, warnings are for whoever reviews them.

Pure. Each message reads `file:line: what and what to do`.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from blocker import names
from blocker.lists import ranges, row, suffixes
from blocker.lists.formats import MAX_PROBLEMS, NamesFile, key_of
from blocker.lists.gather import Sources
from blocker.lists.must_resolve import MustResolve
from blocker.lists.pattern import FLOATING, Pattern
from blocker.lists.source import AppList, Category, Entry
from blocker.names import Name
from blocker.policy import Scope

_ADVICE: Final = "List narrower names, or let lists.overrides say who decided otherwise, and why"


def problems(sources: Sources) -> list[str]:
    """Return why `sources` must not be compiled; an empty list if they may be."""
    found: list[str] = []
    floating = 0
    for each in sources.lists:
        for entry in each.entries:
            if why := _refused(entry, sources.must, public=each.category is not Category.PROTOCOL):
                advice = "List narrower ranges" if entry.scope is Scope.CIDR else _ADVICE
                found.append(f"{each.file}:{entry.line}: {entry.value!r} {why}. {advice}.")
            if isinstance(entry.target, Pattern) and entry.target.floating:
                floating += 1
                if floating == FLOATING + 1:
                    found.append(
                        f"{each.file}:{entry.line}: {entry.value!r} is pattern number {floating} whose right end is not"
                        f" spelt out; each is tried on every unknown name, so {FLOATING} are the most over all lists."
                        " Spell out the end of some."
                    )
    for file in sources.files:
        found += [] if file.feed else _refused_names(file, sources.must)  # a feed's were left out when it was read
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
    found += [
        f"lists.overrides: {idle!r} is no public suffix, and no name that must resolve lies at or below it. Remove it."
        for idle in sources.must.idle
    ]
    return found


def _refused(entry: Entry, must: MustResolve, *, public: bool) -> str:
    """Return why the entry must not be in force; empty if it may."""
    if entry.allow:
        return ""
    if isinstance(entry.target, bytes):
        itself, below = entry.scope is not Scope.BELOW, entry.scope is not Scope.EXACT
        return must.refuses(key_of(entry.target), itself=itself, below=below, public=public)
    if isinstance(entry.target, Pattern):
        return must.refuses_pattern(entry.target)
    return "is too wide a range to be one app's" if entry.exclusive and ranges.too_wide(entry.target) else ""


def _suffix_blocked(entry: Entry) -> Name | None:
    """Return the name that the entry blocks with everything below it; None if it does something else."""
    if isinstance(entry.target, bytes) and entry.scope is Scope.SUFFIX and not entry.allow:
        return entry.target
    return None


def _refused_names(file: NamesFile, must: MustResolve) -> list[str]:
    found: list[str] = []
    suspects = must.suspects(file.keys)
    for at, key in enumerate(file.keys) if suspects else ():
        if key in suspects and not (flags := file.rows[at]) & row.ALLOW:
            why = must.refuses(key, below=not flags & row.EXACT)
            found += [f"{_where(file, at)}: {names.to_text(key[::-1])!r} {why}. {_ADVICE}."] if why else []
            if len(found) == MAX_PROBLEMS:
                break
    return found


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
    standing: dict[tuple[bytes, bool, str], str] = {}
    for each in sources.lists:
        for entry in each.entries if each.app == app else ():
            if isinstance(entry.target, bytes):
                place = (entry.target[::-1], entry.allow, entry.scope)
                if place in seen:
                    yield f"{each.file}:{entry.line}: {entry.value!r} is already in {seen[place]}. Remove one."
                elif sources.on(app, entry.switch):
                    seen[place] = f"{each.file}:{entry.line}"
                    if not entry.switch or entry.allow:  # what a switch takes away covers nothing for good
                        standing[place] = seen[place]
    allowed = {key for key, allow, _ in seen if allow}
    for each in sources.lists:
        for entry in each.entries if each.app == app else ():
            if not isinstance(entry.target, bytes) or entry.allow or entry.switch or entry.answer:
                continue  # it says more than the entry above it, or another thing
            if above := _above(entry.target, standing, allowed):
                yield f"{each.file}:{entry.line}: {entry.value!r} is covered by {above}. Remove it, or say why not."
    for file in sources.files:
        if file.app == app and file.feed:
            yield from shared_zones(file)
        elif file.app == app and (twice := len(file.keys) - len(set(file.keys))):
            said = "1 name is" if twice == 1 else f"{twice} names are"
            yield f"{file.file}:1: {said} listed more than once; that does no harm."


def shared_zones(file: NamesFile) -> Iterator[str]:
    """Yield a warning if a feed blocks a whole service that lets strangers in: a hoster, not one of its guests."""
    private = suffixes.load().private.intersection(file.keys)
    narrow = row.EXACT | row.ALLOW
    found = [at for at, key in enumerate(file.keys) if key in private and not file.rows[at] & narrow] if private else []
    if found:
        told = ", ".join(
            f"{names.to_text(file.keys[at][::-1])} (line {row.unpack(file.rows[at]).number})" for at in found[:5]
        )
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        yield f"feed {file.feed}: strangers have names below {told}{more}. Make sure that all of them are meant."


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
