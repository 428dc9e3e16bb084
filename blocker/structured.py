"""What a blocked client that can read it is told in a form for machines: who blocked, why, and whom to ask.

Pure. Structured DNS errors (draft-ietf-dnsop-structured-dns-error): a client asks for them by an EDNS option of its
own, and hears I-JSON (RFC 7493) in the extended error's text instead of a sentence.
"""

import json
from dataclasses import dataclass
from typing import Final

from blocker.wire.constants import Ede

MAX_TTL: Final = 60  # seconds: the draft's upper advice (10 to 60) for answers that were filtered
NETWORK_POLICY: Final = 5  # sub-errors (draft, New Sub-Error Codes Definition) ...
DNS_POLICY: Final = 6
_SUB_ERRORS_GO_WITH: Final = (Ede.BLOCKED,)  # ... and the only code that they apply to
_CODES: Final = (Ede.BLOCKED, Ede.CENSORED, Ede.FILTERED)  # with any other the client throws the text away
_MAX_JUSTIFICATION: Final = 300  # octets


@dataclass(frozen=True, slots=True)
class Operator:
    """Who blocks, for people at the other end."""

    contacts: tuple[str, ...] = ()  # URIs, `tel:` or `mailto:`
    organisation: str = ""
    language: str = "en"  # of the organisation's name and of the reasons in the lists (RFC 5646)
    sub_error: int = NETWORK_POLICY


NOBODY: Final = Operator()


def applies(code: Ede) -> bool:
    """Tell whether a client reads structure behind an extended error with this code."""
    return code in _CODES


def text(operator: Operator, code: Ede, justification: str, room: int) -> bytes:
    """Return the JSON for an extended error with `code`, at most `room` octets; nothing when nothing fits.

    What people read goes first when there is no room: a cut answer would cost a second query over TCP.
    """
    said: dict[str, object] = {}
    if operator.contacts:
        said["c"] = list(operator.contacts)
    reason = justification.encode("utf-8", "replace")[:_MAX_JUSTIFICATION].decode(errors="ignore")
    if reason:
        said["j"] = reason
    if code in _SUB_ERRORS_GO_WITH:
        said["s"] = operator.sub_error
    if operator.organisation:
        said["o"] = operator.organisation
    if "j" in said or "o" in said:
        said["l"] = operator.language
    for without in ((), ("o",), ("o", "j", "l"), ("o", "j", "l", "c")):
        left = {name: value for name, value in said.items() if name not in without}
        if left.keys() & {"c", "j", "s"}:  # without any of these a client throws it all away
            wire = json.dumps(left, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
            if len(wire) <= room:
                return wire
    return b""
