"""Which of people's exceptions a policy zone has no words for: who follows it goes on blocking what they lift. Pure."""

from collections.abc import Iterator, Sequence

from blocker.config import UNLISTED, Config
from blocker.exceptions.entry import Grant
from blocker.policy import Scope


def unsaid(config: Config, granted: Sequence[Grant], group: str, moment: float) -> tuple[Grant, ...]:
    """Return the exceptions in force at `moment`, unix time, for clients of `group` that its zone cannot say.

    RPZ has no patterns, and a trigger for a client is one for all that the client asks.
    """
    return tuple(
        each
        for each in granted
        if each.holds(moment)
        and (each.clients or each.scope == Scope.PATTERN)
        and each.group in ("", group)
        and (not each.clients or each.group or _reaches(config, each, group))
    )


def told(left_out: Sequence[Grant]) -> Iterator[str]:
    """Yield a line for each of them."""
    for each in left_out:
        yield f"exception {each.id} is left out, and stays blocked there: {each.what()}, for {each.whose()}"


def _reaches(config: Config, grant: Grant, group: str) -> bool:
    """Tell whether one of the clients of an exception may be in `group`."""
    network = grant.network
    assert network is not None
    whole = False
    for each in config.groups:
        for ours in each.clients:
            if ours.version == network.version and ours.overlaps(network):
                if each.name == group:
                    return True
                whole = whole or network.prefixlen >= ours.prefixlen
    return group == UNLISTED and not whole
