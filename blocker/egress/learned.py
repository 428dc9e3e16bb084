"""What was learned, as a file in the state folder: the learner writes it, people and metrics read it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from blocker import names
from blocker.egress.learning import Suspect

FILE: Final = "learned.json"


@dataclass(frozen=True, slots=True)
class Address:
    """One address of one app's names."""

    app: str
    address: str
    name: str  # that had it last
    state: str  # refused, watched or left alone
    reason: str = ""  # why it is left alone
    by: str = ""  # for whom
    left: int = 0  # seconds until it is forgotten, unless it is seen again


@dataclass(frozen=True, slots=True)
class Learned:
    """Everything at one moment."""

    at: float = 0.0  # unix time
    asked: int = 0  # questions that are asked again and again
    guarded: Mapping[str, int] = field(default_factory=dict)  # "app reason": how often an address was left alone
    addresses: tuple[Address, ...] = ()

    @property
    def refused(self) -> Mapping[str, int]:
        """How many addresses of each app are refused."""
        return Counter(each.app for each in self.addresses if each.state == "refused")


def shown(suspects: Iterable[Suspect], now: float) -> tuple[Address, ...]:
    """Return what is known of addresses at monotonic time `now`, as people read it."""
    return tuple(
        Address(
            each.app,
            str(ip_address(each.address)),
            names.to_text(each.name),
            "refused" if each.refused else "left alone" if each.reason else "watched",
            str(each.reason),
            each.by,
            int(each.until - now),
        )
        for each in suspects
    )


def write(learned: Learned, folder: Path) -> None:
    """Put the file in place, whole or not at all. Raises OSError."""
    draft = folder / f"{FILE}.draft"
    draft.write_text(json.dumps(asdict(learned)), encoding="utf-8")
    draft.replace(folder / FILE)


def read(folder: Path) -> Learned:
    """Return what was learned; nothing if there is no file, or none that can be read."""
    try:
        said = json.loads((folder / FILE).read_bytes())
        addresses = tuple(Address(**each) for each in said.pop("addresses"))
        return Learned(**said, addresses=addresses)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Learned()
