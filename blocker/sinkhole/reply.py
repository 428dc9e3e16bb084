"""What a visitor is told: the page over HTTP, an alert over TLS, nothing over anything else. Pure.

Nothing of what a visitor sent is in a header or an alert. HTTP: 451 where the block rests on a decision, else 403
(RFC 7725, RFC 9110 §15.5.4), with a page for people and plain text for programs.
"""

from collections.abc import Iterable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from blocker.egress.hello.seen import Hello, Request
from blocker.sinkhole import language, page
from blocker.sinkhole.page import Blocked
from blocker.sinkhole.style import DIGEST
from blocker.sinkhole.visit import Visit
from blocker.sinkhole.wording import Wording

UNRECOGNIZED_NAME: Final = 112  # RFC 8446 §6.2: no server here has the name that was asked for
MISSING_EXTENSION: Final = 109  # RFC 8446 §9.2: what a server says that requires a name and got none
# access_denied (49) would be about the client's certificate, and browsers say so: "bad client certificate".

_FATAL: Final = 2
_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
_CONTENT_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{DIGEST}'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


def to(visit: Visit, blocked: Blocked | None, wording: Wording, when: float) -> bytes:
    """Return what `visit` is answered with at unix time `when`; nothing: it is to be reset.

    `blocked` None: it is not known what was blocked.
    """
    if isinstance(visit.said, Request):
        return _page(visit, visit.said, blocked, wording, when)
    if isinstance(visit.said, Hello):
        return alert(MISSING_EXTENSION if visit.said.name is None else UNRECOGNIZED_NAME)
    return b""


def alert(description: int) -> bytes:
    """Return a fatal alert in a record of its own (RFC 8446 §5.1, §6)."""
    return bytes((21, 3, 3, 0, 2, _FATAL, description))


def _page(visit: Visit, request: Request, blocked: Blocked | None, wording: Wording, when: float) -> bytes:
    languages = language.order(visit.accept_language, _all(wording))
    for_people = language.wants_page(visit.accept)
    body = (page.html if for_people else page.text)(wording, blocked, languages, when).encode()
    by_decision = blocked is not None and bool(blocked.reference)
    status = HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS if by_decision else HTTPStatus.FORBIDDEN
    headers = dict(_headers(_HTML if for_people else _TEXT, len(body), languages, when))
    if by_decision and wording.blocked_by:
        headers["Link"] = f'<{wording.blocked_by}>; rel="blocked-by"'
    return _head(status, headers.items()) + (b"" if request.method == b"HEAD" else body)


def _all(wording: Wording) -> tuple[str, ...]:
    return (wording.first, *(each for each in wording.voices if each != wording.first))


def _headers(content_type: str, size: int, languages: Iterable[str], when: float) -> Iterator[tuple[str, str]]:
    yield "Date", formatdate(when, usegmt=True)
    yield "Content-Type", content_type
    yield "Content-Length", str(size)
    yield "Content-Language", ", ".join(languages)
    yield "Connection", "close"
    yield "Cache-Control", "no-store"  # the block must not outlive itself in anybody's cache
    yield "Content-Security-Policy", _CONTENT_POLICY
    yield "X-Content-Type-Options", "nosniff"
    yield "Referrer-Policy", "no-referrer"


def _head(status: HTTPStatus, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
