"""Lines as in /etc/hosts: an address, then names, each of which stands for itself alone; `#` begins a comment.

A line blocks if nobody's address stands in it, or one that only its writer's own network can mean. One with an address
of the Internet sends the name there (a search engine's safe door, a mirror): that is no block, and it is counted. But
a file of the operator's, read strictly, blocks all of its names, whatever page they lead to.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from blocker.lists import row
from blocker.lists.formats.draft import MAX_TEXT, NAME, Draft, plain_key

_PLAIN: Final = re.compile(NAME).fullmatch
_NULL: Final = (b"0.0.0.0 ", b"127.0.0.1 ")
_ADDRESS: Final = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*(?:%\w+)?")
_OWN: Final = frozenset((  # rows that every hosts file has for the machine itself
    "localhost", "localhost.localdomain", "local", "broadcasthost", "ip6-localhost", "ip6-loopback",
    "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", "ip6-allhosts",
    "0.0.0.0",  # noqa: S104 (a name here: some lists hold the row "0.0.0.0 0.0.0.0")
))  # fmt: skip


def read(lines: Iterable[bytes], draft: Draft) -> None:
    """Read lower-case `lines` into `draft`."""
    flags, keep, number_of = draft.flags | row.EXACT, draft.keys.append, draft.rows.append
    for number, line in enumerate(lines, 1):
        name = line[line.index(b" ") + 1 :] if line.startswith(_NULL) else b""
        if len(name) <= MAX_TEXT and _PLAIN(name) and name != b"localhost.localdomain":
            keep(plain_key(name))
            number_of(number << 16 | flags)
        elif line:
            read_line(number, line, draft)


def read_line(number: int, line: bytes, draft: Draft) -> None:
    """Read one line with care."""
    fields = draft.text(number, line.partition(b"#")[0]).split()
    if fields and not is_address(fields[0]):
        draft.bad(number, f"{fields[0]!r} is not an address. Write '0.0.0.0 name', or name the file *.txt")
    elif len(fields) == 1:
        draft.bad(number, "there is no name after the address. Add one or remove the line")
    elif fields and not draft.strict and leads_elsewhere(fields[0]):
        draft.unsupported(number, f"{fields[1]!r} is not blocked but sent to {fields[0]}, which is somebody's address")
    else:
        for name in fields[1:]:
            if name not in _OWN:
                draft.keep(number, name, row.EXACT)


@lru_cache(maxsize=64)
def leads_elsewhere(text: str) -> bool:
    """Tell whether `text` is an address of the Internet: who gives it for a name wants it reached, not blocked."""
    try:
        return ip_address(text).is_global
    except ValueError:  # a short form, such as 0
        return False


def is_address(text: str) -> bool:
    """Tell whether a line that begins with `text` is meant as a line of a hosts file."""
    return _ADDRESS.fullmatch(text) is not None
