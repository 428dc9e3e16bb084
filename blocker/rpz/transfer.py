"""Fetches a policy zone from a primary: IXFR or AXFR over TCP, signed where there is a key (RFC 5936, 1995, 8945).

Every wait and every size has a limit. What comes is checked by intake.py; what to do with it is imports.py's.
"""

import contextlib
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig

from blocker.config import Endpoint
from blocker.rpz.intake import Intake, NoStepsError, TransferError
from blocker.rpz.taken import Soa

CONNECT: Final = 5.0  # seconds
SILENCE: Final = 15.0  # seconds between two pieces of a transfer
WHOLE: Final = 900.0  # seconds of a transfer
_OCTETS: Final = 512  # a record may have on average
_UNSIGNED: Final = 99  # messages in a row that may lack a signature (RFC 8945 §5.3.1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to ask for."""

    zone: str
    serial: int | None  # what we have; None: nothing
    key: dns.tsig.Key | None
    limit: int  # records


@dataclass(frozen=True, slots=True)
class Got:
    """How a transfer ended well."""

    kind: str  # soa (up to date), axfr or ixfr
    soa: Soa
    went: frozenset[str] = frozenset()  # lines, of an ixfr
    came: tuple[str, ...] = ()


def fetch(primary: Endpoint, wanted: Wanted, keep: Callable[[str], object]) -> Got:
    """Transfer a zone; the lines of a full transfer go to `keep` one by one. Raises TransferError saying why not."""
    try:
        with _connected(primary) as sock:
            return _talk(sock, wanted, keep)
    except TransferError as error:
        raise type(error)(f"{wanted.zone} from {primary}: {error}") from error
    except OSError as error:
        raise TransferError(f"{wanted.zone} from {primary}: {error.strerror or error or 'no answer'}") from error


@contextlib.contextmanager
def _connected(primary: Endpoint) -> Iterator[socket.socket]:
    sock = socket.create_connection((str(primary.address), primary.port), CONNECT)
    try:
        yield sock
    finally:
        sock.close()


def _talk(sock: socket.socket, wanted: Wanted, keep: Callable[[str], object]) -> Got:
    query = _query(wanted)
    packet = query.to_wire()
    sock.sendall(len(packet).to_bytes(2) + packet)
    origin = query.question[0].name
    intake = Intake(origin, wanted.serial, wanted.limit, keep)
    for records in _answers(sock, query, wanted):
        for rrset in records:
            for rdata in rrset:
                intake.take(rrset.name, rdata)
        if intake.up_to_date and wanted.serial is not None:
            return Got("soa", _soa(intake))
        if intake.done:
            return Got("axfr", _soa(intake)) if intake.full else _changes(intake)
    intake.end()
    raise AssertionError  # end() has raised


def _changes(intake: Intake) -> Got:
    return Got("ixfr", _soa(intake), frozenset(intake.went), tuple(intake.came))


def _soa(intake: Intake) -> Soa:
    assert intake.soa is not None
    return intake.soa


def _query(wanted: Wanted) -> dns.message.QueryMessage:
    kind = dns.rdatatype.AXFR if wanted.serial is None else dns.rdatatype.IXFR
    query = dns.message.make_query(wanted.zone, kind, flags=0, id=secrets.randbits(16))
    if wanted.serial is not None:
        soa = f". . {wanted.serial} 0 0 0 0"
        query.authority.append(
            dns.rrset.from_text(query.question[0].name, 0, dns.rdataclass.IN, dns.rdatatype.SOA, soa)
        )
    if wanted.key is not None:
        query.use_tsig(wanted.key)
    return query


def _answers(sock: socket.socket, query: dns.message.QueryMessage, wanted: Wanted) -> Iterator[list[dns.rrset.RRset]]:
    """Yield the answer sections of the messages, none before a signature covers it: the last one is always signed."""
    origin = query.question[0].name
    keyring = {wanted.key.name: wanted.key} if wanted.key else None
    context = None
    unsigned: list[list[dns.rrset.RRset]] = []
    for packet in _messages(sock, wanted.limit):
        try:
            message = dns.message.from_wire(
                packet, keyring=keyring, request_mac=query.mac, xfr=True, origin=None, tsig_ctx=context, multi=True,
                one_rr_per_rrset=True,
            )  # fmt: skip
        except dns.exception.DNSException as error:
            raise TransferError(_said(error)) from error
        except (ValueError, IndexError, KeyError, AssertionError) as error:  # what the parser trips over
            raise TransferError(f"a message cannot be read: {error}") from error
        context = message.tsig_ctx
        if message.id != query.id or not message.flags & dns.flags.QR:
            raise TransferError("a message answers something else")
        if wanted.serial is not None and message.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
            raise NoStepsError("it knows no IXFR")
        if message.rcode() != dns.rcode.NOERROR:
            raise TransferError(f"it says {dns.rcode.to_text(message.rcode())}{_hint(message.rcode())}")
        if message.flags & dns.flags.TC:
            raise TransferError("a message was truncated")
        if message.question and message.question[0].name != origin:
            raise TransferError("a message answers something else")
        unsigned.append(message.answer)
        if keyring is not None and not message.had_tsig:
            if len(unsigned) > _UNSIGNED:
                raise TransferError("it is not signed, and must be")
            continue
        yield from unsigned
        unsigned.clear()
    if unsigned:
        raise TransferError("its end is not signed, and must be")


def _messages(sock: socket.socket, limit: int) -> Iterator[bytes]:
    """Yield the messages of a stream until it ends, within the limits on time and size."""
    deadline = time.monotonic() + WHOLE
    room = limit * _OCTETS
    waiting = bytearray()
    while True:
        while len(waiting) >= 2 and len(waiting) >= 2 + int.from_bytes(waiting[:2]):
            size = int.from_bytes(waiting[:2])
            yield bytes(waiting[2 : 2 + size])
            del waiting[: 2 + size]
        left = deadline - time.monotonic()
        if left <= 0:
            raise TransferError(f"it took longer than {WHOLE:g} s")
        sock.settimeout(min(SILENCE, left))
        try:
            piece = sock.recv(1 << 16)
        except TimeoutError as error:
            raise TransferError(f"nothing came for {SILENCE:g} s") from error
        if not piece:
            if waiting:
                raise TransferError("it was cut short in a message")
            return
        room -= len(piece)
        if room < 0:
            raise TransferError("it is larger than rpz.imports max_records allows")
        waiting += piece


def _said(error: dns.exception.DNSException) -> str:
    if isinstance(error, dns.message.UnknownTSIGKey):
        return "it is signed with a key that we do not have"
    if type(error).__module__ == "dns.tsig":
        return f"its signature is wrong: {type(error).__name__}. Compare the key at both ends, and the clocks"
    return f"a message cannot be read: {error or type(error).__name__}"


def _hint(rcode: int) -> str:
    if rcode == dns.rcode.NOTAUTH:
        return ": it does not have the zone, or does not know the key"
    return ": it does not allow us the zone" if rcode == dns.rcode.REFUSED else ""
