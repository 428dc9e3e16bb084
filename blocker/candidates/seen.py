"""What is seen of one query: who asked for what, and what the lists had to say of it.

Pure, and bounded: a record of the journal or a verdict goes in. Must not know what follows from it.
"""

import json
from enum import StrEnum
from typing import Final, NamedTuple

from blocker import names
from blocker.config import SELFTEST
from blocker.errors import NameFormatError
from blocker.names import Name
from blocker.policy import PASSTHRU, Action, Trigger, Verdict

_LARGEST: Final = 8192  # octets of a record; ours have some 300


class How(StrEnum):
    """What the lists had to say of a name."""

    NOTHING = "nothing"  # nobody has listed it
    LISTED = "listed"  # the name itself is blocked or monitored
    ALIAS = "alias"  # the answer led by CNAME, DNAME, SVCB or HTTPS into a listed zone
    ADDRESS = "address"  # the answer held an address where only the app answers
    KNOWN = "known"  # an exception, or house-keeping: somebody has decided on it


_NOWHERE: Final = ("NXDOMAIN", "SERVFAIL")  # rcodes as records say them
_HOW: Final = {
    Trigger.QNAME.value: How.LISTED,
    Trigger.ALIAS.value: How.ALIAS,
    Trigger.RESPONSE_IP.value: How.ADDRESS,
}


class Seen(NamedTuple):
    """One query."""

    when: float  # unix time
    client: bytes  # an address, or whatever tells clients apart; it is never kept on disk
    qname: Name
    how: How = How.NOTHING
    app: str = ""  # of the entry that matched
    via: str = ""  # the alias or address in the answer, as text


def of_record(when: float, client: bytes, tail: bytes) -> Seen | None:
    """Return what a journal record tells (events.tail); None if it is none of ours, or of a self-test."""
    if len(tail) > _LARGEST:
        return None
    try:
        said = json.loads(b"{" + tail.rstrip(b"\0") + b"}")
        qname = names.from_text(said["qname"])
        app = said.get("app", "")
        if said["group"] == SELFTEST:
            return None
        if not app:  # a name that does not exist is nobody's: anybody can make up any number of them
            return Seen(when, client, qname) if said["rcode"] not in _NOWHERE else None
        if said["action"] == Action.PASSTHRU:
            return Seen(when, client, qname, How.KNOWN)
        return Seen(when, client, qname, _HOW.get(said["trigger"], How.KNOWN), app, said.get("via", ""))
    except (ValueError, TypeError, KeyError, AttributeError, NameFormatError, RecursionError):
        return None


def of_verdict(when: float, client: bytes, qname: Name, verdict: Verdict) -> Seen:
    """Return what a verdict tells of a query in a log."""
    rule = verdict.rule
    if verdict is PASSTHRU or rule is None:
        return Seen(when, client, qname)
    if verdict.action is Action.PASSTHRU and not verdict.monitored:
        return Seen(when, client, qname, How.KNOWN)
    return Seen(when, client, qname, _HOW.get(verdict.trigger.value, How.KNOWN), rule.app, verdict.via)
