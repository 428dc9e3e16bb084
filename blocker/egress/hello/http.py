"""Reads the head of a plain HTTP/1 request: whom it is for (RFC 9112 §3).

Pure. As lenient as servers are: bare line feeds, empty lines before the request, fields that go on in the next line and
spaces before a colon are taken.
"""

import re
from typing import Final

from blocker.egress.hello.seen import LIMIT, MORE, OTHER, Request, Unread, host

_LINE: Final = re.compile(rb"([A-Z][A-Z_-]{2,15}) +([^ \r\n]{1,%d}) +HTTP/[12]\.[0-9]\r?\n" % LIMIT)
_METHOD: Final = re.compile(rb"[A-Z][A-Z_-]{0,15}(?: |\Z)|\Z")
_FIELD: Final = re.compile(rb"(host|upgrade)[ \t]*:[ \t]*([^\r\n]*)\r?\n", re.IGNORECASE)
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_END: Final = re.compile(rb"\r?\n\r?\n")
_LENGTH: Final = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([0-9]{1,18})[ \t]*\r?\n", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_AUTHORITY: Final = re.compile(rb"[a-z][a-z0-9+.-]*://([^/?#]*)", re.IGNORECASE)
_MAX_HOSTS: Final = 8


def read(stream: bytes) -> Request | Unread:
    """Return the head of the request that `stream` begins with."""
    data = stream[:LIMIT].lstrip(b"\r\n")
    if not _METHOD.match(data):
        return OTHER
    unfinished = MORE if len(stream) < LIMIT else OTHER
    line = _LINE.match(data)
    if line is None:
        return OTHER if b"\n" in data else unfinished
    end = _END.search(data, line.end() - 2)
    if end is None and unfinished is MORE:
        return MORE
    said: list[bytes] = []
    upgrade = b""
    path = line[2]
    if (proxied := _AUTHORITY.match(path)) is not None:  # a proxy's form: its authority is what counts
        said.append(proxied[1])
        path = path[proxied.end() :] or b"/"
    elif line[1] == b"CONNECT":
        said.append(path)
        path = b""
    for field in _FOLD.sub(b" ", data[line.end() : end.end() if end else len(data)]).splitlines(keepends=True):
        if (found := _FIELD.match(field)) is None:
            continue
        if found[1].lower() == b"upgrade":
            upgrade = upgrade or found[2].strip().lower()
        elif len(said) < _MAX_HOSTS:
            said.append(found[2])
    name, *more = dict.fromkeys(map(_authority, said)) or (None,)
    return Request(line[1], path, name, upgrade, tuple(each for each in more if each is not None))


def is_request(octets: bytes) -> bool:
    """Tell whether `octets` begin with the whole first line of a request."""
    return _LINE.match(octets) is not None


def behind(stream: bytes, request: Request) -> int | None:
    """Return where in `stream` what comes after its first `request` begins, perhaps beyond its end; None: who knows."""
    start = len(stream) - len(stream.lstrip(b"\r\n"))
    end = _END.search(stream, start)
    if end is None:
        return None
    if request.method == b"CONNECT" or request.upgrade:
        return end.end()
    head = stream[start : end.end()]
    if _CHUNKED.search(head):
        return None
    length = _LENGTH.search(head)
    return end.end() + (int(length[1]) if length else 0)


def field(stream: bytes, name: bytes) -> str:
    """Return the first 1000 characters of the field `name` in the head that `stream` begins with; empty without one."""
    data = stream[:LIMIT].lstrip(b"\r\n")
    end = _END.search(data)
    found = re.search(
        rb"\n" + re.escape(name) + rb":[ \t]*([^\r\n]{0,1000})", data[: end.end() if end else LIMIT], re.I
    )
    return found[1].decode("latin-1") if found else ""


def _authority(text: bytes) -> bytes | None:
    """Return the name in `text`, its user and its port left out."""
    name, _, port = text.strip().rpartition(b"@")[2].partition(b":")
    return host(name) if not port or port.isdigit() else None
