"""What the supervisor has said of lists and reloads, for metrics and status."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from blocker.sinks.exceptions import Excepted, excepted
from blocker.sinks.rollouts import Rollout


@dataclass(frozen=True, slots=True)
class App:
    """One loaded list."""

    entries: int
    title: str


@dataclass(frozen=True, slots=True)
class Feed:
    """One configured feed."""

    facts: str  # the file in which its state is kept
    interval: int  # seconds between two fetches


@dataclass(frozen=True, slots=True)
class Bundle:
    """The signed bundle that the lists in force come from."""

    serial: int
    expires: int  # unix time
    publisher: str
    refused: Mapping[str, int]  # bundles that were refused here, by reason


@dataclass(frozen=True, slots=True)
class Zones:
    """The configured policy zones."""

    state: str  # the state folder, where their status is
    served: tuple[str, ...]
    imported: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is in force, and how the attempts to change it went; replaced as a whole, so that readers need no lock."""

    generation: int = 0
    digest: str = ""  # of the lists
    policy: str = ""  # digest of the configuration that verdicts depend on
    compiled: float = 0.0  # unix time
    apps: Mapping[str, App] = field(default_factory=dict)
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    bundle: Bundle | None = None  # None: lists do not come from bundles here
    zones: Zones | None = None  # None: no policy zones are configured
    selftest: str = ""  # the state folder, where its status is; empty: there is no self-test
    candidates: str = ""  # the state folder, where candidates are kept; empty: nobody looks for them
    rollouts: tuple[Rollout, ...] = ()
    exceptions: Excepted = field(default_factory=Excepted)
    path: str = ""  # the file that describes the generation
    egress: str | None = None  # the state folder, where the status of the kernel's rules is; None: there are none
    paths: tuple[str, ...] = ()  # files and folders that the generation was made of
    looked: str = ""  # signature of how they looked then
    succeeded: int = 0  # reloads
    refused: int = 0  # reloads
    last_success: float = 0.0  # unix time
    last_duration: float = 0.0  # seconds
    problems: tuple[str, ...] = ()  # of the last reload

    def after(self, event: Mapping[str, Any]) -> "Facts":
        """Return the facts after a generation event; it says what is in force, and how all reloads went.

        The supervisor counts them, so that no restart of this process takes a counter back. Raises KeyError,
        TypeError, ValueError or AttributeError when the event makes no sense.
        """
        reloads = event["reloads"]
        problems = tuple(str(problem) for problem in event["problems"])
        return replace(
            self,
            generation=int(event["number"]),
            digest=str(event["digest"]),
            policy=str(event["policy"]),
            compiled=float(event["compiled"]),
            apps={app: App(int(said["entries"]), str(said["title"])) for app, said in event["apps"].items()},
            feeds={feed: Feed(str(said["facts"]), int(said["interval"])) for feed, said in event["feeds"].items()},
            bundle=_bundle(event.get("bundle")),
            zones=_zones(event.get("rpz")),
            selftest=str(event.get("selftest") or ""),
            candidates=str(event.get("candidates") or ""),
            exceptions=excepted(event),
            rollouts=tuple(Rollout(**each) for each in event.get("rollouts", ())),
            path=str(event.get("path", "")),
            egress=event.get("egress"),
            paths=tuple(str(path) for path in event["watch"]),
            looked=str(event["looked"]),
            succeeded=int(reloads["succeeded"]),
            refused=int(reloads["refused"]),
            last_success=float(reloads["last_success"]),
            last_duration=float(event["duration"]),
            problems=problems,
        )


def _zones(said: Mapping[str, Any] | None) -> Zones | None:
    if said is None:
        return None
    return Zones(str(said["state"]), tuple(map(str, said["served"])), tuple(map(str, said["imported"])))


def _bundle(said: Mapping[str, Any] | None) -> Bundle | None:
    if said is None:
        return None
    refused = {str(why): int(count) for why, count in said["refused"].items()}
    return Bundle(int(said["serial"]), int(said["expires"]), str(said["publisher"]), refused)
