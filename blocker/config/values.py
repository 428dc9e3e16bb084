"""The values that configuration is made of, read from the text a person writes.

Each type says in its own words what is wrong with a text and how to write it. A ValueError's message
follows `file:line: path:` in what the operator sees.
"""

import re
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from blocker import names
from blocker.policy import Action

DNS_PORT: Final = 53

Where = tuple[str | int, ...]
"""A place in the file: keys and list positions, from the top."""

_SHORT_NAME: Final = r"^[a-z0-9][a-z0-9-]{0,31}$"
_CONTACT: Final = re.compile(r"mailto:[A-Za-z0-9.!#$&'*+/=?^_`{|}~%-]+@[A-Za-z0-9.-]+|tel:\+?[0-9][0-9().-]*")
_INTERFACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")  # IFNAMSIZ, and what rules can quote
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_WEB_PAGE: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/?&=%+@:,-]*)?")
_MAX_CONTACT: Final = 100  # characters
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


class Endpoint(NamedTuple):
    """An address and a port; written `192.0.2.1:53` or `[2001:db8::1]:53`."""

    address: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        """Return the endpoint as people write it."""
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


def endpoint(value: object, default_port: int | None = None) -> Endpoint:
    """Return the endpoint written as `value`; without `default_port` the port must be written.

    Raises ValueError saying what is wrong and how to write it.
    """
    if isinstance(value, Endpoint):
        return value
    how = "write 192.0.2.1:53 or '[2001:db8::1]:53'"
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an address and port; {how}")
    host, port = _split_port(value)
    try:
        address = ip_address(host)
    except ValueError as error:
        what = repr(value) if host == value else f"{value!r}: {host!r}"
        raise ValueError(f"{what} is not an IP address; {how}") from error
    if port is None:
        if default_port is None:
            raise ValueError(f"{value!r} has no port; {how}")
        return Endpoint(address, default_port)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(f"{value!r}: {port!r} is not a port number; {how}")
    return Endpoint(address, int(port))


def _split_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        return (host, rest[1:]) if bracket and rest.startswith(":") else (host, None)
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None


def server(value: object) -> Endpoint:
    """Return the resolver written as `value`, `ADDR` or `ADDR:PORT`. Raises ValueError."""
    found = endpoint(value, DNS_PORT)
    if found.port == 0:
        raise ValueError(f"{value!r}: nobody can be asked at port 0; leave the port out for {DNS_PORT}")
    if found.address.is_unspecified:
        raise ValueError(f"{value!r} is not the address of a resolver; for this machine write 127.0.0.1")
    return found


def network(value: object) -> IPv4Network | IPv6Network:
    """Return the address or prefix written as `value`. Raises ValueError."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    how = "write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an address or prefix; {how}")
    try:
        meant = ip_network(value, strict=False)
    except ValueError as error:
        raise ValueError(f"{value!r} is not an address or prefix; {how}") from error
    host = value.partition("/")[0]
    if meant.network_address != ip_address(host):
        raise ValueError(f"{value!r} has bits set beyond its length; write {meant}, or {host} for the one address")
    if isinstance(meant, IPv6Network) and meant.subnet_of(_MAPPED):
        raise ValueError(f"{value!r} is IPv4 in IPv6 dress; such clients are known by IPv4, so write it as IPv4")
    return meant


def address_v4(value: object) -> IPv4Address:
    """Return the IPv4 address written as `value`. Raises ValueError."""
    if isinstance(value, IPv4Address):
        return value
    try:
        return IPv4Address(_text(value, "an IPv4 address"))
    except AddressValueError as error:
        raise ValueError(f"{value!r} is not an IPv4 address") from error


def address_v6(value: object) -> IPv6Address:
    """Return the IPv6 address written as `value`, without a scope. Raises ValueError."""
    if isinstance(value, IPv6Address):
        return value
    try:
        found = IPv6Address(_text(value, "an IPv6 address"))
    except AddressValueError as error:
        raise ValueError(f"{value!r} is not an IPv6 address") from error
    if found.scope_id:
        raise ValueError(f"{value!r} has a scope, which cannot travel in an answer; remove '%{found.scope_id}'")
    return found


def address(value: object) -> IPv4Address | IPv6Address:
    """Return the IP address written as `value`, without a scope. Raises ValueError."""
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    return address_v6(value) if ":" in _text(value, "an IP address") else address_v4(value)


def web_page(value: object) -> str:
    """Return the address of a web page. Raises ValueError."""
    text = _text(value, "the address of a web page")
    if not _WEB_PAGE.fullmatch(text):
        raise ValueError(f"{text!r} is not the address of a web page; write https://office.example/decisions")
    return text


def zone(value: object) -> str:
    """Return the domain name `value` in its canonical spelling. Raises ValueError."""
    text = _text(value, "a domain name")
    if text.startswith("*."):
        raise ValueError(f"{text!r}: everything below a zone is meant anyway; write {text[2:]!r}")
    if any(char.isspace() for char in text):
        raise ValueError(f"{text!r} is not a domain name: it contains a space")
    return names.to_text(names.from_text(text))


def contact_uri(value: object) -> str:
    """Return the contact written as `value`, a `mailto:` or `tel:` URI. Raises ValueError."""
    text = _text(value, "a contact")
    if len(text) > _MAX_CONTACT or not _CONTACT.fullmatch(text):
        how = "write mailto:dns@office.example or tel:+1-613-555-0100"
        raise ValueError(f"{text!r} is not a contact for machines; {how}")
    return text


def language_tag(value: object) -> str:
    """Return the language written as `value`. Raises ValueError."""
    text = _text(value, "a language")
    if not _LANGUAGE.fullmatch(text):
        raise ValueError(f"{text!r} is not a language tag; write en, fr-CA or zh-Hant (RFC 5646)")
    return text


def file_path(value: object, info: ValidationInfo) -> Path:
    """Return the path `value`; a relative one starts at the folder of the file that it is written in.

    That folder is the validation context's `folder`. Raises ValueError.
    """
    if isinstance(value, Path):
        return value
    text = _text(value, "a path")
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is not a path")
    folder = (info.context or {}).get("folder")
    return Path(text) if folder is None else folder / text


def destination(value: object, info: ValidationInfo) -> Literal["off", "stdout"] | Path:
    """Return where a log goes. Raises ValueError."""
    if value is False or value == "off":  # YAML 1.1 reads a bare `off` as false
        return "off"
    if value == "stdout":
        return "stdout"
    if isinstance(value, str | Path):
        return file_path(value, info)
    raise ValueError(f"{value!r} is not a destination; write stdout, off, or the path of a file")


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not {what}; put it in quotes if it is meant as text")
    return value


def mistakes(found: Sequence[tuple[Where, str]]) -> PydanticCustomError:
    """Return what a check raises that found several mistakes, each at a place below what was checked."""
    return PydanticCustomError("mistakes", "inconsistent", {"found": tuple(found)})


def interface(value: object) -> str:
    """Return the name of a network interface. Raises ValueError."""
    if not isinstance(value, str) or not _INTERFACE.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a network interface; write eth0, lan.10 or br-lan")
    return value


def off(value: object) -> object:
    """Take a bare `off`, which YAML 1.1 reads as false, for what it was meant to be."""
    return "off" if value is False else value


def _written(form: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": form})


AddressV4 = Annotated[IPv4Address, PlainValidator(address_v4), PlainSerializer(str), _written("ipv4")]
AddressV6 = Annotated[IPv6Address, PlainValidator(address_v6), PlainSerializer(str), _written("ipv6")]
Address = Annotated[IPv4Address | IPv6Address, PlainValidator(address), PlainSerializer(str), _written("address")]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(network), PlainSerializer(str), _written("network")]
Listening = Annotated[Endpoint, PlainValidator(endpoint), PlainSerializer(str), _written("address:port")]
Server = Annotated[Endpoint, PlainValidator(server), PlainSerializer(str), _written("address[:port]")]
Zone = Annotated[str, PlainValidator(zone), _written("domain")]
FilePath = Annotated[Path, PlainValidator(file_path), PlainSerializer(str), _written("path")]
LanguageTag = Annotated[str, PlainValidator(language_tag), _written("language")]
WebPage = Annotated[str, PlainValidator(web_page), _written("url")]
ContactUri = Annotated[str, PlainValidator(contact_uri), _written("uri")]
Destination = Annotated[
    Literal["off", "stdout"] | Path,
    PlainValidator(destination),
    PlainSerializer(str),
    WithJsonSchema({"anyOf": [{"enum": ["stdout", "off"]}, {"type": "string", "format": "path"}]}),
]
Interface = Annotated[str, PlainValidator(interface), _written("interface")]
AppId = Annotated[str, Field(pattern=_SHORT_NAME, json_schema_extra={"format": "app"})]
Port = Annotated[int, Field(ge=1, le=65535)]
GroupName = Annotated[str, Field(pattern=_SHORT_NAME)]
BlockAction = Literal[Action.SINKHOLE, Action.NXDOMAIN, Action.NODATA, Action.REFUSED, Action.DROP]
