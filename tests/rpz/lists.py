"""Small lists, compiled, for tests of policy zones."""

from blocker import config
from blocker.clients import Clients
from blocker.lists import compile as compiling
from blocker.lists.feed import FeedFile
from blocker.lists.gather import gather
from blocker.lists.index import Index


def compiled(folder, files, granted=(), feed="", **said):
    """Return the index of `files` and a `feed` in `folder`, and the policies of a configuration that says so.

    `granted` are exceptions.
    """
    lists = folder / "lists"
    lists.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (lists / name).write_text(text)
    found = config.Config.model_validate({"lists": {"built_in": False, "directories": [str(lists)]}, **said})
    feeds = []
    if feed:
        (folder / "copy").write_text(feed)
        feeds = [FeedFile("theirs", "theirs", folder / "copy", "rpz")]
    compiling.build(gather(found.lists, feeds=feeds), folder / "index")
    index = Index.open(folder / "index")
    return index, Clients(found, index, 0, granted).policies
