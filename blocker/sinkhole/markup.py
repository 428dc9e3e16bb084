"""Puts texts into HTML: whatever is not markup already is escaped on its way in, so that nobody can forget it. Pure."""

from collections.abc import Iterable
from html import escape
from string import Template


class Html(str):
    """Text that is markup; made by `fill` and `joined`, or written in our own source."""

    __slots__ = ()


def fill(template: str, **values: str) -> Html:
    """Return `template` with each `$name` replaced by its value, escaped unless it is Html.

    Values may stand between tags and in quoted attributes, nowhere else. Raises KeyError when one is missing.
    """
    return Html(Template(template).substitute({name: _escaped(value) for name, value in values.items()}))


def joined(parts: Iterable[Html], between: str = "") -> Html:
    """Return `parts` one after the other, with `between` between them."""
    return Html(_escaped(between).join(parts))


def _escaped(value: str) -> str:
    return value if isinstance(value, Html) else escape(value)
