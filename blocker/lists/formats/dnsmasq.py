"""dnsmasq's own lines: `address=/name/...`, `local=/name/` and `server=/name/`, each for a name and all below it.

The address that a line gives is not handed on: what a blocked client hears is the group's action; one of the Internet
blocks nothing (see hosts). `server=/name/#`, which sends a name to the usual resolvers, is an exception; lines that do
something else are counted as unsupported.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from blocker.lists import row
from blocker.lists.formats import hosts
from blocker.lists.formats.draft import MAX_TEXT, NAME, Draft, plain_key

_PLAIN: Final = re.compile(
    rb"(?:address=/(?P<a>" + NAME + rb")/(?:0\.0\.0\.0|127\.0\.0\.1|::1?|#)?|(?:local|server)=/(?P<l>" + NAME + rb")/)"
).fullmatch
_COMMENT: Final = re.compile(rb"(?:^|\s)#.*", re.DOTALL)
_LINE: Final = re.compile(r"(?:--)?(?P<option>[a-z0-9-]+)\s*(?:=\s*(?P<value>.*))?", re.DOTALL).fullmatch


def read(lines: Iterable[bytes], draft: Draft) -> None:
    """Read lower-case `lines` into `draft`."""
    flags, keep, number_of = draft.flags, draft.keys.append, draft.rows.append
    for number, line in enumerate(lines, 1):
        found = _PLAIN(line)
        if found and len(name := found["a"] or found["l"]) <= MAX_TEXT:
            keep(plain_key(name))
            number_of(number << 16 | flags)
        elif line:
            _read_line(number, line, draft)


def _read_line(number: int, line: bytes, draft: Draft) -> None:
    text = draft.text(number, _COMMENT.sub(b"", line))
    if not text:
        return
    found = _LINE(text)
    if found is None:
        draft.bad(number, f"{text!r} is not a line of dnsmasq's. Write address=/name/ or local=/name/")
        return
    option, value = found["option"], found["value"] or ""
    if option not in ("address", "local", "server") or not value.startswith("/"):
        draft.unsupported(number, f"{text!r} is a setting of dnsmasq's own, not a list entry")
        return
    _, *spelled, target = value.split("/")
    flags = _flags(option, target.strip())
    if not spelled or flags is None:
        draft.bad(number, f"{text!r}: the last '/' is missing, or what stands behind it is no address")
    elif flags < 0:
        where = "somebody's address" if option == "address" else "another server"
        draft.unsupported(number, f"{text!r} sends names to {where}")
    else:
        for name in spelled:
            _keep(number, name.strip(), flags, draft)


def _flags(option: str, target: str) -> int | None:
    """Return an entry's flags; -1 if the line does something else, None if it cannot be understood."""
    if option == "address" and hosts.leads_elsewhere(target):
        return -1
    if option == "address":
        return 0 if target in ("", "#") or _is_address(target) else None
    if target == "#":
        return row.ALLOW
    return -1 if target else 0


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _keep(number: int, name: str, flags: int, draft: Draft) -> None:
    if name == "#":
        draft.refuse(number, "'#' stands for every name there is")
    elif not name or name.startswith("*"):
        what = "names without a dot" if not name else f"{name!r}, a wildcard inside a name,"
        draft.unsupported(number, f"{what} cannot be listed")
    else:
        draft.keep(number, name.removeprefix("."), flags)
