"""From what is in force to the rules: the same for the process that applies them and for those who ask."""

import os
import pwd

from blocker.clients import Clients
from blocker.config import Config, Endpoint
from blocker.egress import facts, ruleset
from blocker.egress.ruleset import Ruleset
from blocker.errors import ConfigError
from blocker.lists.index import Index


def planned(config: Config, clients: Clients, index: Index, servers: tuple[Endpoint, ...]) -> Ruleset:
    """Return the rules for `config`, its `clients` at some moment and the lists in `index`; `servers` are whom we ask.

    Raises ConfigError if our account is not there.
    """
    upstreams = [*servers, *(server for forward in config.upstream.forward for server in forward.servers)]
    return ruleset.render(config, facts.gather(config, clients, index), upstreams, _own_uid(config))


def _own_uid(config: Config) -> int:
    if not config.process.user:
        return os.getuid()
    try:
        return pwd.getpwnam(config.process.user).pw_uid
    except KeyError as error:
        raise ConfigError([f"process.user: there is no account {config.process.user!r}; create it"]) from error
