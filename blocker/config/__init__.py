"""What an operator may say, read once into types; nobody else reads the file or the environment.

`models` describes the sections, `whole` puts them together. Objects receive the one section that they need,
never Config.
"""

from blocker.config.apps import check_apps, check_files
from blocker.config.bundles import Bundles
from blocker.config.candidates import Candidates
from blocker.config.egress import Egress, EgressGroup, governed, redirected
from blocker.config.evidence import Evidence
from blocker.config.exceptions import Exceptions
from blocker.config.feeds import Feed, Fetch
from blocker.config.gating import Gating
from blocker.config.learning import Learning
from blocker.config.load import load, parse
from blocker.config.models import (
    SELFTEST,
    UNLISTED,
    Answers,
    Cache,
    ClientPrivacy,
    Forward,
    Group,
    Limits,
    Lists,
    Log,
    Metrics,
    Process,
    Protection,
    Rotation,
    Strategy,
    Treatment,
    Upstream,
)
from blocker.config.overrides import Override
from blocker.config.places import (
    account,
    checkpoints_file,
    control_socket,
    egress_socket,
    exceptions_audit,
    exceptions_file,
    node,
    resolv_conf,
    servers,
    state_dir,
    workers,
)
from blocker.config.rollout import Plan, Rollout, Stage
from blocker.config.rpz import Rpz, RpzImport, RpzKey, RpzZone
from blocker.config.schedules import Schedule
from blocker.config.section import Section
from blocker.config.selftest import Selftest
from blocker.config.sinkhole import PageText, Sinkhole, SinkholeLimits, ends, strays
from blocker.config.values import DNS_PORT, Endpoint, endpoint
from blocker.config.watching import Watching
from blocker.config.whole import Config

__all__ = [
    "DNS_PORT",
    "SELFTEST",
    "UNLISTED",
    "Answers",
    "Bundles",
    "Cache",
    "Candidates",
    "ClientPrivacy",
    "Config",
    "Egress",
    "EgressGroup",
    "Endpoint",
    "Evidence",
    "Exceptions",
    "Feed",
    "Fetch",
    "Forward",
    "Gating",
    "Group",
    "Learning",
    "Limits",
    "Lists",
    "Log",
    "Metrics",
    "Override",
    "PageText",
    "Plan",
    "Process",
    "Protection",
    "Rollout",
    "Rotation",
    "Rpz",
    "RpzImport",
    "RpzKey",
    "RpzZone",
    "Schedule",
    "Section",
    "Selftest",
    "Sinkhole",
    "SinkholeLimits",
    "Stage",
    "Strategy",
    "Treatment",
    "Upstream",
    "Watching",
    "account",
    "check_apps",
    "check_files",
    "checkpoints_file",
    "control_socket",
    "egress_socket",
    "endpoint",
    "ends",
    "exceptions_audit",
    "exceptions_file",
    "governed",
    "load",
    "node",
    "parse",
    "redirected",
    "resolv_conf",
    "servers",
    "state_dir",
    "strays",
    "workers",
]
