"""Does the configuration name only apps and switches that the lists have?"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

from blocker.config.values import Where
from blocker.config.whole import Config, foreign
from blocker.config.wording import nearest

_OPEN: Final = ("", "bypass", "content")  # why a list exists (lists/source.py) that a category may add to


class Offered(Protocol):
    """What the lists say of an app."""

    @property
    def switches(self) -> Iterable[str]:
        """The names of its switches."""

    @property
    def category(self) -> str:
        """Why its lists exist: the word in them, empty if none says one."""


def check_apps(config: Config, apps: Mapping[str, Offered]) -> list[str]:
    """Return a problem for each app, category or switch in `config` that `apps` do not have, in the order of lines.

    `apps` are all that the lists could offer, disabled ones too.
    """
    known = {each.subject: list[str]() for _, each in foreign(config)}  # maybe never fetched
    known |= {name: sorted(app.switches) for name, app in apps.items()}
    found = [*_apps(config, sorted(known)), *_switches(config, known), *_categories(config, apps)]
    return [problem for _, problem in sorted(config._origin.problem(where, text) for where, text in found)]


def check_files(config: Config, origins: Iterable[str]) -> list[str]:
    """Return a problem for each file that a rollout is about and that no list came from; `origins` are those files."""
    known = set(origins)
    found = [
        (
            ("rollout", "plans", at, "file"),
            f"there is no list file {plan.file!r}{nearest(plan.file, sorted(known))}",
        )
        for at, plan in enumerate(config.rollout.plans)
        if plan.file is not None and plan.file not in known
    ]
    return [config._origin.problem(where, text)[1] for where, text in found]


def _apps(config: Config, known: list[str]) -> Iterator[tuple[Where, str]]:
    for where, app in _mentions(config):
        if app not in known:
            yield where, f"there is no app {app!r}{nearest(app, known)}"
        elif app in config.lists.disable and where[-2] in ("block", "monitor", "apps"):
            yield where, f"app {app!r} is not loaded, because lists.disable names it; remove it from one of the two"


def _mentions(config: Config) -> Iterator[tuple[Where, str]]:
    for at, app in enumerate(config.lists.disable):
        yield ("lists", "disable", at), app
    for at, app in enumerate(config.candidates.apps):
        yield ("candidates", "apps", at), app
    for app in config.unlisted.actions:
        yield ("unlisted", "actions", app), app
    for at, plan in enumerate(config.rollout.plans):
        if plan.app is not None:
            yield ("rollout", "plans", at, "app"), plan.app
    for position, group in enumerate(config.groups):
        above: Where = ("groups", position)
        for app in group.actions:
            yield (*above, "actions", app), app
        for at, app in enumerate(group.block or ()):
            yield (*above, "block", at), app
        for at, app in enumerate(group.monitor):
            yield (*above, "monitor", at), app
        for at, schedule in enumerate(group.schedules):
            for place, app in enumerate(schedule.apps):
                yield (*above, "schedules", at, "apps", place), app


def _categories(config: Config, apps: Mapping[str, Offered]) -> Iterator[tuple[Where, str]]:
    """Yield the feeds whose category is an app: what they block would pass for the ban that a decision made."""
    for above, each in foreign(config):
        if each.category is not None and each.category in apps and apps[each.category].category not in _OPEN:
            why = f"{each.category!r} is an app that has a list; choose another word, or write app: {each.category}"
            yield (*above, "category"), why


def _switches(config: Config, known: Mapping[str, list[str]]) -> Iterator[tuple[Where, str]]:
    for written in config.lists.switches:
        where: Where = ("lists", "switches", written)
        app, dot, switch = written.partition(".")
        if not dot:
            yield where, f"{written!r} is not a switch; write 'app.switch: true'"
        elif app not in known:
            yield where, f"there is no app {app!r}{nearest(app, list(known))}"
        elif switch not in known[app]:
            yield where, f"app {app!r} has no switch {switch!r}{nearest(switch, known[app])}"
