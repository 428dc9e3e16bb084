"""dnsmasq's `log-queries` (and `=extra`), as dnsmasq and Pi-hole's FTL write it to a file or to syslog,
OpenWrt's too. Pure.

Nov 23 21:37:51 dnsmasq[812]: query[A] www.example.com from 192.0.2.5
Mon Nov 23 21:37:51 2026 daemon.info dnsmasq[812]: query[A] www.example.com from 192.0.2.5
Nov 23 21:37:51 dnsmasq[812]: 57 192.0.2.5/53124 query[HTTPS] www.example.com from 192.0.2.5
"""

import re
from typing import Final

from blocker.simulate.logs import times
from blocker.simulate.logs.lines import CLIENT, NAME, Parse, name, unread
from blocker.simulate.logs.record import Query
from blocker.simulate.logs.times import Clock

_START: Final = (
    rf"(?P<time>{times.LOGREAD}|{times.SYSLOG}|{times.ISO}) (?:[\w.-]{{1,255}} )?"
    r"(?:dnsmasq(?:-\w{1,16})?|pihole-FTL)\[\d{1,10}\]: "
)
_LINE: Final = re.compile(_START + r"(?P<said>.*)", re.DOTALL)
_QUERY: Final = re.compile(
    _START + rf"(?:\d{{1,10}} [0-9a-fA-F.:]{{2,45}}/\d{{1,5}} )?query\[(?P<qtype>[\w=-]{{1,16}})\] {NAME} from {CLIENT}"
)
_TYPE: Final = re.compile(r"type=(\d{1,5})")


def looks(line: str) -> bool:
    """Tell whether `line` is of this format."""
    return _LINE.fullmatch(line) is not None


def parser(clock: Clock) -> Parse:
    """Return what reads a line; replies, cache hits, DHCP and the rest of dnsmasq's words are no queries."""

    def parse(line: str) -> Query | None:
        if found := _QUERY.fullmatch(line):
            when, qtype, qname, client = found["time"], found["qtype"], found["qname"], found["client"]
            return Query(clock(when), client, name(qname), _TYPE.sub(r"TYPE\1", qtype))
        other = _LINE.fullmatch(line)
        if other is None or "query[" in other["said"]:
            raise unread(line, "dnsmasq's log-queries")
        return None

    return parse
