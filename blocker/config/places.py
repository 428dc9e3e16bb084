"""Where things are on this machine: the name servers, the state folder, the control socket; and how many cores.

The only place that reads the environment.
"""

import os
import platform
import pwd
import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

from blocker.config.values import DNS_PORT, Endpoint
from blocker.config.whole import Config, is_own
from blocker.errors import ConfigError

_MAX_NAME_SERVERS: Final = 16  # of /etc/resolv.conf; the C library itself looks at three


def servers(config: Config) -> tuple[Endpoint, ...]:
    """Return whom to ask: `upstream.servers`, else the name servers in `upstream.resolv_conf` but ourselves.

    Raises ConfigError if nobody is left.
    """
    if config.upstream.servers:
        return config.upstream.servers
    file = config.upstream.resolv_conf
    found = resolv_conf(file)
    if others := tuple(server for server in found if not is_own(config, server)):
        return others
    why = "it names only this proxy itself, which would ask itself in a loop" if found else "it names none"
    raise ConfigError(
        [f"upstream.servers: no resolver to ask: none is configured, and of {file}: {why}."
         " Set upstream.servers, or --upstream ADDR[:PORT]."]
    )  # fmt: skip


def resolv_conf(path: Path) -> tuple[Endpoint, ...]:
    """Return the name servers in the file at `path`, in order; lines that make no sense are passed over.

    The scope of an address (`%eth0`) is kept where it is needed, on link-local ones, and dropped elsewhere;
    a link-local address without one cannot be asked. A missing file names nobody. Raises ConfigError.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise ConfigError([f"upstream.resolv_conf: {path} cannot be read: {error}"]) from error
    found: dict[Endpoint, None] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        if (server := _name_server(words[1])) is not None:
            found[server] = None
    return tuple(found)[:_MAX_NAME_SERVERS]


def _name_server(text: str) -> Endpoint | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if address.is_unspecified:  # resolvers take this for the machine itself (resolv.conf(5))
        return Endpoint(ip_address("127.0.0.1" if address.version == 4 else "::1"), DNS_PORT)
    if isinstance(address, IPv6Address):
        if address.is_link_local and not address.scope_id:
            return None
        if not address.is_link_local:
            address = IPv6Address(address.packed)
    return Endpoint(address, DNS_PORT)


def state_dir(config: Config, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of compiled lists; it may not exist yet. Raises ConfigError."""
    if config.process.state_dir is not None:
        return config.process.state_dir
    if given := environment.get("STATE_DIRECTORY"):  # systemd; several are parted by colons (systemd.exec(5))
        return Path(given.partition(":")[0])
    cache = environment.get("XDG_CACHE_HOME", "")
    if cache.startswith("/"):  # a relative one must be ignored (XDG Base Directory Specification)
        return Path(cache) / "blocker"
    try:
        return Path.home() / ".cache" / "blocker"
    except RuntimeError as error:
        raise ConfigError(["process.state_dir: this account has no home folder; set process.state_dir"]) from error


def workers(config: Config) -> int:
    """Return how many processes serve: as many as `process.workers` says, else one for each core."""
    return config.process.workers or len(os.sched_getaffinity(0))


def node(config: Config) -> str:
    """Return what records call this machine: `evidence.node`, else its host name as far as its characters allow."""
    return config.evidence.node or re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:64] or "node"


def checkpoints_file(config: Config, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file that takes a copy of every checkpoint. Raises ConfigError."""
    if config.evidence.checkpoints is not None:
        return config.evidence.checkpoints
    log = config.log.attempts
    if isinstance(log, Path):
        return log.with_name(f"{log.name}.checkpoints")
    return state_dir(config, environment) / "evidence.checkpoints"


def exceptions_file(config: Config, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where exceptions are kept; the file may not exist yet. Raises ConfigError."""
    return config.exceptions.file or state_dir(config, environment) / "exceptions.db"


def exceptions_audit(config: Config, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where changes of exceptions are written. Raises ConfigError."""
    return config.exceptions.audit or exceptions_file(config, environment).with_suffix(".audit.jsonl")


def account(environment: Mapping[str, str] = os.environ) -> str:
    """Return the account of the person at the keyboard: behind sudo the one that called it."""
    uid = os.getuid()
    if uid == 0 and (caller := environment.get("SUDO_USER")):
        return caller
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # an account without a name, as in some containers
        return f"uid-{uid}"


def control_socket(config: Config, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the control socket. Raises ConfigError."""
    return config.process.control or state_dir(config, environment) / "control.sock"


def egress_socket(config: Config, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the socket at which our own processes ask for changes of the kernel's sets.

    Raises ConfigError.
    """
    return state_dir(config, environment) / "egress.sock"
