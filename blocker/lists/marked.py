"""YAML with line numbers: what a person wrote, as plain data that remembers where each part stood.

Decides how written text becomes values: less than YAML allows, so that names stay names (`no`, `0x10`
and `10:30` are text here) and no file can grow in memory (no aliases, a limit on size and depth).
Must not know what the file is about.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from blocker.errors import ListError

Place = tuple[str | int, ...]  # keys and positions from the top: ("entries", 3, "value")

_Event = Any  # an event of PyYAML's C parser: each kind has other attributes, and always a mark

MAX_SIZE: Final = 64 << 20  # octets: a list of a million lines fits, a mistaken file does not
MAX_DEPTH: Final = 16  # mappings and sequences inside each other; ours need four

_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class _Node:
    line: int
    data: Any
    raw: str = ""
    parts: dict[str | int, "_Node"] = field(default_factory=dict)


class Marked:
    """A document: `data` as plain values, with the line and the text as written of each part."""

    def __init__(self, root: _Node, name: str) -> None:
        """Take what `read` or `parse` built."""
        self.data: Any = root.data
        self.name = name
        self._root = root

    def line(self, path: Iterable[str | int]) -> int:
        """Return the line (from 1) where the part at `path` begins, or its nearest parent that exists."""
        return self._at(path)[0].line

    def raw(self, path: Iterable[str | int]) -> str:
        """Return the scalar at `path` as written, quotes removed; KeyError when there is no scalar."""
        node, found = self._at(path)
        if not found or isinstance(node.data, dict | list):
            raise KeyError(tuple(path))
        return node.raw

    def _at(self, path: Iterable[str | int]) -> tuple[_Node, bool]:
        node = self._root
        for step in path:
            below = node.parts.get(step)
            if below is None:
                return node, False
            node = below
        return node, True


def read(path: Path, name: str = "") -> Marked:
    """Return the one document in the file at `path`, which messages call `name`; an empty file is None.

    Raises ListError with lines of `file:line: what and what to do`.
    """
    name = name or str(path)
    try:
        if path.stat().st_size > MAX_SIZE:
            raise ListError([f"{name}:1: the file is larger than {MAX_SIZE >> 20} MiB. Split it."])
        written = path.read_bytes()
    except OSError as error:
        raise ListError([f"{name}: cannot be read: {error.strerror}. Check the path and its permissions."]) from error
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise ListError([f"{name}:{line}: this is not UTF-8 text. Save the file as UTF-8."]) from error
    return parse(text, name)


def parse(text: str, name: str) -> Marked:
    """Return the one document in `text`; `name` stands for the file in messages. Raises ListError."""
    if len(text) > MAX_SIZE:
        raise ListError([f"{name}:1: the document is larger than {MAX_SIZE >> 20} MiB. Split it."])
    reader = _Reader(name)
    try:
        root = reader.document(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        context = f" {error.context}" if error.context else ""
        raise ListError([f"{name}:{line}: this is not YAML: {error.problem}{context}. Fix this line."]) from error
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise ListError([f"{name}:1: the text holds a character that YAML does not allow. Remove it."]) from error
    if reader.problems:
        raise ListError(reader.problems)
    return Marked(root, name)


class _Reader:
    """Builds nodes from the parser's events: unlike composed nodes, those still show aliases and tags."""

    def __init__(self, name: str) -> None:
        self.problems: list[str] = []
        self._name = name
        self._next: Callable[[], _Event]

    def document(self, text: str) -> _Node:
        text.encode()  # a lone surrogate would stop the C parser without saying where
        loader = yaml.CSafeLoader(text)
        try:
            self._next = loader.get_event
            self._next()  # stream start
            if isinstance(self._next(), yaml.StreamEndEvent):
                return _Node(1, None)
            root = self._node(self._next(), 0)
            self._next()  # document end
            after = self._next()
            if not isinstance(after, yaml.StreamEndEvent):
                raise self._refused(after, "a second document begins here. Put it into a file of its own")
        finally:
            loader.dispose()
        return root

    def _node(self, event: _Event, depth: int) -> _Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise self._refused(event, f"*{event.anchor} is an alias; aliases are not read. Write the value out")
        if event.tag is not None:
            raise self._refused(event, f"{event.tag} is a tag; tags are not read. Remove it")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "")  # the C parser says "" for an unquoted scalar
            return _Node(line, _value(event.value) if plain else event.value, event.value)
        if depth == MAX_DEPTH:
            raise self._refused(event, f"nested more than {MAX_DEPTH} deep. Check the brackets and the indentation")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(line, depth)
        return self._mapping(line, depth)

    def _sequence(self, line: int, depth: int) -> _Node:
        node = _Node(line, [])
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            part = self._node(event, depth + 1)
            node.parts[len(node.data)] = part
            node.data.append(part.data)
        return node

    def _mapping(self, line: int, depth: int) -> _Node:
        node = _Node(line, {})
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refused(event, "a key must be a plain word. Check the brackets and the indentation")
            key = event.value
            part = self._node(self._next(), depth + 1)
            part.line = line  # where the key stands is where a reader looks
            if key in node.parts:
                before = f"is said twice, first in line {node.parts[key].line}"
                self.problems.append(f"{self._name}:{part.line}: {key!r} {before}. Remove one.")
                continue
            node.parts[key] = part
            node.data[key] = part.data
        return node

    def _refused(self, event: _Event, why: str) -> ListError:
        return ListError([*self.problems, f"{self._name}:{event.start_mark.line + 1}: {why}."])


def _value(text: str) -> str | int | float | bool | None:
    """Return what an unquoted scalar means: true, false, null and decimal numbers; all else is text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
