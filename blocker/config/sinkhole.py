"""The sinkhole section: what is served at the addresses that blocked names are answered with."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, Self

from pydantic import Field, model_validator

from blocker.config.models import Answers
from blocker.config.section import Section
from blocker.config.values import Address, Endpoint, Port, WebPage, Where, mistakes


class PageText(Section):
    """What the page says in one language; whatever is left empty is said in our own words."""

    organisation: str = Field(default="", max_length=120)
    """Who blocks, at the head of the page; empty: `answers.organisation`."""
    title: str = Field(default="", max_length=120)
    """The heading: that access is blocked."""
    body: str = Field(default="", max_length=2000)
    """What is blocked, `{app}` standing for the app; an empty line begins a new paragraph."""
    unknown: str = Field(default="", max_length=2000)
    """The same where it is not known what was blocked."""
    contact: str = Field(default="", max_length=2000)
    """Whom to ask; `answers.contact` and `answers.contacts` follow it."""
    notice: str = Field(default="", max_length=2000)
    """What becomes of the attempt: that it is recorded, and under which rules."""
    decisions: Mapping[str, str] = Field(default_factory=dict)
    """Texts of decisions by their id in the lists; of others the page tells what the list says."""


class SinkholeLimits(Section):
    """What one visitor, and all of them, may use up."""

    connections: int = Field(default=512, ge=1, le=100_000)
    """Open connections altogether."""
    per_client: int = Field(default=16, ge=1, le=10_000)
    """Open connections per client address; IPv6 clients count by /64."""
    rate: int = Field(default=500, ge=1, le=100_000)
    """New connections a second altogether; a burst may be twice as many."""
    rate_per_client: int = Field(default=10, ge=1, le=10_000)
    """New connections a second per client address; a burst may be four times as many."""
    read: float = Field(default=5.0, gt=0, le=60)
    """Seconds a visitor may take to say what it wants."""


class Sinkhole(Section):
    """What is served at the addresses that blocked names are answered with."""

    serve: bool = False
    """Serve a page over HTTP, and end everything else politely; changes need a restart, as those of the next three."""
    listen: tuple[Address, ...] = Field(default=(), max_length=8)
    """Addresses; not said: those of `answers.sinkhole_v4` and `answers.sinkhole_v6`."""
    ports: tuple[Port, ...] = Field(default=(80, 443), max_length=32)
    """Ports where visitors are heard: HTTP gets the page, TLS an alert behind its server name, all else a reset."""
    reset: tuple[Port, ...] = Field(default=(), max_length=64)
    """Ports where connections are recorded and reset at once, whatever they would say."""
    record_every: int = Field(default=10, ge=0, le=3600)
    """Seconds in which repeated attempts of one client at one name have one line in the log; all are counted."""
    first: Literal["en", "fr"] = "en"
    """The language that comes first for those who ask for neither."""
    blocked_by: WebPage | None = None
    """A page of whoever ordered the block, named in the `Link` header of answers with status 451 (RFC 7725 §4)."""
    limits: SinkholeLimits = SinkholeLimits()
    """What one visitor, and all of them, may use up."""
    en: PageText = PageText()
    """The page's texts in English."""
    fr: PageText = PageText()
    """The page's texts in French."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := list(self._twice()):
            raise mistakes(found)
        return self

    def _twice(self) -> Iterator[tuple[Where, str]]:
        seen: set[object] = set()
        for key in ("listen", "ports", "reset"):
            for at, value in enumerate(getattr(self, key)):
                if value in seen:
                    yield (key, at), f"{value} is written twice; remove one of the two"
                seen.add(value)


def ends(sinkhole: Sinkhole, answers: Answers, ports: Sequence[int]) -> tuple[Endpoint, ...]:
    """Return where the sinkhole listens on `ports`, its own or some of them; nothing while it is off."""
    if not sinkhole.serve:
        return ()
    return tuple(Endpoint(address, port) for address in sinkhole.listen or _told(answers) for port in ports)


def strays(served: Collection[IPv4Address | IPv6Address], answers: Answers) -> tuple[str, ...]:
    """Return the addresses that blocked names are answered with, and that are not among those `served`.

    No mistake where the network translates them; otherwise clients meet nobody there.
    """
    wildcards = {each.version for each in served if each.is_unspecified}
    missing = (each for each in _told(answers) if each not in served and each.version not in wildcards)
    return tuple(map(str, missing))


def _told(answers: Answers) -> tuple[IPv4Address | IPv6Address, ...]:
    """Return the addresses that blocked names are answered with, if they are somebody's."""
    every: tuple[IPv4Address | IPv6Address, ...] = (*answers.sinkhole_v4, *answers.sinkhole_v6)
    return tuple(each for each in every if not each.is_unspecified)
