"""What a publisher makes: everything that gather reads, in its order, the same each time."""

from dataclasses import replace

import pytest

from blocker.bundle import archive, granted, make
from blocker.bundle.manifest import EXCEPTIONS, KEYS
from blocker.config import Lists
from blocker.errors import BundleError, ListError
from blocker.lists import gather
from tests.bundle.publisher import CREATED, DAY, A, record
from tests.bundle.test_granted import ENTRY, GRANT

GAMES = "app: games\ntitle: Games\nreviewed: 2026-01-02\nreview_by: 2026-04-02\n"
GAMES += "entries:\n  - {value: game.example, kind: suffix}\n"


def made(lists, **more):
    how = {"serial": 1, "created": CREATED, "expires": CREATED + DAY, "publisher": "P"}
    return make.make(lists, **how | more)


@pytest.fixture
def folder(tmp_path):
    for name, text in {"My Lists/games.yaml": GAMES, "My Lists/a.txt": "a.example\nb.example\n", "x/a.txt": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_everything_is_in_it_in_order(folder):
    said, octets = made(Lists(directories=(folder / "My Lists", folder / "x" / "a.txt")))
    files = archive.opened(octets).files
    built_in = sorted(path.name for path in gather.BUILT_IN.glob("*.yaml"))
    assert list(files) == sorted(files)
    assert [name for name in files if "00-built-in" in name] == [f"lists/00-built-in/{name}" for name in built_in]
    assert [name for name in files if "00-built-in" not in name] == [
        "lists/01-my-lists/a.txt", "lists/01-my-lists/games.yaml", "lists/02-x/a.txt",
    ]  # fmt: skip
    about = {each.name: each for each in said.lists}
    games, names = about["lists/01-my-lists/games.yaml"], about["lists/01-my-lists/a.txt"]
    assert (games.title, games.entries, str(games.review_by)) == ("Games", 1, "2026-04-02")
    assert (names.app, names.entries) == ("a", 2)
    assert about["lists/00-built-in/tiktok.yaml"].app == "tiktok"


def test_the_same_lists_make_the_same_octets(folder):
    lists = Lists(directories=(folder / "x",))
    assert made(lists) == made(lists)
    assert made(lists) != made(lists, serial=2)


def test_what_was_made_is_read_the_same_elsewhere(folder, tmp_path):
    """A node gathers from the unpacked bundle what the publisher gathered from its folders."""
    lists = Lists(directories=(folder / "My Lists",))
    _, octets = made(lists)
    for name, content in archive.opened(octets).files.items():
        path = tmp_path / "node" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folders = tuple(sorted((tmp_path / "node" / "lists").iterdir()))
    here, there = gather.gather(lists), gather.gather(Lists(built_in=False, directories=folders))
    assert sorted(here.apps) == sorted(there.apps)
    assert [each.entries for each in here.lists] == [each.entries for each in there.lists]
    assert [each.keys for each in here.files] == [each.keys for each in there.files]
    assert here.shared == there.shared


def test_keys_travel_with_it():
    _, octets = made(Lists(), record=record(2, A))
    assert archive.opened(octets).files[KEYS] == record(2, A).octets()


def test_lists_that_no_node_would_load_are_refused(folder):
    (folder / "x" / "a.txt").write_text("co.uk\n")
    with pytest.raises(ListError, match="public suffix"):
        made(Lists(directories=(folder / "x",)))
    (folder / "x" / "a.txt").write_text("a b\n")
    with pytest.raises(ListError, match=r"a\.txt:1"):
        made(Lists(directories=(folder / "x",)))


@pytest.mark.parametrize(
    ("more", "why"), [({"publisher": "a\nb"}, "publisher"), ({"expires": CREATED}, "expires before it was created")]
)
def test_what_a_manifest_cannot_say(more, why):
    with pytest.raises(BundleError, match=why):
        made(Lists(), **more)


def test_exceptions_go_along(folder):
    said, octets = made(Lists(built_in=False, directories=(folder / "x",)), entries=[ENTRY])
    files = archive.opened(octets).files
    assert granted.read(files) == (replace(GRANT, id="bundle:7"),)
    assert EXCEPTIONS in [each.name for each in said.files]
    assert EXCEPTIONS not in archive.opened(made(Lists(directories=(folder / "x",)))[1]).files


def test_names_that_a_bundle_cannot_hold(folder):
    (folder / "x" / "my list.yaml").write_text(GAMES)
    with pytest.raises(BundleError, match=r"my list\.yaml: a bundle cannot hold a file of this name"):
        made(Lists(directories=(folder / "x",)))


def test_a_set_of_keys_as_a_person_writes_it(tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_text(f'version: 2\nthreshold: 1\nkeys: ["{A.public}"]\n')
    assert make.read_record(path) == record(2, A)
    path.write_text("version: 2\nthreshold: 1\nkeys: [RWQ]\n")
    with pytest.raises(BundleError, match="not a set of keys"):
        make.read_record(path)
    path.write_text("a: [")
    with pytest.raises(BundleError, match=r"keys\.yaml:"):
        make.read_record(path)
