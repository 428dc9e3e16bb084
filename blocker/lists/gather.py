"""Finds the lists that a configuration names and reads them: built-in ones first, then each folder by file name.

A file of an operator's for an app that exists already ADDS its entries (and switches) to that app; title,
reason and decisions stay those of the first. Two built-in files for one app are a mistake.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Final

from blocker import __version__, names
from blocker.config import Lists
from blocker.errors import ListError, NameFormatError
from blocker.lists import artifact, feed, form, formats, marked, must_resolve, source
from blocker.lists.feed import FeedFile, Rejected
from blocker.lists.formats import NamesFile
from blocker.lists.must_resolve import MustResolve
from blocker.lists.source import AppList, Category, Switch
from blocker.names import Name

BUILT_IN: Final = Path(__file__).parents[1] / "domain_lists"
SHARED: Final = "shared.yaml"  # not an app: parents that many strangers share
_MEANT: Final = {".yml": ".yaml", **{suffix: suffix for suffix in (".yaml", *formats.SUFFIXES)}}  # in small letters


@dataclass(frozen=True, slots=True)
class App:
    """All that the files of one app say together; `first` speaks for it."""

    first: AppList | None  # None: only plain files
    name: str
    switches: Mapping[str, Switch]
    loaded: bool  # not named in lists.disable
    brand: tuple[str, ...] = ()
    category: str = ""  # why its lists exist: source.Category; empty if none says


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that goes into one index."""

    lists: tuple[AppList, ...]
    files: tuple[NamesFile, ...]
    apps: Mapping[str, App]
    shared: tuple[Name, ...]
    states: Mapping[str, bool]  # `app.switch` as set by the operator
    must: MustResolve
    rejected: Mapping[str, Rejected]  # by the feed's name: what could not be used of it

    @property
    def origins(self) -> set[str]:
        """What entries come from: the names of feeds, and of files without their folders (Rule.origin)."""
        files = {each.file.rpartition("/")[2] for each in self.lists}
        return files | {each.feed or each.file.rpartition("/")[2] for each in self.files}

    def on(self, app: str, switch: str) -> bool:
        """Tell whether entries with this switch (empty: none) are in force."""
        if not switch:
            return True
        return self.states.get(f"{app}.{switch}", self.apps[app].switches[switch].default)


def gather(lists: Lists, extra: Iterable[Path] = (), feeds: Iterable[FeedFile] = ()) -> Sources:
    """Read every list that `lists` names, the `extra` files or folders, and the copies of `feeds`.

    Raises ListError with the mistakes of all files; a feed's lines that are no use are `rejected` instead.
    """
    problems: list[str] = []
    found: list[AppList] = []
    plain: list[NamesFile] = []
    shared: list[Name] = []
    needed: list[Path] = []
    for path, built_in in _paths(lists, extra, problems):
        try:
            if path.name == must_resolve.FILE:
                needed.append(path)
            elif path.name == SHARED:
                shared += read_shared(path)
            elif path.suffix == ".yaml":
                found.append(source.read(path, built_in=built_in))
            else:
                plain.append(formats.read(path))
        except ListError as error:
            problems += error.problems
    must, rejected = _feeds(lists, needed, feeds, plain, problems)
    apps = _apps(found, plain, frozenset(lists.disable), problems)
    if problems:
        raise ListError(problems)
    return Sources(
        tuple(each for each in found if apps[each.app].loaded),
        tuple(each for each in plain if apps[each.app].loaded),
        MappingProxyType(apps),
        tuple(shared),
        MappingProxyType(dict(lists.switches)),
        must,
        MappingProxyType(rejected),
    )


def fingerprint(lists: Lists, feeds: Iterable[FeedFile] = ()) -> str:
    """Return a text that is the same exactly when the same index would be compiled. Raises ListError."""
    problems: list[str] = []
    feeds = tuple(feeds)
    digest = hashlib.blake2b(digest_size=16)
    for word in (__version__, str(artifact.VERSION), version("publicsuffixlist"), version("marisa-trie")):
        digest.update(f"{word}\n".encode())
    for word in (*(f"{switch}={on}" for switch, on in sorted(lists.switches.items())), *sorted(lists.disable)):
        digest.update(f"{word}\n".encode())
    for each in lists.overrides:
        digest.update(f"override {each.name}\n".encode())
    for file in feeds:
        digest.update(f"feed {file.name} {file.app} {file.category} {file.format} {file.path}\n".encode())
    for path in (*(path for path, _ in _paths(lists, (), problems)), *(file.path for file in feeds)):
        try:
            content = hashlib.blake2b(path.read_bytes(), digest_size=16)
        except OSError as error:
            raise ListError([f"{path}: cannot be read: {error.strerror}. Check its permissions."]) from error
        digest.update(f"{path}\n{content.hexdigest()}\n".encode())
    if problems:
        raise ListError(problems)
    return digest.hexdigest()


def files(lists: Lists) -> tuple[tuple[Path, bool], ...]:
    """Return each file that `lists` names, in the order of reading, and whether it ships with the product.

    Raises ListError.
    """
    problems: list[str] = []
    found = tuple(_paths(lists, (), problems))
    if problems:
        raise ListError(problems)
    return found


def watched(lists: Lists) -> tuple[Path, ...]:
    """Return the folders whose files make up the lists, whether or not `lists.watch` asks to watch them."""
    return ((BUILT_IN,) if lists.built_in else ()) + lists.directories


def required(lists: Lists) -> MustResolve:
    """Return what must resolve under `lists`, without reading the lists themselves. Raises ListError."""
    problems: list[str] = []
    found = [path for path, _ in _paths(lists, (), problems) if path.name == must_resolve.FILE]
    if problems:
        raise ListError(problems)
    return must_resolve.read(found, lists.overrides)


def readable(lists: Lists, feeds: Iterable[FeedFile]) -> tuple[tuple[FeedFile, ...], tuple[str, ...]]:
    """Return those of `feeds` that `gather` could read, and what is wrong with the others. Raises ListError."""
    must = required(lists)
    found: list[FeedFile] = []
    problems: list[str] = []
    for file in feeds:
        try:
            feed.read(file, must)
        except ListError as error:
            problems += (f"feed {file.name}: {problem}" for problem in error.problems)
        else:
            found.append(file)
    return tuple(found), tuple(problems)


def shared_parents(lists: Lists) -> tuple[Name, ...]:
    """Return the parents that strangers share under `lists`, without reading the lists themselves. Raises ListError."""
    problems: list[str] = []
    found = [path for path, _ in _paths(lists, (), problems) if path.name == SHARED]
    if problems:
        raise ListError(problems)
    return tuple(name for path in found for name in read_shared(path))


def read_shared(path: Path) -> tuple[Name, ...]:
    """Return the shared parents in the file at `path`. Raises ListError."""
    document = marked.read(path)
    problems: list[str] = []
    page = form.top(document, problems)
    page.expect(("shared",), ("shared",))
    found: list[Name] = []
    for each in page.forms("shared"):
        each.expect(("value", "why"), ("value", "why"))
        try:
            found.append(names.hostname(each.text("value")))
        except NameFormatError as error:
            each.refuse(f"{error}. Fix the spelling or remove the line", "value")
    if problems:
        raise ListError(problems)
    return tuple(found)


def _feeds(
    lists: Lists, needed: list[Path], feeds: Iterable[FeedFile], plain: list[NamesFile], problems: list[str]
) -> tuple[MustResolve, dict[str, Rejected]]:
    """Read the feeds into `plain`; return what must resolve, and what was rejected of each feed."""
    rejected: dict[str, Rejected] = {}
    try:
        must = must_resolve.read(needed, lists.overrides)
    except ListError as error:
        problems += error.problems
        return MustResolve(), rejected  # nothing will come of it: there are problems
    for file in feeds:
        try:
            names_file, rejected[file.name] = feed.read(file, must)
        except ListError as error:
            problems += error.problems
        else:
            plain.append(names_file)
    return must, rejected


def _paths(lists: Lists, extra: Iterable[Path], problems: list[str]) -> Iterator[tuple[Path, bool]]:
    """Yield each file to read, and whether it ships with the product, always in the same order."""
    # What must resolve is asked for even where none of our lists are: it guards the operator's own too.
    folders = [(BUILT_IN, True)] if lists.built_in else [(BUILT_IN / must_resolve.FILE, True)]
    for path, built_in in [*folders, *((each, False) for each in (*lists.directories, *extra))]:
        if path.is_file():
            if path.suffix in (".yaml", *formats.SUFFIXES):
                yield path, built_in
            else:
                problems.append(f"{path}: a list's name ends with .yaml, .txt or .hosts. Rename the file.")
            continue
        try:
            inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}. Check lists.directories and permissions.")
            continue
        for each in inside:
            if each.suffix in (".yaml", *formats.SUFFIXES):
                if each.exists() and not (each.is_file() or each.is_dir()):  # a pipe would keep its reader for ever
                    problems.append(f"{each}: is no regular file. Remove it.")
                else:
                    yield each, built_in
            elif (meant := _MEANT.get(each.suffix.lower())) is not None:
                # A list that nobody notices is not loaded would be worse.
                problems.append(f"{each}: is not read, because lists end with {meant}. Rename or remove the file.")


def _apps(
    found: list[AppList], plain: list[NamesFile], disabled: frozenset[str], problems: list[str]
) -> dict[str, App]:
    apps: dict[str, App] = {}
    for each in found:
        known = apps.get(each.app)
        if known and known.first and each.built_in and known.first.built_in:
            problems.append(
                f"{each.file}:1: app {each.app!r} is already in {known.first.file}. Put the entries into one file."
            )
        twice = sorted(set(known.switches) & set(each.switches)) if known else []
        problems += (
            f"{each.file}:{each.switches[name].line}: switch {name!r} is already declared for app {each.app!r}."
            " Choose another name."
            for name in twice
        )
        switches = {**(known.switches if known else {}), **each.switches}
        first = known.first if known and known.first else each
        brand = tuple(dict.fromkeys((*(known.brand if known else ()), *each.brand)))
        apps[each.app] = App(
            first, each.app, MappingProxyType(switches), each.app not in disabled, brand, first.category
        )
    for file in sorted(plain, key=lambda each: not each.category):  # a category's word counts, whatever came first
        category = Category.CONTENT if file.category else ""
        apps.setdefault(
            file.app, App(None, file.app, MappingProxyType({}), file.app not in disabled, category=category)
        )
    return apps
