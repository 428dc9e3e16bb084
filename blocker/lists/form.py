"""Reads the fields of one mapping in a list, strictly, and notes every mistake instead of stopping at the first.

Knows how a field is written and how to say what is wrong with it; must not know what the fields mean.
"""

from collections.abc import Collection, Iterable
from datetime import date
from difflib import get_close_matches
from typing import Final

from blocker.lists.marked import Marked, Place

MISSING: Final = ""  # the text of a field that is not there


class Form:
    """The mapping at `place` of a document. Mistakes go to `problems`, as `file:line: what and what to do`."""

    def __init__(self, marked: Marked, place: Place, problems: list[str]) -> None:
        """Take the document, and the place of a mapping in it."""
        self.place = place
        self.line = marked.line(place)
        self._marked = marked
        self._problems = problems
        data = marked.data
        for step in place:
            data = data[step]
        if not isinstance(data, dict):
            self.refuse("this must be a mapping: 'key: value' lines, or {key: value, ...}")
            data = {}
        self._data = data

    def __contains__(self, key: str) -> bool:
        """Tell whether the field is there."""
        return key in self._data

    def refuse(self, why: str, key: str | None = None) -> None:
        """Note a mistake of the field `key`, or of the mapping as a whole."""
        place = self.place if key is None else (*self.place, key)
        self._problems.append(f"{self._marked.name}:{self._marked.line(place)}: {why}.")

    def expect(self, known: Collection[str], required: Iterable[str]) -> None:
        """Refuse keys that are not in `known`, and the absence of those in `required`."""
        for key in self._data:
            if key not in known:
                self.refuse(f"there is no field {key!r}{meant(key, known)}", key)
        for key in required:
            if key not in self._data:
                self.refuse(f"the field {key!r} is missing; add it")

    def text(self, key: str, *, limit: int = 1000) -> str:
        """Return the field's text as written, MISSING if it is not there; at most `limit` characters."""
        if key not in self._data:
            return MISSING
        if isinstance(self._data[key], dict | list):
            self.refuse(f"{key!r} must be a text", key)
            return MISSING
        text = self._marked.raw((*self.place, key)).strip()
        if not text:
            self.refuse(f"{key!r} is empty; write a text or remove the field", key)
        if len(text) > limit:
            self.refuse(f"{key!r} has {len(text)} characters; at most {limit} are allowed", key)
        if not text.isprintable():
            self.refuse(f"{key!r} holds a control character or a line break; remove it", key)
        return text

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return the field's true or false."""
        value = self._data.get(key, default)
        if isinstance(value, bool):
            return value
        self.refuse(f"{key!r} must be true or false", key)
        return default

    def number(self, key: str, low: int, high: int) -> int | None:
        """Return the field's whole number from `low` to `high`; None if it is not there."""
        value = self._data.get(key)
        if key not in self._data or (type(value) is int and low <= value <= high):
            return value
        self.refuse(f"{key!r} must be a whole number from {low} to {high}", key)
        return None

    def day(self, key: str) -> date | None:
        """Return the field's date; None if it is not there."""
        text = self.text(key)
        if not text:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.refuse(f"{key}: {text!r} is not a date; write YYYY-MM-DD", key)
            return None

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """Return the field's word, which must be one of `choices`."""
        text = self.text(key) or default
        if text in choices:
            return text
        self.refuse(f"{key}: {text!r} is not one of {', '.join(choices)}{meant(text, choices)}", key)
        return default

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of a sequence; empty if it is not there."""
        items = self._data.get(key)
        if key not in self._data:
            return ()
        if not isinstance(items, list) or any(isinstance(item, dict | list) for item in items):
            self.refuse(f"{key!r} must be a sequence of words: [one, two]", key)
            return ()
        return tuple(self._marked.raw((*self.place, key, at)) for at in range(len(items)))

    def forms(self, key: str) -> "list[Form]":
        """Return the mappings of a sequence; none if it is not there or empty."""
        items = self._data.get(key)
        if not isinstance(items, list):
            if items is not None:
                self.refuse(f"{key!r} must be a sequence: lines that begin with '- '", key)
            return []
        return [self._below(key, at) for at in range(len(items))]

    def named_forms(self, key: str) -> "dict[str, Form]":
        """Return the mappings of a mapping, by their names; none if it is not there or empty."""
        items = self._data.get(key)
        if not isinstance(items, dict):
            if items is not None:
                self.refuse(f"{key!r} must be a mapping: 'name: ...' lines", key)
            return {}
        return {name: self._below(key, name) for name in items}

    def _below(self, *steps: str | int) -> "Form":
        return Form(self._marked, (*self.place, *steps), self._problems)


def top(marked: Marked, problems: list[str]) -> Form:
    """Return the form of the whole document."""
    return Form(marked, (), problems)


def meant(word: str, known: Collection[str]) -> str:
    """Return a suggestion for a word that is not `known`, or the words that are, to end a message with."""
    near = get_close_matches(word, known, 1)
    if near:
        return f"; did you mean {near[0]!r}"
    return f"; known are {', '.join(sorted(known))}" if known else "; none are declared"
