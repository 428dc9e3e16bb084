"""Where does a rollout stand: where it was configured to, where a person moved it, or back in shadow by itself?

Pure. A move by a person holds until the configuration says another stage: the newer decision counts. A return by
itself holds until a person moves it: no edit that happens to come later lifts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from blocker.config import Config, Plan, Stage

ITSELF: Final = "blocker"  # who moved it, when nobody did

_ORDER: Final = (Stage.SHADOW, Stage.GROUPS, Stage.PERCENT, Stage.ALL)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a rollout stands, since when, and who put it there."""

    stage: Stage
    groups: tuple[str, ...] = ()
    percent: int = 0  # 0: not by percentage
    since: float = 0.0  # unix time; 0: as configured
    by: str = ""
    why: str = ""
    returned: bool = False  # by itself: only a person lifts it
    about: str = ""  # what it was about, and where the configuration had it, when it was moved
    configured: str = ""

    def __str__(self) -> str:
        """Return the stage with what belongs to it, `percent 10`."""
        return written(self.stage, self.groups, self.percent)


def written(stage: Stage, groups: tuple[str, ...], percent: int) -> str:
    """Return a stage in words."""
    named = f"groups {', '.join(groups)}"
    if stage is Stage.PERCENT:
        return f"percent {percent}{f' and {named}' if groups else ''}"
    return named if stage is Stage.GROUPS else stage.value


def configured(plan: Plan) -> str:
    """Return the stage that the configuration says, in words."""
    return written(plan.stage, plan.groups, plan.percent)


def position(plan: Plan, moved: Position | None) -> Position:
    """Return where `plan` stands, if it was last `moved` so."""
    if moved is not None and moved.about == plan.about and (moved.returned or moved.configured == configured(plan)):
        return moved
    return Position(plan.stage, plan.groups, plan.percent if plan.stage is Stage.PERCENT else 0)


def held(config: Config, moved: Mapping[str, Position]) -> tuple[Plan, ...]:
    """Return the rollouts of `config`, and those that went back by themselves and are named there no more.

    To take one out of the configuration does not lift its return: all that it is about would be enforced at once.
    """
    named = {each.name for each in config.rollout.plans}
    found = (_left_over(name, where) for name, where in moved.items() if where.returned and name not in named)
    return (*config.rollout.plans, *(each for each in found if each is not None))


def _left_over(name: str, moved: Position) -> Plan | None:
    what, _, which = moved.about.partition(" ")
    try:
        return Plan.model_validate({"name": name, what: which})
    except ValueError:  # nothing that a rollout could be about
        return None


def following(plan: Plan, now: Position) -> Stage:
    """Return the stage after `now` for which `plan` says what it needs; the last one stays."""
    later = _ORDER[_ORDER.index(now.stage) + 1 :]
    return next((stage for stage in later if stage is not Stage.GROUPS or plan.groups), Stage.ALL)


def at(
    plan: Plan,
    stage: Stage,
    *,
    by: str,
    why: str,
    since: float = 0.0,
    groups: tuple[str, ...] = (),
    percent: int = 0,
    returned: bool = False,
) -> Position:
    """Return the position of `plan` when `by` moves it to `stage`; groups and percentage not said are as configured."""
    return Position(
        stage,
        (groups or plan.groups) if stage in (Stage.GROUPS, Stage.PERCENT) else (),
        (percent or plan.percent) if stage is Stage.PERCENT else 0,
        since,
        by,
        why,
        returned,
        plan.about,
        configured(plan),
    )


def applied(config: Config, positions: Mapping[str, Position]) -> Config:
    """Return `config` with its rollouts at `positions`, by their names; those not named stand as configured."""
    plans = held(config, positions)
    if not plans:
        return config
    plans = tuple(
        plan.model_copy(
            update={"stage": now.stage, "groups": now.groups or plan.groups, "percent": now.percent or plan.percent}
        )
        for plan in plans
        for now in (position(plan, positions.get(plan.name)),)
    )
    return config.model_copy(update={"rollout": config.rollout.model_copy(update={"plans": plans})})
