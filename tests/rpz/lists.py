"""Small lists, compiled, for tests of policy zones."""

from blocker import config
from blocker.clients import Clients
from blocker.lists import compile as compiling
from blocker.lists.gather import gather
from blocker.lists.index import Index


def compiled(folder, files, granted=(), **said):
    """Return the index of `files` in `folder`, and the policies of a configuration with exceptions that says so."""
    lists = folder / "lists"
    lists.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (lists / name).write_text(text)
    found = config.Config.model_validate({"lists": {"built_in": False, "directories": [str(lists)]}, **said})
    compiling.build(gather(found.lists), folder / "index")
    index = Index.open(folder / "index")
    return index, Clients(found, index.apps, 0, granted).policies
