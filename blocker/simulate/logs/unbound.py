"""Unbound's `log-queries`, with times as numbers, as text or from syslog; its `log-replies` are passed over. Pure.

[1795469871] unbound[812:0] info: 192.0.2.5 www.example.com. A IN
"""

import re
from typing import Final

from blocker.simulate.logs import times
from blocker.simulate.logs.lines import CLIENT, NAME, Parse, name, unread
from blocker.simulate.logs.record import Query
from blocker.simulate.logs.times import Clock

_START: Final = (
    rf"(?:\[(?P<unix>\d{{1,12}})\]|(?P<time>{times.SYSLOG}|{times.ISO})) (?:[\w.-]{{1,255}} )?"
    r"unbound(?:\[\d{1,10}:[0-9a-f]{1,4}\]|\[\d{1,10}\]: \[\d{1,10}:[0-9a-f]{1,4}\]) "
)
_LINE: Final = re.compile(_START + r"\w{1,16}: .*", re.DOTALL)
_QUERY: Final = re.compile(
    _START + rf"info: (?:query: )?{CLIENT} {NAME} (?P<qtype>[A-Z][A-Z0-9-]{{0,15}}) (?:IN|CH|HS|ANY|CLASS\d{{1,5}})"
)


def looks(line: str) -> bool:
    """Tell whether `line` is of this format."""
    return _LINE.fullmatch(line) is not None


def parser(clock: Clock) -> Parse:
    """Return what reads a line."""

    def parse(line: str) -> Query | None:
        if found := _QUERY.fullmatch(line):
            unix, qtype, qname, client = found["unix"], found["qtype"], found["qname"], found["client"]
            when = clock(found["time"]) if unix is None else times.from_unix(int(unix))
            return Query(when, client, name(qname), qtype)
        if not _LINE.fullmatch(line):
            raise unread(line, "Unbound's log-queries")
        return None

    return parse
