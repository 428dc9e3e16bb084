"""Frame Streams, the container of dnstap files (farsightsec/fstrm): frames with a length before each. Bounded.

A frame of length 0 begins a control frame: its own length, then its type and fields.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from blocker.simulate.logs.record import BadLineError

MAX_FRAME: Final = 1 << 17  # octets: a DNS message of 64 KiB and what dnstap says around it
MAX_CONTROL: Final = 512  # octets (FSTRM_CONTROL_FRAME_LENGTH_MAX)
CONTENT_TYPE: Final = b"protobuf:dnstap.Dnstap"
_WORD: Final = 4
_START: Final = 2
_STOP: Final = 3
_FIELD_CONTENT_TYPE: Final = 1


def looks(head: bytes) -> bool:
    """Tell whether `head`, a file's first octets, begins a stream of dnstap."""
    return head[:4] == bytes(4) and head[8:12] == _START.to_bytes(4) and CONTENT_TYPE in head[:MAX_CONTROL]


def frames(stream: BinaryIO) -> Iterator[bytes]:
    """Yield each data frame up to the stop frame, or to the end of a file that is still being written.

    Raises BadLineError where the lengths stop making sense: nothing behind that place can be found.
    """
    while len(word := stream.read(_WORD)) == _WORD:
        length = int.from_bytes(word)
        if length == 0:
            if _control(stream) == _STOP:
                return
            continue
        if length > MAX_FRAME:
            raise BadLineError(f"a frame of {length} octets; {MAX_FRAME} are the most")
        frame = stream.read(length)
        if len(frame) < length:
            return
        yield frame


def _control(stream: BinaryIO) -> int:
    """Return the type of the control frame that follows. Raises BadLineError."""
    length = int.from_bytes(stream.read(_WORD))
    if not _WORD <= length <= MAX_CONTROL:
        raise BadLineError(f"a control frame of {length} octets")
    control = stream.read(length)
    kind = int.from_bytes(control[:_WORD])
    if kind == _START:
        at = _WORD
        while at + 2 * _WORD <= len(control):
            field, size = int.from_bytes(control[at : at + 4]), int.from_bytes(control[at + 4 : at + 8])
            at += 2 * _WORD
            if field == _FIELD_CONTENT_TYPE and control[at : at + size] != CONTENT_TYPE:
                raise BadLineError("a stream of something else than dnstap")
            at += size
    return kind
