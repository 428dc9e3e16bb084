"""Numbers of the DNS protocol that we act upon, each with its source. Plain ints where a query passes.

Source: IANA "Domain Name System (DNS) Parameters" unless said otherwise.
"""

from enum import IntEnum
from typing import Final

HEADER_SIZE: Final = 12  # octets (RFC 1035 §4.1.1)
MAX_UDP_PLAIN: Final = 512  # octets a client without EDNS may be sent (RFC 1035 §4.2.1)
MAX_TCP: Final = 65535  # octets: the length prefix has 16 bits (RFC 1035 §4.2.2)
OUR_UDP_SIZE: Final = 1232  # octets: fits any path without fragments (DNS flag day 2020)

# The 16 bits after the id (RFC 1035 §4.1.1; AD and CD: RFC 4035 §3.2).
QR: Final = 0x8000
OPCODE: Final = 0x7800
AA: Final = 0x0400
TC: Final = 0x0200
RD: Final = 0x0100
RA: Final = 0x0080
AD: Final = 0x0020
CD: Final = 0x0010
RCODE: Final = 0x000F

DO: Final = 0x8000  # in the OPT record's flags (RFC 3225 §3)

CLASS_IN: Final = 1
CLASS_CHAOS: Final = 3

# Types that the line treats specially.
A: Final = 1
NS: Final = 2
CNAME: Final = 5
SOA: Final = 6
PTR: Final = 12
HINFO: Final = 13
MX: Final = 15
TXT: Final = 16
AAAA: Final = 28
SRV: Final = 33
DNAME: Final = 39
OPT: Final = 41
DS: Final = 43
RRSIG: Final = 46
SVCB: Final = 64
HTTPS: Final = 65
IXFR: Final = 251
AXFR: Final = 252
ANY: Final = 255

META_TYPES: Final = range(128, 256)  # question-only types (RFC 6895 §3.1)
NEVER_ASKED: Final = (OPT, 128)  # 128: NXNAME (RFC 6891 §6.1.1, RFC 9824 §3.3)

# EDNS options (RFC 6891 §6.1.2 and the registry).
OPTION_KEEPALIVE: Final = 11  # RFC 7828
OPTION_EDE: Final = 15  # RFC 8914
OPTION_SDE: Final = 26  # draft-ietf-dnsop-structured-dns-error: in a query, and empty

# Service parameter keys (RFC 9460 §14.3.2).
SVC_MANDATORY: Final = 0
SVC_IPV4HINT: Final = 4
SVC_ECH: Final = 5
SVC_IPV6HINT: Final = 6


class Rcode(IntEnum):
    """Response codes (RFC 1035 §4.1.1; BADVERS: RFC 6891 §9)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class Ede(IntEnum):
    """Extended DNS errors that we send (RFC 8914 §4)."""

    OTHER = 0
    STALE_ANSWER = 3
    CACHED_ERROR = 13
    NOT_READY = 14
    BLOCKED = 15
    CENSORED = 16
    FILTERED = 17
    PROHIBITED = 18
    STALE_NXDOMAIN = 19
    NOT_AUTHORITATIVE = 20
    NOT_SUPPORTED = 21
    NO_REACHABLE_AUTHORITY = 22
    NETWORK_ERROR = 23


# The same as plain ints, where every response passes: an Enum's member is a slow look-up on Python 3.11.
NOERROR: Final = 0
FORMERR: Final = 1
SERVFAIL: Final = 2
NXDOMAIN: Final = 3
NOTIMP: Final = 4
YXDOMAIN: Final = 6  # a DNAME made the name too long (RFC 6672 §2.2)

TYPE_NAMES: Final = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA", 29: "LOC",
    33: "SRV", 35: "NAPTR", 37: "CERT", 39: "DNAME", 43: "DS", 44: "SSHFP", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY",
    50: "NSEC3", 52: "TLSA", 61: "OPENPGPKEY", 64: "SVCB", 65: "HTTPS", 99: "SPF", 251: "IXFR", 252: "AXFR",
    255: "ANY", 256: "URI", 257: "CAA",
}  # fmt: skip
"""Types by number; also the closed set of metric labels."""

RCODE_NAMES: Final = {rcode.value: rcode.name for rcode in Rcode}


def type_text(qtype: int) -> str:
    """Return the name of `qtype` for people, `TYPE123` where it has none here (RFC 3597 §5)."""
    return TYPE_NAMES.get(qtype) or f"TYPE{qtype}"


def type_from_text(text: str) -> int:
    """Return the type written as `text`, by name or as `TYPE123`. Raises ValueError."""
    upper = text.upper()
    for number, name in TYPE_NAMES.items():
        if name == upper:
            return number
    if upper.startswith("TYPE") and upper[4:].isdigit() and int(upper[4:]) <= 0xFFFF:
        return int(upper[4:])
    raise ValueError(f"{text!r} is not a DNS type; write A, AAAA, HTTPS, ... or TYPE123")
