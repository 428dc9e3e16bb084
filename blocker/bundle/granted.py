"""The exceptions in a bundle: approved by the publisher's people, in force on every node that installs it.

Pure. What people said of them goes along, so that a node's operator and an auditor can see whose they are; nothing on a
node ends, extends or approves them but time and the next bundle.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from blocker.bundle.manifest import EXCEPTIONS
from blocker.errors import BundleError
from blocker.exceptions.entry import BUNDLED, MAX_PATTERNS, Entry, Grant, State, outline
from blocker.policy import Scope

_MOST: Final = 10_000
_PARTS: Final = {"grant", "reason", "requested_by", "approved_by"}


def octets(entries: Sequence[Entry]) -> bytes:
    """Return the approved ones of `entries` as bundles have them; nothing if there are none."""
    said = [
        {
            "grant": each.grant.said(),
            "reason": each.reason,
            "requested_by": each.requested_by.meant,
            "approved_by": each.approved_by.meant,
        }
        for each in entries
        if each.state is State.APPROVED
    ]
    return _spelled(said) if said else b""


def read(files: Mapping[str, bytes]) -> tuple[Grant, ...]:
    """Return the exceptions among the files of a bundle. Raises BundleError when they are none that a node may have."""
    content = files.get(EXCEPTIONS, b"")
    if not content:
        return ()
    try:
        said = json.loads(content)
        if _spelled(said) != content or len(said) > _MOST:
            raise ValueError("not written as bundles are, or too many")
        found = tuple(map(_grant, said))
        if sum(each.scope == Scope.PATTERN for each in found) > MAX_PATTERNS:
            raise ValueError(f"more than {MAX_PATTERNS} exceptions for patterns")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError([f"{EXCEPTIONS}: {error}. Make the bundle anew: blocker bundle make"]) from error
    if len({each.id for each in found}) != len(found):
        raise BundleError([f"{EXCEPTIONS}: a number stands there twice. Make the bundle anew: blocker bundle make"])
    return found


def _grant(said: Mapping[str, Any]) -> Grant:
    if said.keys() != _PARTS or not all(isinstance(said[part], str) for part in _PARTS - {"grant"}):
        raise ValueError("an exception with other parts than those of ours")
    if outline(said["requested_by"]) == outline(said["approved_by"]) or not said["approved_by"]:
        raise ValueError("an exception that no second person has approved")
    grant = Grant.of(said["grant"])
    return replace(grant, id=f"{BUNDLED}{grant.id}")


def _spelled(said: object) -> bytes:
    return json.dumps(said, indent=1, sort_keys=True).encode() + b"\n"
