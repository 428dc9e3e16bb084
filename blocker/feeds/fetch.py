"""Fetches one list into a file: over HTTPS with the source's validators, or from a file of this machine.

Bounded in time, size, redirects and attempts. Tokens come from a file, go to the source alone, and are never told.
"""

import asyncio
import contextlib
import hashlib
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote, urlsplit

import httpx2
import stamina
from stamina.instrumentation import set_on_retry_hooks

from blocker import __version__
from blocker.config import Feed, Fetch
from blocker.errors import FeedError
from blocker.feeds import bootstrap
from blocker.feeds.facts import Edition
from blocker.feeds.unpack import Unpacker

_REDIRECTS: Final = 5
_REDIRECT: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that may be others in a moment
_CONNECT: Final = 10.0  # seconds for one connection at the most: a host may have other addresses
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 20.0  # seconds between attempts
_PAGES: Final = ("text/html", "application/xhtml+xml")
_PIECE: Final = 1 << 16  # octets
_HEADERS_SIZE: Final = 16384  # octets of a headers file
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*)")  # RFC 9110 §5.6.2, §5.5

Progress = Callable[[int, int | None], object]
"""Told how many octets have come, and of how many, as far as the source says so."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A list that has arrived whole."""

    sha256: str
    octets: int  # unpacked
    etag: str = ""
    modified: str = ""


def source_of(feed: Feed) -> str:
    """Return a text that is another one when the feed comes from another place: its validators end with it."""
    return hashlib.sha256(feed.url.encode()).hexdigest()


def fetch(
    feed: Feed, how: Fetch, known: Edition | None, target: Path, progress: Progress = lambda _octets, _of: None
) -> Fetched | None:
    """Write what the source of `feed` has into the file `target`; None: it still has the edition `known`.

    Raises FeedError, and then what is in `target` means nothing.
    """
    try:
        if feed.url.startswith("file:"):
            return _read(Path(unquote(urlsplit(feed.url).path)), feed, target)
        return asyncio.run(_in_time(feed, how, known, target, progress))
    except OSError as error:
        raise FeedError(f"{target}: cannot be written: {error.strerror}. Free some space.") from error


def _read(path: Path, feed: Feed, target: Path) -> Fetched:
    unpacker = Unpacker(feed.max_size << 20)
    try:
        if path.is_fifo() or path.is_char_device():  # would keep its reader waiting, or never end
            raise FeedError(f"{path}: is no regular file. Let the feed's url name one.")
        file = path.open("rb")
    except OSError as error:
        raise FeedError(f"{path}: cannot be read: {error.strerror}. Check the path and its permissions.") from error
    with file, target.open("wb") as out:
        while data := file.read(_PIECE):
            out.writelines(unpacker.feed(data))
        out.writelines(unpacker.end())
    return Fetched(unpacker.sha256, unpacker.octets)


async def _in_time(feed: Feed, how: Fetch, known: Edition | None, target: Path, progress: Progress) -> Fetched | None:
    set_on_retry_hooks([])  # stamina would log what it is given; our caller tells what failed in the end
    secrets = headers(feed.headers_file) if feed.headers_file else {}
    asked = {**_validators(known, feed), "User-Agent": f"blocker/{__version__}", "Accept-Encoding": "gzip"}
    try:
        async with asyncio.timeout(how.deadline), _client(how) as client:
            async for attempt in stamina.retry_context(
                on=_is_passing, attempts=how.attempts, timeout=None, wait_initial=_FIRST_PAUSE, wait_max=_LAST_PAUSE
            ):
                with attempt:
                    return await _once(client, feed, asked, secrets, target, progress)
    except TimeoutError as error:
        raise FeedError(f"{shown(feed.url)}: not complete within {how.deadline:g} s (fetch.deadline).") from error
    raise AssertionError("retry_context ends with a result or an error")


def _is_passing(error: Exception) -> bool:
    return isinstance(error, FeedError) and error.passing


def _client(how: Fetch) -> httpx2.AsyncClient:
    try:
        trusted = ssl.create_default_context(cafile=how.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise FeedError(f"fetch.ca_file: {how.ca_file} holds no certificates that can be read: {error}.") from error
    transport: httpx2.AsyncBaseTransport = httpx2.AsyncHTTPTransport(verify=trusted, trust_env=False, proxy=how.proxy)
    if how.resolvers and how.proxy is None:
        look_up = partial(bootstrap.addresses, resolvers=how.resolvers, timeout=how.timeout)
        transport = bootstrap.Directed(transport, look_up)
    timeout = httpx2.Timeout(how.timeout, connect=min(how.timeout, _CONNECT))
    return httpx2.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


def _validators(known: Edition | None, feed: Feed) -> dict[str, str]:
    if known is None or known.source != source_of(feed):
        return {}
    said = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    return {name: value for name, value in said.items() if value}


def headers(path: Path) -> dict[str, str]:
    """Return the `Name: value` lines in the file at `path`. Raises FeedError, which never quotes a line."""
    try:
        with path.open("rb") as file:
            lines = file.read(_HEADERS_SIZE).decode("ascii", "replace").splitlines()
    except OSError as error:
        raise FeedError(f"headers_file: {path} cannot be read: {error.strerror}. Check its owner and mode.") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        said = _HEADER.fullmatch(line.rstrip())
        if said is None:
            raise FeedError(f"headers_file: {path}:{number}: not a header. Write 'Authorization: Bearer ...'.")
        found[said[1]] = said[2]
    return found


async def _once(
    client: httpx2.AsyncClient,
    feed: Feed,
    asked: Mapping[str, str],
    secrets: Mapping[str, str],
    target: Path,
    progress: Progress,
) -> Fetched | None:
    """Ask the source, and those to whom it sends us."""
    source = url = httpx2.URL(feed.url)
    for _ in range(_REDIRECTS + 1):
        with _our_errors(url):
            own = secrets if _origin(url) == _origin(source) else {}
            response = await client.send(client.build_request("GET", url, headers={**asked, **own}), stream=True)
            try:
                if response.status_code not in _REDIRECT:
                    return await _taken(response, asked, feed, target, progress)
                url = _elsewhere(response, source)
            finally:
                await response.aclose()
    raise FeedError(f"{shown(feed.url)}: redirected more than {_REDIRECTS} times. Find the list's final URL.")


def _elsewhere(response: httpx2.Response, source: httpx2.URL) -> httpx2.URL:
    """Return where `response` sends us: over https and nowhere else, and from outside to no address of our own side."""
    where = response.headers.get("Location", "")
    try:
        url = response.request.url.join(where)
    except httpx2.InvalidURL as error:
        raise FeedError(f"redirected to {where[:80]!r}, which is no URL.") from error
    if url.scheme != "https" or not url.host or url.userinfo:
        raise FeedError(f"redirected to {shown(str(url))}, but redirects are followed over https only.")
    if _is_inside(url.host) and not _is_inside(source.host):
        raise FeedError(f"redirected to {shown(str(url))}, which is no host of the Internet's. Find the final URL.")
    return url


def _is_inside(host: str) -> bool:
    """Tell whether `host` is written as an address that only this machine or its own networks can mean.

    A name that leads there needs no look: that host has no certificate of the name's.
    """
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def _taken(
    response: httpx2.Response, asked: Mapping[str, str], feed: Feed, target: Path, progress: Progress
) -> Fetched | None:
    """Write the body of a final response to `target`."""
    status = response.status_code
    if status == 304 and ("If-None-Match" in asked or "If-Modified-Since" in asked):
        return None
    if status != 200:
        why = f"the source answers {status} {response.reason_phrase[:80]!r}. {_advice(status)}"
        raise FeedError(why, passing=status in _PASSING)
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() in _PAGES:
        raise FeedError("the source sends a web page, not a list. Open the URL in a browser and see.")
    packing = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", "x-gzip", ""):
        raise FeedError(f"the source packs the list as {packing[:40]!r}, although only gzip was offered.")
    said = response.headers.get("Content-Length", "")
    size = int(said) if said.isascii() and said.isdigit() and len(said) < 16 else None
    unpacker = Unpacker(feed.max_size << 20, gzip=packing in ("gzip", "x-gzip"))
    with target.open("wb") as out:
        await _write(response, unpacker, out, lambda octets: progress(octets, size))
    return Fetched(unpacker.sha256, unpacker.octets, _header(response, "ETag"), _header(response, "Last-Modified"))


async def _write(
    response: httpx2.Response, unpacker: Unpacker, out: BinaryIO, progress: Callable[[int], object]
) -> None:
    arrived = 0
    async for data in response.aiter_raw(_PIECE):
        arrived += len(data)
        out.writelines(unpacker.feed(data))
        progress(arrived)
    out.writelines(unpacker.end())


def _header(response: httpx2.Response, name: str) -> str:
    """Return a validator to send back, empty if it is none that we want to keep."""
    value: str = response.headers.get(name, "")
    return value if len(value) <= 256 and value.isascii() and value.isprintable() else ""


def _advice(status: int) -> str:
    if status in (401, 403, 407):
        return "Check the token in headers_file, and that it has not ended."
    if status in (404, 410):
        return "The list has moved or ended: find its new URL."
    return "It is tried again by itself; if it stays, ask the publisher."


@contextlib.contextmanager
def _our_errors(url: httpx2.URL) -> Iterator[None]:
    """Turn what the library raises into FeedErrors, each with the address that was asked."""
    where = shown(str(url))
    try:
        yield
    except FeedError as error:
        raise FeedError(f"{where}: {error}", passing=error.passing) from error
    except httpx2.TimeoutException as error:
        why = "no connection" if isinstance(error, httpx2.ConnectTimeout) else "silent for too long"
        raise FeedError(f"{where}: {why} (fetch.timeout).", passing=True) from error
    except httpx2.HTTPError as error:
        if (refused := _certificate_error(error)) is not None:
            why = f"{where}: its certificate is refused: {refused.verify_message or refused}."
            raise FeedError(f"{why} Never work around this; tell the publisher, or set fetch.ca_file.") from error
        raise FeedError(f"{where}: {_plain(error)}.", passing=True) from error


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _plain(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text[:200].rstrip(".")


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def shown(url: str) -> str:
    """Return `url` for people: without a query, which may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]
