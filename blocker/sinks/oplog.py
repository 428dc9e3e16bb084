"""The operators' log: what the product tells of itself on standard error, as text or as JSON.

Set up once per process tree, before the first fork. A log that cannot be written is nobody's failure: it is
passed over, since nothing may depend on it.
"""

import contextlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any, Final

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from blocker.config import Log

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FIRST: Final = ("time", "level", "part", "event")
_QUOTED: Final = frozenset(' "=')
_STDERR: Final = 2


def configure(log: Log) -> None:
    """Write from now on as `log` says: its level, as text or JSON."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", key="time"),
            _with_trace,
            _json if log.format == "json" else _text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[log.level]),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,  # loggers made before this take the new setting
    )


def get(name: str) -> FilteringBoundLogger:
    """Return the logger of one part of the product; `name` stands in each of its lines."""
    if not structlog.is_configured():  # structlog's own default writes to stdout, which is the attempt log's
        configure(Log())
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


class _StandardError:
    """Writes each line with one call, so that lines of several processes do not mix."""

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(_STDERR, line.encode("utf-8", "backslashreplace") + b"\n")

    debug = info = warning = error = critical = exception = msg


def _with_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn `exc_info` (an exception, or True for the current one) into the text of its traceback."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in _FIRST if key in event}
    return json.dumps({**first, **event}, default=str, separators=(",", ":"))


def _text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    time, level, name, said = (event.pop(key, "") for key in _FIRST)
    trace = event.pop("exception", None)
    line = " ".join([str(time), f"{level:7}", f"{name}:", _one_line(said), *_pairs(event)])
    return line if trace is None else f"{line}\n{_indented(trace)}"


def _pairs(event: EventDict) -> Iterator[str]:
    for key, value in event.items():
        text = _one_line(value)
        if not text or not _QUOTED.isdisjoint(text):
            text = '"' + text.replace('"', '\\"') + '"'
        yield f"{key}={text}"


def _one_line(value: Any) -> str:  # noqa: ANN401 whatever a caller finds worth telling
    """Return `value` on one line of printable text: a stranger's words must not forge a line of ours."""
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _indented(trace: str) -> str:
    return "\n".join(f"    {line}" for line in trace.splitlines())
