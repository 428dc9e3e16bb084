"""One app's list as a person keeps it: YAML, one decision a line (the format is in domain_lists/README.md).

Decides what a list may say. A mistake refuses the whole list, and all mistakes are told at once. Must not
know how lists are compiled, nor which switches an operator has set.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Final

from blocker import names
from blocker.errors import ListError, NameFormatError
from blocker.lists import form, marked
from blocker.lists.form import Form
from blocker.lists.marked import Marked
from blocker.lists.pattern import Pattern
from blocker.names import Name
from blocker.policy import Action, Scope, Trigger

APP: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")  # the same as config.AppId: it labels metrics
REASON: Final = "This service is blocked by the policy of this network."  # for lists that give none
CATEGORY_REASON: Final = "Names of this category are blocked by the policy of this network."
MAX_REASON: Final = 120  # characters: fits an extended DNS error beside the reference

_ANSWERS: Final = (Action.NXDOMAIN, Action.NODATA, Action.LOOPBACK)
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_BRAND: Final = re.compile(r"[a-z0-9][a-z0-9-]{2,30}[a-z0-9]")  # shorter words stand in everybody's names
_MAX_BRANDS: Final = 32
_TOP: Final = (
    "app", "title", "vendor", "reason", "category", "quiet", "shadow", "legal", "owner", "reviewed", "review_by",
    "sources", "switches", "entries", "brand",
)  # fmt: skip
_OURS: Final = ("title", "vendor", "reason", "legal", "owner", "reviewed", "review_by", "sources")
_ENTRY: Final = (
    "value", "kind", "role", "sources", "confidence", "action", "answer", "switch", "exclusive", "shadow", "note",
)  # fmt: skip


class Category(StrEnum):
    """Why a list exists."""

    BAN = "ban"  # a decision bans the app
    BYPASS = "bypass"  # it leads around the resolver
    CONTENT = "content"  # names of one kind, such as malware: nobody's app, and no decision bans it
    PROTOCOL = "protocol"  # standards ask for these answers: nobody's app, and public suffixes are allowed


@dataclass(frozen=True, slots=True)
class Legal:
    """A decision that the list rests on."""

    id: str
    jurisdiction: str
    date: date | None
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Switch:
    """An optional part of a list, which a person turns on or off."""

    name: str
    default: bool
    about: str
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `target` is what `value` means, by its `scope`."""

    line: int
    value: str
    scope: Scope
    target: Name | Pattern | IPv4Network | IPv6Network
    allow: bool = False
    answer: Action | None = None
    switch: str = ""
    exclusive: bool = False
    role: str = ""
    sources: tuple[str, ...] = ()
    confidence: int | None = None
    note: str = ""
    shadow: bool = False  # tried out: noted, never enforced
    trigger: Trigger | None = None  # as Rule.trigger: nothing that a list of ours can say


@dataclass(frozen=True, slots=True)
class AppList:
    """One file: everything that belongs to one app."""

    file: str  # as it appears in file:line
    app: str
    title: str
    entries: tuple[Entry, ...]
    vendor: str = ""
    reason: str = REASON
    category: Category = Category.BAN
    quiet: bool = False
    shadow: bool = False  # its entries are, but those that say otherwise
    legal: tuple[Legal, ...] = ()
    owner: str = ""
    reviewed: date | None = None
    review_by: date | None = None
    review_line: int = 1
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # name -> what it is
    switches: Mapping[str, Switch] = field(default_factory=lambda: MappingProxyType({}))
    brand: tuple[
        str, ...
    ] = ()  # words of the app's own names, by which relatives are looked for; nothing is blocked by them
    built_in: bool = False


def read(path: Path, *, built_in: bool = False) -> AppList:
    """Return the list in the file at `path`; a `built_in` one must say who decided what, when and on whose word.

    Raises ListError holding every mistake as `file:line: what and what to do`.
    """
    return interpret(marked.read(path, path.name if built_in else str(path)), built_in=built_in)


def interpret(document: Marked, *, built_in: bool = False) -> AppList:
    """Return the list that `document` describes. Raises ListError."""
    problems: list[str] = []
    page = form.top(document, problems)
    page.expect(_TOP, ("app", "entries", *(_OURS if built_in else ())))
    app = page.text("app")
    if app and not APP.fullmatch(app):
        page.refuse(f"app: {app!r} must be 1 to 32 small letters, digits and '-'", "app")
    category = Category(page.choice("category", tuple(Category), Category.BAN))
    legal = tuple(_legal(each) for each in page.forms("legal"))
    if built_in and "legal" in page and not legal and category is Category.BAN:
        page.refuse("'legal' is empty; a ban names the decision that it rests on", "legal")
    sources = {name: _source(name, each) for name, each in page.named_forms("sources").items()}
    switches = {name: _switch(name, each) for name, each in page.named_forms("switches").items()}
    shadow = page.flag("shadow")
    reader = _EntryReader(sources, switches, built_in=built_in, shadow=shadow)
    found = AppList(
        file=document.name,
        app=app,
        title=page.text("title", limit=80) or app,
        entries=tuple(entry for each in page.forms("entries") if (entry := reader.entry(each))),
        vendor=page.text("vendor"),
        reason=page.text("reason", limit=MAX_REASON) or REASON,
        category=category,
        quiet=page.flag("quiet"),
        shadow=shadow,
        legal=legal,
        owner=page.text("owner"),
        reviewed=page.day("reviewed"),
        review_by=page.day("review_by"),
        review_line=document.line(("review_by",)),
        sources=MappingProxyType(sources),
        switches=MappingProxyType(switches),
        brand=_brand(page),
        built_in=built_in,
    )
    if "entries" in page and not found.entries and not problems:
        page.refuse("'entries' is empty; add an entry or remove the file", "entries")
    if problems:
        raise ListError(problems)
    return found


def _legal(page: Form) -> Legal:
    page.expect(("id", "jurisdiction", "date", "text", "source"), ("id", "jurisdiction", "date", "text", "source"))
    if not _WORD.fullmatch(page.text("id")) and "id" in page:
        page.refuse("'id' must be small letters, digits, '.', '_' and '-': it is cited in answers and logs", "id")
    return Legal(page.text("id"), page.text("jurisdiction"), page.day("date"), page.text("text"), page.text("source"))


def _source(name: str, page: Form) -> str:
    page.expect(("what", "commit", "date", "licence"), ("what",))
    if not _WORD.fullmatch(name):
        page.refuse(f"{name!r} is not a source's name: use small letters, digits, '.', '_' and '-'")
    return page.text("what")


def _switch(name: str, page: Form) -> Switch:
    page.expect(("default", "about"), ("default", "about"))
    if not APP.fullmatch(name):
        page.refuse(f"{name!r} is not a switch's name: use small letters, digits and '-'")
    return Switch(name, page.flag("default"), page.text("about"), page.line)


def _brand(page: Form) -> tuple[str, ...]:
    found = page.texts("brand")
    for word in found:
        if not _BRAND.fullmatch(word):
            page.refuse(f"brand {word!r} must be 4 to 32 small letters, digits and inner hyphens", "brand")
    if len(found) > _MAX_BRANDS:
        page.refuse(f"'brand' has {len(found)} words; at most {_MAX_BRANDS} are allowed", "brand")
    return found


class _EntryReader:
    """Reads entries of one list, whose sources and switches are declared above them."""

    def __init__(
        self, sources: Mapping[str, str], switches: Mapping[str, Switch], *, built_in: bool, shadow: bool
    ) -> None:
        self._sources = sources
        self._switches = switches
        self._shadow = shadow  # of the whole list
        self._required = ("value", "kind") + (("role", "sources", "confidence") if built_in else ())

    def entry(self, page: Form) -> Entry | None:
        """Return the entry in `page`; None, with the reason noted, if it says nothing to go by."""
        page.expect(_ENTRY, self._required)
        value = page.text("value", limit=255)
        scope = Scope(page.choice("kind", tuple(Scope), Scope.SUFFIX))
        target = _target(page, value, scope) if value else None
        answer = page.choice("answer", _ANSWERS, "") if "answer" in page else ""
        allow = page.choice("action", ("block", "allow"), "block") == "allow"
        if answer and (allow or scope is Scope.CIDR):
            page.refuse("'answer' is for blocked names only; remove it", "answer")
        if "exclusive" in page and scope is not Scope.CIDR:
            page.refuse("'exclusive' is for kind: cidr only; remove it", "exclusive")
        switch = page.text("switch")
        if switch and switch not in self._switches:
            page.refuse(f"switch {switch!r} is not declared above{form.meant(switch, self._switches)}", "switch")
        sources = page.texts("sources")
        if "sources" in page and not sources:
            page.refuse("'sources' is empty; name at least one, or nobody can defend the entry", "sources")
        for name in sources:
            if name not in self._sources:
                page.refuse(f"source {name!r} is not declared above{form.meant(name, self._sources)}", "sources")
        if target is None:
            return None
        return Entry(
            page.line, value, scope, target, allow, Action(answer) if answer else None, switch, page.flag("exclusive"),
            page.text("role"), sources, page.number("confidence", 1, 3), page.text("note"),
            page.flag("shadow", default=self._shadow),
        )  # fmt: skip


def _target(page: Form, value: str, scope: Scope) -> Name | Pattern | IPv4Network | IPv6Network | None:
    try:
        match scope:
            case Scope.CIDR:
                return ip_network(value)
            case Scope.PATTERN:
                return Pattern.parse(value)
            case _:
                return names.hostname(value)
    except NameFormatError as error:
        page.refuse(f"{error}. Fix the spelling or remove the line", "value")
    except ValueError as error:
        page.refuse(f"{value!r} is not an address range: {error}. Write 192.0.2.0/24 or 2001:db8::/32", "value")
    return None
