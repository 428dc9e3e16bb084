"""Rules for tests: from a configuration and lists that they write themselves."""

from pathlib import Path
from typing import Final

from blocker import config
from blocker.clients import Clients
from blocker.config import Config
from blocker.egress import facts, ruleset
from blocker.egress.facts import Facts
from blocker.egress.ruleset import Ruleset
from blocker.lists import compile as lists
from blocker.lists.index import Index

LIST: Final = """\
app: {app}
title: The app {app}
vendor: Somebody
reason: "It is banned."
category: ban
legal:
  - {{id: decision-1, jurisdiction: Somewhere, date: 2026-01-02, text: "Decision 1", source: gazette}}
entries:
"""
RANGES: Final = {
    "chat": ["203.0.113.0/25", "203.0.113.128/26", "-203.0.113.16/28", "2001:db8:1::/48"],
    "video": ["203.0.113.32/27", "198.51.100.7"],
    "bypass": ["?9.9.9.9", "?9.9.9.10", "?2620:fe::fe"],
}
"""Lists by app: an exclusive range; `-` an exception; `?` a resolver's own address, which is not exclusive."""

CONFIG: Final = """\
listen: ["0.0.0.0:53"]
lists: {built_in: false, directories: [lists]}
groups:
  - {name: staff, clients: [10.0.0.0/24, "fd00::/64"]}
  - {name: lab, clients: [10.0.0.64/26], block: [video], monitor: [chat]}
egress: {enabled: true, interfaces: [lan]}
process: {user: nobody}
"""


def written(folder: Path, ranges: dict[str, list[str]] | None = None) -> Path:
    """Write lists into a folder, and return it."""
    target = folder / "lists"
    target.mkdir(exist_ok=True)
    for app, values in (RANGES if ranges is None else ranges).items():
        (target / f"{app}.yaml").write_text(LIST.format(app=app) + "".join(map(_entry, values)))
    return target


def _entry(value: str) -> str:
    kind = value[0] if value[0] in "-?" else ""
    said = {"": "exclusive: true", "-": "exclusive: true, action: allow", "?": "exclusive: false, role: doh"}[kind]
    return f"  - {{value: '{value.lstrip('-?')}', kind: cidr, {said}}}\n"


def index(folder: Path, ranges: dict[str, list[str]] | None = None) -> Index:
    """Return the compiled lists."""
    found = config.parse("lists: {built_in: false, directories: [lists]}", "b.yaml", folder)
    written(folder, ranges)
    lists.build(lists.gather(found.lists), folder / "lists.index")
    return Index.open(folder / "lists.index")


def gathered(folder: Path, text: str = CONFIG, ranges: dict[str, list[str]] | None = None) -> tuple[Config, Facts]:
    """Return a configuration, and the facts of the lists under it."""
    compiled = index(folder, ranges)
    found = config.parse(text, "b.yaml", folder)
    return found, facts.gather(found, Clients(found, compiled, 0.0), compiled)


def rendered(folder: Path, text: str = CONFIG, ranges: dict[str, list[str]] | None = None) -> Ruleset:
    """Return the rules of a configuration and lists."""
    return ruleset.render(*gathered(folder, text, ranges))
