"""From what is in force to the rules: the same for the process that applies them and for those who ask."""

import pwd

from blocker.clients import Clients
from blocker.config import Config, Endpoint
from blocker.egress import facts, ruleset
from blocker.egress.ruleset import Ruleset
from blocker.errors import ConfigError
from blocker.lists.index import Index


def planned(config: Config, clients: Clients, index: Index, servers: tuple[Endpoint, ...]) -> Ruleset:
    """Return the rules for `config`, its `clients` at some moment and the lists in `index`; `servers` are whom we ask.

    Raises ConfigError if our account is not there, or is root, in mode `node`.
    """
    upstreams = [*servers, *(server for forward in config.upstream.forward for server in forward.servers)]
    own_uid = _uid(config.process.user) if config.egress.mode == "node" else None
    return ruleset.render(config, facts.gather(config, clients, index), upstreams, own_uid)


def _uid(user: str) -> int:
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise ConfigError([f"process.user: there is no account {user!r}; create it"]) from error
    if uid == 0:
        raise ConfigError(
            [f"process.user: {user!r} is root, and whatever runs as root could ask past us; name another"]
        )
    return uid
