"""BIND's query log (category `queries`, `rndc querylog on`), from its own file or through syslog. Pure.

23-Nov-2026 21:37:51.935 queries: info: client @0x7f1c 192.0.2.5#53124 (www.example.com): query: www.example.com IN A +E(0)K (192.0.2.53)
"""  # noqa: E501 a real line

import re
from typing import Final

from blocker.simulate.logs import times
from blocker.simulate.logs.lines import CLIENT, NAME, Parse, name, unread
from blocker.simulate.logs.record import Query
from blocker.simulate.logs.times import Clock

_START: Final = (
    rf"(?P<time>{times.BIND}|{times.ISO}|{times.SYSLOG}) (?:(?:[\w.-]{{1,255}} )?named\[\d{{1,10}}\]: )?"
    r"(?:[\w-]{1,32}: ){0,2}"
)
_CLIENT: Final = re.compile(_START + r"client (?:@0x[0-9a-f]{1,16} )?[0-9a-fA-F.:]{2,45}")
_LINE: Final = re.compile(_START + r".*", re.DOTALL)
_QUERY: Final = re.compile(
    _START
    + rf"client (?:@0x[0-9a-f]{{1,16}} )?{CLIENT}#\d{{1,5}}(?:/key [!-~]{{1,255}})? \([!-~]{{1,1004}}\):"
    + rf"(?: view [!-~]{{1,64}}:)? query: {NAME} [A-Z0-9]{{2,10}} (?P<qtype>[A-Z0-9-]{{1,16}}) [!-~ ]{{1,128}}"
)


def looks(line: str) -> bool:
    """Tell whether `line` is of this format."""
    return _CLIENT.match(line) is not None


def parser(clock: Clock) -> Parse:
    """Return what reads a line; errors, transfers and other categories in the same file are no queries."""

    def parse(line: str) -> Query | None:
        if found := _QUERY.fullmatch(line):
            when, qtype, qname, client = found["time"], found["qtype"], found["qname"], found["client"]
            return Query(clock(when), client, name(qname), qtype)
        if not _LINE.fullmatch(line) or "query: " in line:
            raise unread(line, "BIND's query log")
        return None

    return parse
