"""What is in force is checked at each load: whole, signed by keys that still count, and of its serial."""

import shutil

import pytest

from blocker.bundle import current, granted, install, manifest, store
from blocker.config import Config, Lists
from blocker.errors import BundleError
from blocker.exceptions.entry import Entry, Grant, Person, State
from tests.bundle import node
from tests.bundle.publisher import CREATED, DAY, LISTS, NAME, A, B, bundle


@pytest.fixture
def found(tmp_path):
    made = node.config(tmp_path)
    node.put(made)
    return made


@pytest.fixture
def home(found):
    return store.directory(found) / "1"


def test_without_keys_nothing_changes(tmp_path):
    config = Config(lists=Lists(directories=(tmp_path,)))
    assert current.in_force(config) == current.InForce(config.lists)


def test_the_bundle_stands_in_place_of_the_built_in_lists(found, home):
    source = current.in_force(found)
    assert source.lists == Lists(built_in=False, directories=(home / "lists" / "00-own",))
    assert source.watched == (home.parent / store.STATE,)
    facts = source.bundle
    assert (facts.serial, facts.created, facts.expires, facts.publisher) == (
        1, CREATED, CREATED + 30 * DAY, "The Ministry",
    )  # fmt: skip
    assert facts.said()["refused"]["key"] == 0


def test_local_lists_come_after_it_where_they_may(found, home, tmp_path):
    local = Lists(directories=(tmp_path / "own",), switches={"own.x": True})
    bundles = found.bundles.model_copy(update={"allow_local": True})
    assert current.lists_in(home, local, bundles).directories == (home / "lists" / "00-own", tmp_path / "own")
    assert current.lists_in(home, local, found.bundles).directories == (home / "lists" / "00-own",)
    assert current.lists_in(home, local, found.bundles).switches == local.switches


def test_an_expired_bundle_stays_in_force(found):
    facts = current.in_force(found).bundle
    assert [facts.expired(now) for now in (CREATED, facts.expires - 1, facts.expires)] == [False, False, True]


def test_none_is_installed_yet(tmp_path):
    with pytest.raises(BundleError, match=r"none is installed\. Run: blocker bundle install FILE"):
        current.in_force(node.config(tmp_path))


def other_key(home, tmp_path):
    return node.config(tmp_path, B)


def revoked(home, tmp_path):
    return node.config(tmp_path, A, B, bundles={"revoked": [], "threshold": 2})


def changed(home, tmp_path):
    (home / NAME).write_text("harmless.example\n")


def added(home, tmp_path):
    (home / NAME).with_name("more.txt").write_text("innocent.example\n")


def removed(home, tmp_path):
    (home / NAME).unlink()


def linked(home, tmp_path):
    (home / NAME).rename(tmp_path / "own.txt")
    (home / NAME).symlink_to(tmp_path / "own.txt")


def unsigned(home, tmp_path):
    (home / store.SIGNATURES).unlink()


def rewritten(home, tmp_path):
    (home / store.BUNDLE).write_bytes(bundle(2))


def gone(home, tmp_path):
    shutil.rmtree(home)


def older(home, tmp_path):
    """Somebody puts an older bundle, rightly signed, in the place of a newer one."""
    config = node.config(tmp_path)
    node.put(config, serial=2)
    shutil.rmtree(home.with_name("2"))
    shutil.copytree(home, home.with_name("2"))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (other_key, "0 of 1 trusted keys"),
        (revoked, "1 of 2 trusted keys"),
        (changed, "own.txt: is not what was signed"),
        (added, "more.txt: is not what was signed"),
        (removed, "own.txt: is not what was signed"),
        (linked, "own.txt: is not a file"),
        (unsigned, "signed by: nobody"),
        (rewritten, "has not signed this"),
        (gone, "cannot be read"),
        (older, "holds serial 1"),
    ],
)
def test_harm_done_to_the_installed_bundle_is_noticed(found, home, tmp_path, harm, why):
    config = harm(home, tmp_path) or found
    with pytest.raises(BundleError, match=why):
        current.in_force(config)


def test_a_revoked_key_takes_its_bundle_out_of_force(tmp_path):
    both = node.config(tmp_path, A, B)
    node.put(both, None, A)
    only_b = node.config(tmp_path, B, bundles={"revoked": [A.public.name]})
    with pytest.raises(BundleError, match=r"\(revoked\)"):
        current.in_force(only_b)


def test_what_names_a_bundle_in_messages(found, home):
    assert manifest.LISTS in str(current.in_force(found).lists.directories[0])


def with_exceptions(serial, *numbers):
    entries = [
        Entry(
            Grant(number, "", "suffix", f"{number}.example", "", "", "", CREATED, CREATED + 9 * DAY, "omar"),
            State.APPROVED, "a drill", Person("ines"), CREATED, Person("omar"), CREATED,
        )
        for number in numbers
    ]  # fmt: skip
    return bundle(serial, {**LISTS, manifest.EXCEPTIONS: granted.octets(entries)})


def test_a_rollback_brings_no_exception_back_that_was_taken_back_since(tmp_path):
    """One account can roll back, and two people must have approved what is in force."""
    found = node.config(tmp_path)
    folder = store.directory(found)
    node.put(found, with_exceptions(1, "7", "8"))
    node.put(found, with_exceptions(2, "8", "9"))

    def numbers():
        return [each.id for each in current.in_force(found).granted]

    assert numbers() == ["bundle:8", "bundle:9"]
    install.rollback(folder, found.bundles, node.NOW, node.fine)
    assert numbers() == ["bundle:8"]
    install.rollback(folder, found.bundles, node.NOW, node.fine)
    assert numbers() == ["bundle:8", "bundle:9"]
    install.rollback(folder, found.bundles, node.NOW, node.fine)
    (folder / "2" / NAME).write_text("else\n")
    assert numbers() == []  # nobody knows any more what was taken back
    node.put(found, with_exceptions(3, "7"))
    assert numbers() == ["bundle:7"]
