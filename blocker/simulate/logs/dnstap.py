"""dnstap (dnstap.info), as Unbound, BIND, Knot, dnsdist and PowerDNS write it to a file: what clients asked.

A server may log each query, each response, or both. The kind that comes first in a file is the one that is counted;
a response also tells the aliases and addresses in it.
"""

import struct
from ipaddress import ip_address
from typing import BinaryIO, Final

from blocker import names
from blocker.errors import WireError
from blocker.simulate.logs import framestream, protobuf, times
from blocker.simulate.logs.record import BATCH, BadLineError, Batches, Query, Tally
from blocker.wire import response
from blocker.wire.constants import HEADER_SIZE, type_text

# Numbers of dnstap.proto. Of Dnstap:
_MESSAGE: Final = 14
# Of Message:
_TYPE: Final = 1
_QUERY_ADDRESS: Final = 4
_QUERY_SEC: Final = 8
_QUERY_NSEC: Final = 9
_QUERY_MESSAGE: Final = 10
_RESPONSE_SEC: Final = 12
_RESPONSE_NSEC: Final = 13
_RESPONSE_MESSAGE: Final = 14
# Of Message.Type:
CLIENT_QUERY: Final = 5
CLIENT_RESPONSE: Final = 6

_VIAS: Final = 16  # aliases and addresses kept of one response


def read(stream: BinaryIO, tally: Tally) -> Batches:
    """Yield the queries in `stream`; a bad frame is told by its number."""
    batch: list[Query] = []
    counted = 0  # the type of message that is counted
    number = 0
    found = framestream.frames(stream)
    while True:
        number += 1
        try:
            frame = next(found, None)
            if frame is None:
                break
            kind, message = _message(frame)
            counted = counted or (kind if kind in (CLIENT_QUERY, CLIENT_RESPONSE) else 0)
            if kind != counted or not counted:
                tally.ignored += 1
                continue
            batch.append(_query(kind, message))
        except BadLineError as error:
            tally.refuse(number, f"frame: {error}")
            continue
        if len(batch) == BATCH:
            tally.queries += BATCH
            yield batch
            batch = []
    tally.queries += len(batch)
    if batch:
        yield batch


def _message(frame: bytes) -> tuple[int, protobuf.Fields]:
    message = protobuf.fields(protobuf.octets(protobuf.fields(frame), _MESSAGE))
    return protobuf.number(message, _TYPE), message


def _query(kind: int, message: protobuf.Fields) -> Query:
    asked = kind == CLIENT_QUERY
    wire = protobuf.octets(message, _QUERY_MESSAGE if asked else _RESPONSE_MESSAGE)
    qname, qtype, end = _question(wire)
    address = protobuf.octets(message, _QUERY_ADDRESS)
    if len(address) not in (4, 16):
        raise BadLineError("no client's address")
    when = times.from_unix(
        protobuf.number(message, _QUERY_SEC if asked else _RESPONSE_SEC),
        protobuf.number(message, _QUERY_NSEC if asked else _RESPONSE_NSEC),
    )
    via = "" if asked else _via(wire, qname, end, qtype)
    return Query(when, str(ip_address(address)), names.to_text(qname), type_text(qtype), via)


def _question(wire: bytes) -> tuple[names.Name, int, int]:
    """Return the name and type that a message asks for, and where its question ends."""
    if len(wire) < HEADER_SIZE or wire[4:6] != b"\0\1":
        raise BadLineError("not a DNS message with one question")
    at = HEADER_SIZE
    try:
        while length := wire[at]:
            if length > names.MAX_LABEL:
                raise BadLineError("a compressed name in the question")
            at += 1 + length
        name = wire[HEADER_SIZE : at + 1].lower()
        if len(name) > names.MAX_NAME:
            raise BadLineError(f"a name of more than {names.MAX_NAME} octets")
        (qtype,) = struct.unpack_from("!H", wire, at + 1)
    except (IndexError, struct.error):
        raise BadLineError("the question is cut short") from None
    return name, qtype, at + 5


def _via(wire: bytes, qname: names.Name, end: int, qtype: int) -> str:
    """Return the aliases and addresses in a response; none where it is malformed, since its query counts anyway."""
    try:
        found = response.scan(wire, end, qtype)
    except WireError:
        return ""
    aliases = [names.to_text(alias) for alias in dict.fromkeys(found.aliases) if alias != qname]
    addresses = [str(ip_address(address)) for address in found.addresses]
    return " ".join((aliases + addresses)[:_VIAS])
