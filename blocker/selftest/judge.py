"""Is this what a client had to hear? The answer is held against the one that the policy asks for.

Pure: a check, the query and what came back go in, the reason of a failure comes out.
"""

from blocker import answer
from blocker.answer import BLOCK_EDE, Wording
from blocker.errors import WireError
from blocker.events import told
from blocker.policy import Action
from blocker.selftest.plan import Check
from blocker.wire import response
from blocker.wire.constants import MAX_TCP, OUR_UDP_SIZE, RCODE_NAMES, A, Rcode
from blocker.wire.query import Query, parse_query
from blocker.wire.response import Response


def failure(check: Check, query: bytes, reply: bytes | None, wording: Wording, *, tcp: bool) -> str:
    """Return why `reply` to `query` is not what `check` expects; empty if it is."""
    asked = parse_query(query)
    if check.verdict.action is Action.DROP:
        return "" if reply is None else f"it answered {_said(asked, reply)} where the policy wants silence"
    if reply is None:
        return "it gave no answer"
    try:
        found = response.scan(reply, asked.question_end, A)
    except WireError:
        return "its answer is malformed"
    if not check.app:
        return _unresolved(found)
    wanted = answer.blocked(asked, check.verdict, wording, MAX_TCP if tcp else OUR_UDP_SIZE)
    expected = response.scan(wanted, asked.question_end, A)
    if (found.rcode, found.addresses, found.ede) == (expected.rcode, expected.addresses, expected.ede):
        return ""
    said, due = _said(asked, reply), _said(asked, wanted)
    return f"it answered {said}, not {due}" if said != due else f"it answered {said}, and gave another reason"


def block(query: bytes, reply: bytes) -> str:
    """Return how `reply` blocks what `query` asked, by what it says of itself; empty if it does not."""
    try:
        return _block(response.scan(reply, parse_query(query).question_end, A))
    except WireError:
        return ""


def _unresolved(found: Response) -> str:
    if found.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return f"it answered {RCODE_NAMES.get(found.rcode, str(found.rcode))}"
    return _block(found)


def _block(found: Response) -> str:
    at = 0
    while at < len(found.ede):  # options on the wire: code, length, content
        length = int.from_bytes(found.ede[at + 2 : at + 4])
        if int.from_bytes(found.ede[at + 4 : at + 6]) in BLOCK_EDE.values():
            text = found.ede[at + 6 : at + 4 + length].decode("utf-8", "replace")
            return f"it is blocked, {text!r}" if text else "it is blocked"
        at += 4 + length
    return ""


def _said(asked: Query, reply: bytes) -> str:
    try:
        said = told(reply, response.scan(reply, asked.question_end, A).addresses)
    except WireError:
        return "nonsense"
    return said if isinstance(said, str) else " ".join(said)
