"""Plain files of names, an operator's own: `APP.txt`, one domain a line, and `APP.hosts` in hosts syntax.

In a `.txt` each name covers everything below it, and `@@name` is an exception; in a `.hosts` it stands for
itself alone, as it does in /etc/hosts. A bad line refuses the file. A million lines take about a second:
ordinary ones pass one regular expression and become a key at once, the rest are read with care.
"""

import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blocker import names
from blocker.errors import ListError, NameFormatError
from blocker.lists import row
from blocker.lists.marked import MAX_SIZE
from blocker.lists.source import APP
from blocker.names import Name
from blocker.policy import Scope

SUFFIXES: Final = {".txt": Scope.SUFFIX, ".hosts": Scope.EXACT}
MAX_PROBLEMS: Final = 20  # told per file: the wrong file entirely should not fill the screen

_PLAIN: Final = re.compile(rb"[a-z0-9_-]{1,63}+(?:\.[a-z0-9_-]{1,63}+)++").fullmatch
_MAX_TEXT: Final = names.MAX_NAME - 2  # the first length octet and the root's zero are not written
_OCTETS: Final = [bytes((octet,)) for octet in range(256)]
_NULL: Final = (b"0.0.0.0 ", b"127.0.0.1 ")
_ADDRESS: Final = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*(?:%\w+)?")
_OWN: Final = frozenset((  # rows that every hosts file has for the machine itself
    "localhost", "localhost.localdomain", "local", "broadcasthost", "ip6-localhost", "ip6-loopback",
    "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", "ip6-allhosts",
    "0.0.0.0",  # noqa: S104 (a name here: some lists hold the row "0.0.0.0 0.0.0.0")
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamesFile:
    """A plain file: `keys` are names reversed octet by octet, `rows` the entries that belong to them."""

    file: str
    app: str
    scope: Scope
    keys: list[bytes]
    rows: "array[int]"


def key_of(name: Name) -> bytes:
    """Return the index's key for `name`: reversed, so that the names above it are its prefixes."""
    return name[::-1]


def read(path: Path) -> NamesFile:
    """Return the names in the file at `path`, whose stem is the app. Raises ListError."""
    try:
        if path.stat().st_size > MAX_SIZE:
            raise ListError([f"{path}: the file is larger than {MAX_SIZE >> 20} MiB. Split it."])
        return parse(path.read_bytes(), path)
    except OSError as error:
        raise ListError([f"{path}: cannot be read: {error.strerror}. Check the path and its permissions."]) from error


def parse(written: bytes, path: Path) -> NamesFile:
    """Return the names in `written`, the content of the file at `path`. Raises ListError."""
    if not APP.fullmatch(path.stem):
        why = f"the file's name is the app's id, and {path.stem!r} is none: use 1 to 32 small letters, digits and '-'"
        raise ListError([f"{path}:1: {why}. Rename the file."])
    scope = SUFFIXES[path.suffix]
    reader = _Reader(path, row.EXACT if scope is Scope.EXACT else 0)
    # Lower-casing the whole file costs nothing; ASCII only, so that UTF-8 stays whole.
    lines = written.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").lower().split(b"\n")
    (reader.hosts if scope is Scope.EXACT else reader.domains)(lines)
    if reader.problems:
        raise ListError(reader.problems)
    return NamesFile(str(path), path.stem, scope, reader.keys, reader.rows)


class _Reader:
    def __init__(self, path: Path, flags: int) -> None:
        self.keys: list[bytes] = []
        self.rows = array("Q")
        self.problems: list[str] = []
        self._path = path
        self._flags = flags

    def domains(self, lines: Iterable[bytes]) -> None:
        flags, keep, number_of = self._flags, self.keys.append, self.rows.append
        for number, line in enumerate(lines, 1):
            # The hot line of the whole compiler: 1.4 us a name, half of it for the key.
            if len(line) <= _MAX_TEXT and _PLAIN(line):
                keep(_key(line))
                number_of(number << 16 | flags)
            elif line and not self._careful(number, line):
                return

    def hosts(self, lines: Iterable[bytes]) -> None:
        flags, keep, number_of = self._flags, self.keys.append, self.rows.append
        for number, line in enumerate(lines, 1):
            name = line[line.index(b" ") + 1 :] if line.startswith(_NULL) else b""
            if len(name) <= _MAX_TEXT and _PLAIN(name) and not name.endswith(b"0.0.0.0"):
                keep(_key(name))
                number_of(number << 16 | flags)
            elif line and not self._careful_hosts(number, line):
                return

    def _careful(self, number: int, line: bytes) -> bool:
        """Read one line that is not just a name; tell whether to go on."""
        text = self._text(number, line)
        if not text:
            return self._patient(number)
        allow = text.startswith("@@")
        name = text[2:].lstrip() if allow else text
        name = name[2:] if name.startswith("*.") else name.removeprefix(".")
        self._keep(number, name, self._flags | (row.ALLOW if allow else 0))
        return self._patient(number)

    def _careful_hosts(self, number: int, line: bytes) -> bool:
        fields = self._text(number, line).split()
        if fields and not _ADDRESS.fullmatch(fields[0]):
            self._refuse(number, f"{fields[0]!r} is not an address. Write '0.0.0.0 name', or name the file *.txt")
        elif len(fields) == 1:
            self._refuse(number, "there is no name after the address. Add one or remove the line")
        else:
            for name in fields[1:]:
                if name not in _OWN:
                    self._keep(number, name, self._flags)
        return self._patient(number)

    def _text(self, number: int, line: bytes) -> str:
        """Return the line without its comment; empty if there is nothing else, or nothing legible."""
        try:
            return line.partition(b"#")[0].decode().strip()
        except UnicodeDecodeError:
            self._refuse(number, "this is not UTF-8 text. Save the file as UTF-8")
            return ""

    def _keep(self, number: int, text: str, flags: int) -> None:
        try:
            name = names.hostname(text)
        except NameFormatError as error:
            self._refuse(number, f"{error}. Fix the spelling or remove the line")
            return
        if names.depth(name) < 2 and not flags & (row.EXACT | row.ALLOW):
            self._refuse(number, f"{text!r} is a top-level domain, shared by all its users. List the names below it")
            return
        self.keys.append(key_of(name))
        self.rows.append(row.pack(number, flags))

    def _refuse(self, number: int, why: str) -> None:
        self.problems.append(f"{self._path}:{number}: {why}.")

    def _patient(self, number: int) -> bool:
        if len(self.problems) < MAX_PROBLEMS:
            return True
        self.problems.append(f"{self._path}:{number}: there may be more; reading stopped here.")
        return False


def _key(line: bytes) -> bytes:
    """Return `key_of` the name written as `line`, which is lower-case ASCII without a dot at its end."""
    return b"\0" + b"".join([label + _OCTETS[len(label)] for label in line[::-1].split(b".")])
