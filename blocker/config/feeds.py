"""Lists that others publish: where they are fetched from, when, and how far an update may go without a person."""

import re
from collections.abc import Iterator
from datetime import time
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from blocker.config.section import Section
from blocker.config.values import AppId, FilePath, GroupName, Server, Where, mistakes

DAY: Final = 86400  # seconds: how often a feed is fetched unless it says otherwise
MAX_FEEDS: Final = 256
UTC: Final = "UTC"

_SCHEMES: Final = ("https", "http", "file")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PROXY: Final = "write http://proxy.example:3128"


def feed_url(value: object) -> str:
    """Return the address of a list: https, http or file, without a name and password. Raises ValueError."""
    text = _url(value, "write https://lists.example/domains.txt, or file:///srv/lists/domains.txt")
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{text!r}: feeds come over https, http or file, not {parts.scheme or 'nothing'!r}")
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/") or parts.query:
            raise ValueError(f"{text!r} is not a file of this machine; write file:///srv/lists/domains.txt")
    elif not parts.hostname:
        raise ValueError(f"{text!r} names no host; write https://lists.example/domains.txt")
    return text


def proxy_url(value: object) -> str:
    """Return the address of an HTTP proxy. Raises ValueError."""
    text = _url(value, _PROXY)
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"{text!r} is not a proxy; {_PROXY}")
    return text


def _url(value: object, how: str) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(f"{value!r} is not a URL; {how}")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{value!r} is not a URL: {error}; {how}") from error
    if parts.username is not None or parts.password is not None:  # what is wrong must not show the password
        raise ValueError("a name and password do not belong into a URL; put an Authorization line into headers_file")
    if parts.fragment:
        raise ValueError(f"{value!r}: remove '#{parts.fragment}', which never leaves this machine")
    return value


def time_of_day(value: object) -> time:
    """Return the time written as `HH:MM`. Raises ValueError."""
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not (found := _TIME.fullmatch(value)):
        raise ValueError(f"{value!r} is not a time of day; write it in quotes, '03:30' or '15:05'")
    return time(int(found[1]), int(found[2]))


def time_zone(value: object) -> str:
    """Return the name of a time zone in the IANA database. Raises ValueError."""
    if value == UTC:  # known without the database, which small containers do not have
        return UTC
    try:
        return ZoneInfo(str(value)).key
    except (OSError, ValueError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{value!r} is not a time zone; write UTC or Europe/Berlin") from error


def sha256(value: object) -> str:
    """Return the SHA-256 written as 64 hexadecimal digits. Raises ValueError."""
    text = value.lower() if isinstance(value, str) else ""
    if not _SHA256.fullmatch(text):
        raise ValueError(f"{value!r} is not a SHA-256; `sha256sum FILE` prints its 64 hexadecimal digits")
    return text


def _written(form: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": form})


FeedUrl = Annotated[str, PlainValidator(feed_url), _written("url")]
ProxyUrl = Annotated[str, PlainValidator(proxy_url), _written("url")]
TimeOfDay = Annotated[time, PlainValidator(time_of_day), PlainSerializer(lambda at: f"{at:%H:%M}"), _written("time")]
TimeZone = Annotated[str, PlainValidator(time_zone), _written("time zone")]
Sha256 = Annotated[str, PlainValidator(sha256), _written("sha256")]


def whose(app: str | None, category: str | None) -> Iterator[tuple[Where, str]]:
    """Yield what is wrong with saying whose a list's names are: an app's or a category's, one of the two."""
    if app is None and category is None:
        yield ("app",), "is missing; name the app that the list is about, or a category: malware, gambling, ..."
    elif app is not None and category is not None:
        yield ("category",), "there is also 'app'; remove one of the two"


class Feed(Section):
    """A list that somebody else publishes, fetched by schedule."""

    name: GroupName
    """A short name: it labels metrics, log lines and the feed's folder."""
    url: FeedUrl
    """Where the list is: `https://...` or `file:///...`; `http://...` only with `insecure`."""
    app: AppId | None = None
    """The app that its names belong to; it may have other lists too."""
    category: AppId | None = None
    """Instead of `app`: what kind of names it holds, which no decision bans as an app (`malware`, `gambling`). Groups
    block and monitor a category by this name, as they do an app."""
    format: Literal["auto", "domains", "hosts", "wildcard", "adblock", "dnsmasq", "rpz"] = "auto"
    """How the list is written; `auto`: seen from its content."""
    every: int | None = Field(default=None, ge=300, le=2_592_000)
    """Seconds from one successful look at the source to the next; not said: 86400, or as `at` says."""
    at: TimeOfDay | None = None
    """The time of day at which it is fetched, `'HH:MM'`, instead of `every`."""
    zone: TimeZone = UTC
    """The time zone of `at`."""
    max_size: int = Field(default=64, ge=1, le=64)
    """MiB that the list may have, unpacked."""
    shrink: float = Field(default=0.2, ge=0, le=1)
    """Share of the names in force that an update may lose; if it loses more it is held for a person."""
    growth: float = Field(default=5.0, ge=1, le=1000)
    """Times as many names as are in force that an update may have; if it has more it is held for a person."""
    sha256: Sha256 | None = None
    """The only content that is accepted; not said: whatever the source has."""
    headers_file: FilePath | None = None
    """A file of `Name: value` lines sent to the source alone, such as Authorization; read at each fetch."""
    insecure: bool = False
    """Allow `http://`: anybody on the way can then change the list."""

    @property
    def subject(self) -> str:
        """The app or category that its names belong to; both are known by one kind of name."""
        return self.app or self.category or ""

    @property
    def interval(self) -> int:
        """The seconds between two fetches when all goes well."""
        return DAY if self.every is None else self.every

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found: list[tuple[Where, str]] = []
        if self.url.startswith("http:") and not self.insecure:
            found.append((("url",), "anybody on the way can change it; write https://, or say insecure: true"))
        if self.at is not None and self.every is not None:
            found.append((("at",), "there is also 'every'; remove one of the two"))
        found += whose(self.app, self.category)
        if found:
            raise mistakes(found)
        return self


class Fetch(Section):
    """How feeds are fetched."""

    resolvers: tuple[Server, ...] = ()
    """Who is asked for the addresses of feed hosts, `ADDR` or `ADDR:PORT`; none: the system's resolver, which
    must then not be this proxy alone."""
    proxy: ProxyUrl | None = None
    """An HTTP proxy, `http://HOST:PORT`, which then also looks up the hosts' addresses."""
    ca_file: FilePath | None = None
    """Certificates to trust instead of the system's, PEM."""
    timeout: float = Field(default=30.0, gt=0, le=600)
    """Seconds a source may be silent."""
    deadline: float = Field(default=300.0, gt=0, le=3600)
    """Seconds one fetch may take altogether, with redirects and new attempts."""
    attempts: int = Field(default=3, ge=1, le=10)
    """Times a source is tried in one fetch, if it seems to fail for the moment only."""
