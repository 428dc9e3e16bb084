"""Which format a list is written in, by its first lines; and what is no list at all: a web page, a program.

Decides on the content alone: what a server says of it (Content-Type) is wrong too often.
"""

import re
from collections import Counter
from typing import Final

_LOOK_AT: Final = 65536  # octets
_MAGIC: Final = {
    b"\x1f\x8b": "compressed with gzip",
    b"pk\x03\x04": "a ZIP archive",
    b"\xfd7zxz": "compressed with xz",
    b"(\xb5/\xfd": "compressed with zstd",
    b"bzh": "compressed with bzip2",
    b"%pdf": "a PDF document",
    b"\x7felf": "a program",
}
_PAGE: Final = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|script|\?xml|meta|title)\b", re.S)
_JSON: Final = re.compile(rb"\s*[{\[]\s*[\"{\[}]")

_NAME: Final = rb"[a-z0-9_\x80-\xff-]+(?:\.[a-z0-9_\x80-\xff-]+)+\.?"
_ZONE: Final = re.compile(rb"\$(?:ttl|origin)\s|\S*\s+(?:\d+\s+)?(?:in\s+)?(?:\d+\s+)?soa\s")
_RECORD: Final = re.compile(
    rb"\S+\s+(?:\d+\s+)?(?:in\s+)?(?:\d+\s+)?(?:cname\s+\S+\s*(?:;|$)|a\s+\d+\.\d|aaaa\s+[0-9a-f]*:|txt\s+\")"
)
_KINDS: Final = (  # in this order: the first that fits a line
    ("adblock", re.compile(rb"@@\||\|\|?[a-z0-9*_\x80-\xff]|\[adblock|!")),
    ("dnsmasq", re.compile(rb"(?:address|server|local)\s*=\s*/")),
    ("rpz", _RECORD),
    ("hosts", re.compile(rb"(?:\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f:.]*)\s+\S")),
    ("wildcard", re.compile(rb"\*\." + _NAME)),
    ("domains", re.compile(rb"(?:@@)?\.?" + _NAME)),
)


def refusal(written: bytes) -> str:
    """Return why `written`, in any case of letters, is no list at all; empty if it may be one."""
    head = written[:_LOOK_AT].removeprefix(b"\xef\xbb\xbf").lower()
    if not head.strip():
        return "the file is empty"
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return f"this is not a list, it is {what}"
    if _PAGE.match(head):
        return "this is a web page, not a list"
    if _JSON.match(head):
        return "this is JSON, not a list"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "this is UTF-16 text. Only UTF-8 is read"
    if head.count(0) * 100 > len(head):  # a stray one spoils its own line only
        return "this is binary data, not a list"
    return ""


def detect(written: bytes) -> str:
    """Return the format's word: adblock, dnsmasq, rpz, hosts, wildcard or domains, which is also the last guess."""
    seen: Counter[str] = Counter()
    for line in written[:_LOOK_AT].removeprefix(b"\xef\xbb\xbf").lower().splitlines():
        if _ZONE.match(line):
            return "rpz"  # nothing else looks like it
        stripped = line.strip()
        if not stripped or stripped.startswith((b"#", b";")):
            continue
        kind = next((word for word, shape in _KINDS if shape.match(stripped)), "")
        seen[kind] += 1
    # Names and hosts lines may stand among adblock rules and names among wildcards, but not the other way round.
    if seen["adblock"]:
        return "adblock"
    most = max((word for word, _ in _KINDS), key=lambda word: seen[word])
    return most if seen[most] else "domains"
