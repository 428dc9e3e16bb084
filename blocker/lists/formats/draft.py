"""What has been read of one list so far: keys, rows and what was wrong, for every format alike.

Each format's reader has a fast way for its ordinary line, which appends to `keys` and `rows` itself, and hands
every other line to the careful methods here. Nothing here knows how a line is written.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from blocker import names
from blocker.errors import ListError, NameFormatError
from blocker.lists import row
from blocker.lists.source import Entry
from blocker.names import Name
from blocker.policy import Scope

MAX_PROBLEMS: Final = 20  # told per file: the wrong file entirely should not fill the screen
MAX_NAMES: Final = 1 << 22  # of one list, where it holds 64 MiB of tiny ones: they would take a gigabyte
MAX_RANGES: Final = 100_000  # of addresses in one list: each worker holds them in memory, at 1 KB
MAX_UNICODE: Final = 2_000_000  # characters of names beyond ASCII in one list: to convert them takes 15 s
MAX_LINE: Final = 1000  # octets; a rule of ours is a name and a few words

# An ordinary name: lower case, no dot at its end, and a top-level domain that no address ends with.
NAME: Final = rb"(?:[a-z0-9_-]{1,63}+\.)++[a-z][a-z0-9-]{0,62}+"
MAX_TEXT: Final = names.MAX_NAME - 2  # octets of such a name: its first length octet and the root's zero are not in it

_PIECE: Final = 1 << 18  # octets
_MARK: Final = b"\xef\xbb\xbf"  # a byte order mark in UTF-8
_OCTETS: Final = [bytes((octet,)) for octet in range(256)]


@dataclass(frozen=True, slots=True)
class NamesFile:
    """A file of names: `keys` are names reversed octet by octet, `rows` the entries that belong to them."""

    file: str
    app: str
    scope: Scope  # what its names cover unless their rows say otherwise
    keys: list[bytes]
    rows: "array[int]"
    ranges: tuple[Entry, ...] = ()
    feed: str = ""  # the feed's name in the configuration; empty: a file of the operator's
    format: str = ""  # how a feed was read, as stated or found out
    category: bool = False  # `app` is one


class Draft:
    """A list being read. `flags` go into every row."""

    def __init__(self, file: str, flags: int = 0, *, strict: bool = False) -> None:
        """`strict`: many mistakes end the reading (`bad` raises ListError); else all are only counted."""
        self.flags = flags
        self.keys: list[bytes] = []
        self.rows = array("Q")
        self.ranges: list[Entry] = []
        self.problems: list[str] = []  # at most MAX_PROBLEMS
        self.gaps: list[str] = []  # lines that are beyond us: at most MAX_PROBLEMS
        self.refusals: list[str] = []  # lines that would block everybody: at most MAX_PROBLEMS
        self.tops: set[bytes] = set()  # keys of top-level domains that would be blocked with all below
        self.servers: list[bytes] = []  # those of the keys that are about name servers
        self.bad_lines = 0
        self.unsupported_lines = 0
        self.refused_lines = 0
        self._unicode = 0  # characters of names that were spelled beyond ASCII
        self._file = file
        self.strict = strict

    def keep(self, number: int, text: str, flags: int) -> None:
        """Add the name that line `number` spells as `text`, with `flags` and those of all rows."""
        name = self.name(number, text)
        if name is None:
            return
        key = key_of(name)
        if flags & row.SERVER:
            key = row.MARK + key
            self.servers.append(key)
        if names.depth(name) < 2 and not flags & (row.EXACT | row.ALLOW):
            if self.strict:
                self.bad(number, f"{text!r} is a top-level domain, shared by all its users. List the names below it")
                return
            self.tops.add(key)
        self.add(number, key, flags)

    def add(self, number: int, key: bytes, flags: int) -> None:
        """Add a key with `flags` and those of all rows. Raises ListError when there are MAX_NAMES already."""
        if len(self.keys) >= MAX_NAMES:
            raise ListError([f"{self._file}:{number}: more than {MAX_NAMES} names. Split the list."])
        self.keys.append(key)
        self.rows.append(row.pack(number, flags | self.flags))

    def add_range(self, entry: Entry) -> None:
        """Add a range of addresses. Raises ListError when there are MAX_RANGES already."""
        if len(self.ranges) >= MAX_RANGES:
            raise ListError([f"{self._file}:{entry.line}: more than {MAX_RANGES} address ranges. Split the list."])
        self.ranges.append(entry)

    def name(self, number: int, text: str) -> Name | None:
        """Return the name that line `number` spells as `text`; None if it is none, which is noted.

        Raises ListError when there are more names beyond ASCII than can be read in reasonable time.
        """
        if "\\" in text:  # zone files may escape: no name that we list needs it
            self.bad(number, f"{text!r} is not a domain name: it contains a backslash. Remove the line")
            return None
        if not text.isascii():
            self._unicode += len(text)
            if self._unicode > MAX_UNICODE:
                why = f"more than {MAX_UNICODE} characters of names beyond ASCII. Write them in punycode, xn--..."
                raise ListError([self._told(number, why)])
        try:
            name = names.hostname(text)
        except NameFormatError as error:
            self.bad(number, f"{error}. Fix the spelling or remove the line")
            return None
        if name == names.ROOT:
            self.bad(number, f"{text!r} is the root, above everybody. Remove the line")
            return None
        return name

    def text(self, number: int, line: bytes) -> str:
        """Return the line as text without blanks around it; empty if it is not legible, which is noted."""
        if len(line) > MAX_LINE:
            self.bad(number, f"the line is longer than {MAX_LINE} octets. Remove it")
            return ""
        try:
            return line.decode().strip()
        except UnicodeDecodeError:
            self.bad(number, "this is not UTF-8 text. Save the file as UTF-8")
            return ""

    def bad(self, number: int, why: str) -> None:
        """Note a line that is malformed. Raises ListError when a strict reader has seen enough."""
        self.bad_lines += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(self._told(number, f"{why}."))
            if self.strict and len(self.problems) == MAX_PROBLEMS:
                more = f"{self._file}:{number}: there may be more; reading stopped here."
                raise ListError([*self.problems, more])

    def refuse(self, number: int, why: str) -> None:
        """Note a line that would block what must not be blocked."""
        self.refused_lines += 1
        if len(self.refusals) < MAX_PROBLEMS:
            self.refusals.append(self._told(number, f"{why}. The line is left out."))

    def unsupported(self, number: int, why: str) -> None:
        """Note a line that is well formed, but asks for what we do not do."""
        self.unsupported_lines += 1
        if len(self.gaps) < MAX_PROBLEMS:
            self.gaps.append(self._told(number, f"{why}."))

    def _told(self, number: int, why: str) -> str:
        """Return a message that no stranger's octets can turn into orders for a terminal."""
        shown = why if why.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in why)
        return f"{self._file}:{number}: {shown}"


def key_of(name: Name) -> bytes:
    """Return the index's key for `name`: reversed, so that the names above it are its prefixes."""
    return name[::-1]


def plain_key(line: bytes) -> bytes:
    """Return `key_of` the name written as `line`, which is lower-case ASCII without a dot at its end."""
    return b"\0" + b"".join([label + _OCTETS[len(label)] for label in line[::-1].split(b".")])


def lines_of(written: bytes) -> Iterable[bytes]:
    """Return the lines of a file, in lower case: ASCII only, so that UTF-8 stays whole."""
    return chain.from_iterable(_pieces(written))


def _pieces(written: bytes) -> Iterator[list[bytes]]:
    """Yield lines a piece of the file at a time: a million lines at once would cost 80 MB."""
    at = len(_MARK) if written.startswith(_MARK) else 0
    while at < len(written):
        end = written.find(b"\n", at + _PIECE) + 1 or len(written)
        yield written[at:end].replace(b"\r\n", b"\n").lower().removesuffix(b"\n").split(b"\n")
        at = end
