"""Reads the head of a plain HTTP/1 request: whom it is for (RFC 9112 §3).

Pure. As lenient as servers are: bare line feeds and empty lines before the request are taken.
"""

import re
from typing import Final

from blocker.egress.hello.seen import MORE, OTHER, Request, Unread, host

_LIMIT: Final = 8192  # octets of a head that are looked at
_LINE: Final = re.compile(rb"([A-Z]{3,16}) +([^ \r\n]{1,4096}) +HTTP/[12]\.[0-9]\r?\n")
_METHOD: Final = re.compile(rb"[A-Z]{0,16}(?: |\Z)")
_FIELD: Final = re.compile(rb"(host|upgrade):[ \t]*([^\r\n]*)\r?\n", re.IGNORECASE)
_END: Final = re.compile(rb"\r?\n\r?\n")


def read(stream: bytes) -> Request | Unread:
    """Return the head of the request that `stream` begins with."""
    data = stream[:_LIMIT].lstrip(b"\r\n")
    if not _METHOD.match(data):
        return OTHER
    unfinished = MORE if len(stream) < _LIMIT else OTHER
    line = _LINE.match(data)
    if line is None:
        return OTHER if b"\n" in data else unfinished
    end = _END.search(data, line.end() - 2)
    if end is None and unfinished is MORE:
        return MORE
    named: bytes | None = None
    upgrade = b""
    for field in data[line.end() : end.end() if end else len(data)].splitlines(keepends=True):
        if (found := _FIELD.match(field)) is None:
            continue
        if found[1].lower() == b"upgrade":
            upgrade = found[2].strip().lower()
        elif named is None:
            named = found[2]
    path = line[2]
    if path.lower().startswith((b"http://", b"https://")):  # a proxy's form: its authority is what counts
        named, slash, rest = path.partition(b"//")[2].partition(b"/")
        path = slash + rest or b"/"
    elif line[1] == b"CONNECT":
        named, path = path, b""
    return Request(line[1], path, _authority(named) if named is not None else None, upgrade)


def field(stream: bytes, name: bytes) -> str:
    """Return the first 1000 characters of the field `name` in the head that `stream` begins with; empty without one."""
    data = stream[:_LIMIT].lstrip(b"\r\n")
    end = _END.search(data)
    found = re.search(
        rb"\n" + re.escape(name) + rb":[ \t]*([^\r\n]{0,1000})", data[: end.end() if end else _LIMIT], re.I
    )
    return found[1].decode("latin-1") if found else ""


def _authority(text: bytes) -> bytes | None:
    """Return the name in `text`, its user and its port left out."""
    name, _, port = text.strip().rpartition(b"@")[2].partition(b":")
    return host(name) if not port or port.isdigit() else None
