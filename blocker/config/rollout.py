"""Staged rollouts: lists that are tried on live traffic, then enforced for some clients, then for all."""

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from blocker.config.section import Section
from blocker.config.values import AppId, GroupName, mistakes

MAX_PLANS: Final = 32  # each labels metrics, and each percentage is one more policy per group


class Stage(StrEnum):
    """How far a rollout has come, from nobody to everybody."""

    SHADOW = "shadow"
    GROUPS = "groups"
    PERCENT = "percent"
    ALL = "all"


class Plan(Section):
    """One rollout: an app, a feed or a file of names, and for whom it is enforced by now."""

    name: GroupName
    """A short name: it labels metrics and log lines, and commands know it by that."""
    app: AppId | None = None
    """The app whose entries are rolled out, wherever they stand; or `feed`, or `file`."""
    feed: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,253}$")] | None = None
    """The feed, or the policy zone taken over, whose entries are."""
    file: Annotated[str, Field(pattern=r"^[^/\x00-\x1f]{1,100}$")] | None = None
    """The list file whose entries are, without its folder: `tiktok-new.yaml`."""
    stage: Stage = Stage.SHADOW
    """Where it begins: `shadow` (enforced for nobody), `groups`, `percent` or `all`; `blocker rollout` moves it."""
    groups: tuple[GroupName, ...] = ()
    """The groups of clients that stage `groups` reaches, and `percent` besides; `default`: clients in no group."""
    percent: int = Field(default=10, ge=1, le=99)
    """The share of clients that stage `percent` reaches: always the same ones, and more of them with a larger share."""
    return_after: int = Field(default=20, ge=0, le=1_000_000)
    """Hits on names that must resolve after which it goes back to `shadow` by itself; 0: never."""
    within: int = Field(default=600, ge=1, le=86400)
    """Seconds within which those hits must come."""

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        said = [key for key in ("app", "feed", "file") if getattr(self, key) is not None]
        if len(said) != 1:
            what = f"there are {' and '.join(said)}; keep one" if said else "say what it is about: app, feed or file"
            raise mistakes([(("name",), what)])
        if self.stage is Stage.GROUPS and not self.groups:
            raise mistakes([(("stage",), "'groups' needs groups: the names of those that it reaches")])
        return self

    @property
    def about(self) -> str:
        """What is rolled out, in words."""
        return f"app {self.app}" if self.app else f"feed {self.feed}" if self.feed else f"file {self.file}"


class Rollout(Section):
    """Staged rollouts of lists; what none is about is enforced at once."""

    plans: tuple[Plan, ...] = Field(default=(), max_length=MAX_PLANS)
    """The rollouts under way."""
    salt: str = Field(default="", max_length=64)
    """Chooses which clients a percentage reaches; the same on all nodes, and another one reaches others first."""
