"""RPZ, DNS response policy zones, as zone text (RFC 1035 §5.1; draft-vixie-dnsop-dns-rpz-00).

Triggers: a name (exactly), `*.name` (all below it), response addresses (rpz-ip), clients (rpz-client-ip), and a zone's
name servers by name (rpz-nsdname) or address (rpz-nsip). Actions: NXDOMAIN, NODATA, DROP, TCP-only, PASSTHRU as an
exception, and local data, for which the operator's own sinkhole answers: a stranger does not choose where clients go.
The parser is ours since dnspython takes 8.5 s for
100,000 records; it reads one line in 2 us, and leaves out what a policy does not need.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from blocker.lists import ranges, row
from blocker.lists.formats.draft import MAX_TEXT, NAME, Draft, plain_key
from blocker.lists.source import Entry
from blocker.policy import Action, Scope, Trigger

_MAX_WORDS: Final = 200  # of one record, over all its lines

_ACTIONS: Final = {
    b".": row.answering(Action.NXDOMAIN),
    b"*.": row.answering(Action.NODATA),
    b"rpz-drop.": row.answering(Action.DROP),
    b"rpz-passthru.": row.ALLOW,
    b"rpz-tcp-only.": row.answering(Action.TCP_ONLY),
}
_LOCAL: Final = row.answering(Action.SINKHOLE)
_RANGES: Final = {"rpz-ip": None, "rpz-client-ip": Trigger.CLIENT_IP, "rpz-nsip": Trigger.NSIP}
_SKIPPED: Final = frozenset(("soa", "ns", "rrsig", "nsec", "nsec3", "nsec3param", "dnskey", "cds", "cdnskey", "zonemd"))

_PLAIN: Final = re.compile(
    rb"(\*\.)?(" + NAME + rb")[ \t]+(?:[0-9]{1,10}[ \t]+)?(?:in[ \t]+)?cname[ \t]+"
    rb"(\.|\*\.|rpz-passthru\.|rpz-drop\.|rpz-tcp-only\.)[ \t]*(?:;.*)?"
).fullmatch
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|;.*|[()]|[^\s;()"]+|"', re.DOTALL)
_TTL: Final = re.compile(r"(?:[0-9]+[smhdw]?)+").fullmatch


def read(lines: Iterable[bytes], draft: Draft) -> None:
    """Read lower-case `lines` into `draft`."""
    flags, keep, number_of = draft.flags, draft.keys.append, draft.rows.append
    zone = _Zone(draft)
    simple = True
    for number, line in enumerate(lines, 1):
        found = _PLAIN(line) if simple else None
        if found and len(found[2]) <= MAX_TEXT and b".rpz-" not in found[2]:
            star, name, target = found.groups()
            keep(plain_key(name))
            number_of(number << 16 | flags | (row.BELOW if star else row.EXACT) | _ACTIONS[target])
            zone.owner = line
        elif line:
            zone.read_line(number, line)
            simple = zone.is_simple
    zone.end()


class _Zone:
    """What a line means depends on those before it: the origin, the last owner, an open parenthesis."""

    def __init__(self, draft: Draft) -> None:
        self.owner: bytes | str = ""  # of the last record, or its line, which begins with it
        self._draft = draft
        self._apex: str | None = None  # the zone's own name, without the last dot; None: not known yet
        self._origin: str | None = None
        self._words: list[str] = []
        self._began = 0  # the line where a record with an open parenthesis began
        self._continues = False  # it has no owner of its own
        self._local: tuple[str, int] | None = None  # the last owner of local data: it has many records

    @property
    def is_simple(self) -> bool:
        """Whether a relative name is a trigger as it stands."""
        return not self._began and self._origin == self._apex

    def read_line(self, number: int, line: bytes) -> None:
        text = self._draft.text(number, line)
        if not self._began:
            self._words = []
            self._continues = line[:1] in (b" ", b"\t")
        is_open = bool(self._began)
        for found in _WORD.finditer(text):
            word = found[0]
            if word in ("(", ")"):
                is_open = word == "("
            elif not word.startswith(";"):
                self._words.append(word)
        began = self._began or number
        self._began = began if is_open else 0
        if len(self._words) > _MAX_WORDS:
            self._draft.bad(began, "a record of more than 200 words, or a parenthesis that nobody closes")
            self._words, self._began = [], 0
        elif not is_open and self._words:
            self._record(began, self._words)

    def end(self) -> None:
        """Note what is left open at the end."""
        if self._began:
            self._draft.bad(self._began, "the parenthesis that opens here is never closed")

    def _record(self, number: int, words: list[str]) -> None:
        if words[0].startswith("$"):
            self._directive(number, words)
            return
        if '"' in words:
            self._draft.bad(number, "a quotation mark is never closed")
            return
        owner = self._last_owner() if self._continues else words[0]
        at = 0 if self._continues else 1
        while at < len(words) and (_TTL(words[at]) or words[at] in ("in", "ch", "hs")):
            at += 1
        if at + 1 >= len(words) or not owner:
            self._draft.bad(number, "this is not a record. Write 'name CNAME .'")
            return
        self.owner = owner
        kind, rdata = words[at], words[at + 1 :]
        if kind == "soa":
            self._apex = self._absolute(owner)
            self._origin = self._apex if self._origin is None else self._origin
        elif kind not in _SKIPPED:
            self._policy(number, self._absolute(owner), kind, rdata)

    def _directive(self, number: int, words: list[str]) -> None:
        if words[0] == "$origin" and len(words) > 1:
            self._origin = self._absolute(words[1])
            self._apex = self._origin if self._apex is None else self._apex
        elif words[0] in ("$include", "$generate"):
            self._draft.unsupported(number, f"{words[0]} is not followed")
        elif words[0] != "$ttl":
            self._draft.bad(number, f"{words[0]!r} is not a directive of a zone file")

    def _last_owner(self) -> str:
        return self.owner if isinstance(self.owner, str) else self.owner.split(maxsplit=1)[0].decode()

    def _absolute(self, text: str) -> str:
        """Return a name without its last dot, completed with the origin if it is relative."""
        if text == "@":
            return self._origin or ""
        if text.endswith("."):
            return text[:-1]
        return f"{text}.{self._origin}" if self._origin else text

    def _policy(self, number: int, owner: str, kind: str, rdata: list[str]) -> None:
        draft = self._draft
        apex = self._apex or ""
        if owner == apex:
            return  # the zone's own records: nobody's policy
        if apex and not owner.endswith(f".{apex}"):
            draft.bad(number, f"{owner!r} lies outside the zone {apex!r}")
            return
        trigger = owner.removesuffix(f".{apex}") if apex else owner
        flags = self._action(number, trigger, kind, rdata)
        if flags is None or (flags == _LOCAL and self._local == (trigger, flags)):
            return
        self._local = (trigger, flags)
        name, _, last = trigger.rpartition(".")
        if last in _RANGES:
            self._range(number, name, flags, _RANGES[last])
        elif last == "rpz-nsdname":
            self._name(number, name, flags | row.SERVER)
        elif last.startswith("rpz-"):
            draft.unsupported(number, f"the trigger {last} is not known")
        else:
            self._name(number, trigger, flags)

    def _name(self, number: int, text: str, flags: int) -> None:
        if text == "*":
            self._draft.refuse(number, "'*' stands for every name there is")
        elif text.startswith("*."):
            self._draft.keep(number, text[2:], flags | row.BELOW)
        else:
            self._draft.keep(number, text, flags | row.EXACT)

    def _action(self, number: int, trigger: str, kind: str, rdata: list[str]) -> int | None:
        """Return the action as an entry's flags; None if there is none, which is noted."""
        draft = self._draft
        if kind == "dname":
            draft.unsupported(number, "DNAME is no action")
        elif kind in ("a", "aaaa") and not _is_address(rdata[0], 4 if kind == "a" else 6):
            draft.bad(number, f"{rdata[0]!r} is not an address")
        elif kind != "cname":
            return _LOCAL
        elif (flags := _ACTIONS.get(rdata[0].encode())) is not None:
            return flags
        elif rdata[0] == f"{trigger}.":  # PASSTHRU as it was written before rpz-passthru
            return row.ALLOW
        elif rdata[0].startswith("rpz-") and rdata[0].count(".") <= 1:
            draft.bad(number, f"{rdata[0]!r} is not an action; is the dot at its end missing")
        else:
            return _LOCAL
        return None

    def _range(self, number: int, text: str, flags: int, trigger: Trigger | None) -> None:
        network = _network(text)
        allow = bool(flags & row.ALLOW)
        if network is None:
            self._draft.bad(number, f"{text!r} is not an address range. Write 24.0.2.0.192.rpz-ip for 192.0.2.0/24")
        elif trigger is not Trigger.CLIENT_IP and ranges.too_wide(network):
            self._draft.refuse(number, f"{network} is too wide a range to be one app's")
        elif trigger is Trigger.CLIENT_IP and not allow and ranges.too_many(network):
            self._draft.refuse(number, f"{network} are too many clients for a stranger to take all names from")
        else:
            answer = row.answer_of(flags)
            self._draft.add_range(
                Entry(
                    number,
                    str(network),
                    Scope.CIDR,
                    network,
                    allow=allow,
                    answer=answer,
                    exclusive=trigger is None,
                    trigger=trigger,
                )
            )


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """Return the range that an rpz-ip owner spells backwards, its prefix length first; None if it spells none."""
    size, *words = text.split(".")
    words.reverse()
    if len(words) == 4 and "zz" not in words:
        address = ".".join(words)
    else:
        address = ":".join("" if word == "zz" else word for word in words)
        address = f":{address}" if words[:1] == ["zz"] else address
        address = f"{address}:" if words[-1:] == ["zz"] else address
    try:
        return ip_network(f"{address}/{int(size)}") if size.isascii() and size.isdigit() and len(size) <= 3 else None
    except ValueError:
        return None


def _is_address(text: str, version: int) -> bool:
    try:
        return ip_address(text).version == version
    except ValueError:
        return False
