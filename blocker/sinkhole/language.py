"""What a visitor prefers: the languages and the kinds of page in its Accept headers (RFC 9110 §12.5). Pure.

Never raises: a header that makes no sense prefers nothing.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

_MAX_PREFERENCES: Final = 32  # of one header; browsers send up to ten
_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
_PAGES: Final = ("text/html", "application/xhtml+xml")


def order(accept_language: str, languages: Sequence[str]) -> tuple[str, ...]:
    """Return all `languages`, those that `accept_language` prefers first, the others in the order given."""
    weights = dict.fromkeys(languages, 0.0)
    for tag, weight in _preferences(accept_language):
        language = tag.partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], weight)
    return tuple(sorted(languages, key=lambda each: -weights[each]))


def wants_page(accept: str) -> bool:
    """Tell whether whoever sent `accept` shows pages; programs, and those that take anything, get plain text."""
    return any(value in _PAGES and weight for value, weight in _preferences(accept))


def _preferences(header: str) -> Iterator[tuple[str, float]]:
    """Yield the values of a header, in small letters, with their weights from 0 to 1."""
    for part in header.split(",", _MAX_PREFERENCES)[:_MAX_PREFERENCES]:
        value, *parameters = (each.strip() for each in part.split(";"))
        weight = next((found[1] for each in parameters if (found := _WEIGHT.fullmatch(each))), "1")
        yield value.lower(), float(weight)
