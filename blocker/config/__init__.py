"""What an operator may say, read once into types; nobody else reads the file or the environment.

`models` is the page of what may be said. Objects receive the one section that they need, never Config.
"""

from blocker.config.apps import check_apps
from blocker.config.load import load, parse
from blocker.config.models import (
    UNLISTED,
    Answers,
    Cache,
    ClientPrivacy,
    Config,
    Forward,
    Group,
    Limits,
    Lists,
    Log,
    Metrics,
    Process,
    Protection,
    Rotation,
    Section,
    Strategy,
    Treatment,
    Upstream,
)
from blocker.config.places import control_socket, resolv_conf, servers, state_dir
from blocker.config.values import DNS_PORT, Endpoint, endpoint

__all__ = [
    "DNS_PORT",
    "UNLISTED",
    "Answers",
    "Cache",
    "ClientPrivacy",
    "Config",
    "Endpoint",
    "Forward",
    "Group",
    "Limits",
    "Lists",
    "Log",
    "Metrics",
    "Process",
    "Protection",
    "Rotation",
    "Section",
    "Strategy",
    "Treatment",
    "Upstream",
    "check_apps",
    "control_socket",
    "endpoint",
    "load",
    "parse",
    "resolv_conf",
    "servers",
    "state_dir",
]
