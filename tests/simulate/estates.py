"""Configurations and logs that the tests of simulation share."""

import json
from pathlib import Path

from blocker.config import load

OLD = {
    "games.txt": "game.example\nfar.example\n@@help.game.example\n",
    "chat.yaml": "app: chat\ntitle: Chat\nentries:\n  - {value: chat.example, kind: suffix}\n"
    "  - {value: 203.0.113.0/24, kind: cidr, exclusive: true}\n",
}
NEW = {
    "games.txt": "game.example\nnew.example\n",
    "chat.yaml": "app: chat\ntitle: Chat\nentries:\n  - {value: chat.example, kind: suffix}\n",
    "toys.txt": "far.example\n",
}
GROUPS = "groups:\n  - {name: staff, clients: [192.0.2.0/24], block: [games]}\n  - {name: lab, clients: [198.51.100.0/24], monitor: [games, chat]}\n"  # noqa: E501


def estate(folder: Path, lists: dict[str, str], groups: str = ""):
    """Return a configuration in `folder` with these lists."""
    (folder / "lists").mkdir(parents=True)
    for name, content in lists.items():
        (folder / "lists" / name).write_text(content)
    path = folder / "blocker.yaml"
    path.write_text(
        f"lists: {{built_in: false, directories: [lists]}}\nprocess: {{state_dir: {folder}/state}}\n{groups}"
    )
    return path


def loaded(folder: Path, lists: dict[str, str], groups: str = ""):
    return load(estate(folder, lists, groups))


def line(qname, client="203.0.113.77", at="2026-11-23T10:00:00.000000Z", **more):
    return json.dumps({"time": at, "client": client, "group": "default", "qname": qname, "qtype": "A", **more}) + "\n"
