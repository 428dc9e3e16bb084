"""Installation: all of a bundle is in force, or all of the former one, whatever happens on the way."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from blocker.bundle import current, disk, store
from blocker.bundle.trust import Step, Why
from blocker.errors import BundleError, ListError
from tests.bundle import node
from tests.bundle.publisher import CREATED, DAY, NAME, A, B, bundle, record

SECOND = bundle(2, {NAME: b"banned.example\nnew.example\n", "lists/01-more/more.hosts": b"0.0.0.0 more.example\n"})


@pytest.fixture
def found(tmp_path):
    """A node with serial 1 in force."""
    made = node.config(tmp_path)
    node.put(made)
    return made


def in_force(found):
    """Return serial and files in force, by the very check that each load makes."""
    source = current.in_force(found)
    files = {path.name: path.read_bytes() for folder in source.lists.directories for path in folder.iterdir()}
    return source.bundle.serial, files


ONE = (1, {"own.txt": b"banned.example\n"})
TWO = (2, {"own.txt": b"banned.example\nnew.example\n", "more.hosts": b"0.0.0.0 more.example\n"})


def test_one_after_the_other(found):
    assert in_force(found) == ONE
    assert node.put(found, SECOND).step is Step.INSTALL
    assert in_force(found) == TWO
    state = node.state(found)
    assert (state.serial, state.previous, state.highest, state.at) == (2, 1, 2, node.NOW)


def test_only_two_are_kept(found):
    for serial in (2, 3):
        node.put(found, serial=serial)
    folder = store.directory(found)
    assert sorted(each.name for each in folder.iterdir()) == [".lock", "2", "3", "log.jsonl", "state.json"]


def test_the_log_says_who_installed_what_from_where_by_which_key(found):
    with pytest.raises(BundleError):
        node.put(found, serial=2, signatures=b"")
    lines = [json.loads(line) for line in node.log(found)]
    assert [line["event"] for line in lines] == ["installing", "installed", "refused"]
    assert lines[1] | {"by": "", "digest": ""} == {
        "time": "2027-01-15T09:00:00Z", "event": "installed", "by": "", "serial": 1, "file": "/in/x.bundle",
        "keys": [A.public.name], "digest": "",
    }  # fmt: skip
    assert (lines[2]["why"], lines[2]["by"] != "") == (Why.KEY, True)
    assert store.refusals(store.directory(found))[Why.KEY] == 1


def test_lists_that_this_node_would_not_load_are_not_installed(found):
    def attempt(home):
        assert (home / NAME).exists()
        raise ListError([f"{home / NAME}:1: no."])

    with pytest.raises(ListError):
        node.put(found, SECOND, attempt=attempt)
    assert in_force(found) == ONE
    assert json.loads(node.log(found)[-1])["why"] == Why.CONTENT
    assert node.put(found, SECOND).step is Step.INSTALL  # once the node is another


def test_the_same_again_is_nothing_to_do_but_repairs_what_is_damaged(found):
    assert node.put(found).step is Step.NOTHING
    own = store.directory(found) / "1" / NAME
    own.write_text("harmless.example\n")
    with pytest.raises(BundleError, match="is not what was signed"):
        current.in_force(found)
    assert node.put(found).step is Step.NOTHING
    assert in_force(found) == ONE


def test_rollback_is_logged_and_the_bad_one_does_not_come_back(found):
    node.put(found, SECOND)
    folder = store.directory(found)

    def back():
        from blocker.bundle import install

        return install.rollback(folder, found.bundles, node.NOW, node.fine)

    assert back() == 1
    assert in_force(found) == ONE
    assert json.loads(node.log(found)[-1])["event"] == "rollback"
    with pytest.raises(BundleError, match="rolled back"):
        node.put(found, SECOND)
    assert node.put(found, serial=3).step is Step.INSTALL
    assert back() == 1
    assert back() == 3  # undone


def test_no_way_back(found):
    from blocker.bundle import install

    with pytest.raises(BundleError, match="there is no bundle before serial 1"):
        install.rollback(store.directory(found), found.bundles, node.NOW, node.fine)


def test_two_at_the_same_time(found):
    with store.locked(store.directory(found)), pytest.raises(BundleError, match="another installation is under way"):
        node.put(found, SECOND)


# Keys.


def test_keys_are_handed_over(found):
    node.put(found, bundle(2, keys=record(2, B, revoked=(A,))), A, B)
    with pytest.raises(BundleError, match=r"\(revoked\)"):
        node.put(found, None, A, serial=3)
    assert node.put(found, None, B, serial=3).step is Step.INSTALL
    with pytest.raises(BundleError):  # A has gone: what only A signed is no way back
        node.put(found, bundle(4, keys=record(3, A)), A, B)
    assert in_force(found)[0] == 3


def test_a_node_that_was_cut_off_follows_the_keys(found):
    late = CREATED + 90 * DAY
    assert node.put(found, bundle(2, keys=record(2, B)), A, B, now=late).step is Step.KEYS
    assert in_force(found) == ONE
    newest = bundle(9, created=late, expires=late + DAY)
    assert node.put(found, newest, B, now=late).step is Step.INSTALL
    assert in_force(found)[0] == 9


def test_other_keys_in_the_configuration_are_a_new_beginning(tmp_path, found):
    node.put(found, bundle(2, keys=record(2, B)), A, B)
    again = node.config(tmp_path, A)
    with pytest.raises(BundleError):
        node.put(again, None, A, serial=3)
    fresh = node.config(tmp_path, A, B)
    assert node.put(fresh, None, A, serial=3).step is Step.INSTALL


# What fails on the way.

STEPS = (
    (os, "fsync"), (os, "open"), (os, "write"), (os, "fchmod"), (Path, "rename"), (Path, "replace"), (Path, "mkdir"),
    (Path, "open"), (shutil, "rmtree"), (disk, "sync"),
)  # fmt: skip


def stop_at(patch, number, stop):
    """Have `stop` called in place of the `number`th step that touches the disk."""
    done = 0

    def counted(real):
        def step(*arguments, **more):
            nonlocal done
            done += 1
            if done == number:
                stop()
            return real(*arguments, **more)

        return step

    for owner, name in STEPS:
        patch.setattr(owner, name, counted(getattr(owner, name)))


def test_killed_at_each_step(found, tmp_path):
    """A power cut leaves the former bundle, or the new one, whole; and the next installation works."""
    number, seen = 0, set()
    while True:
        number += 1
        here = tmp_path / f"copy-{number}"
        shutil.copytree(tmp_path / "bundles", here / "bundles")
        copy = node.config(here)
        pid = os.fork()
        if not pid:
            with pytest.MonkeyPatch.context() as patch:
                stop_at(patch, number, lambda: os._exit(9))
                try:
                    node.put(copy, SECOND)
                finally:
                    os._exit(0)
        _, status = os.waitpid(pid, 0)
        after = in_force(copy)
        assert after in (ONE, TWO), number
        seen.add(after[0])
        if os.waitstatus_to_exitcode(status) == 0:
            break
        if after == ONE:
            assert node.put(copy, SECOND).step is Step.INSTALL
        else:
            assert node.put(copy, SECOND).step is Step.NOTHING
        assert in_force(copy) == TWO
    assert number > 20
    assert seen == {1, 2}


def test_the_disk_is_full_at_each_step(found, tmp_path):
    number, refused = 0, 0
    while True:
        number += 1
        here = tmp_path / f"copy-{number}"
        shutil.copytree(tmp_path / "bundles", here / "bundles")
        copy = node.config(here)
        fired = []

        def full(fired=fired):
            fired.append(True)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.MonkeyPatch.context() as patch:
            stop_at(patch, number, full)
            try:
                node.put(copy, SECOND)
            except BundleError:
                refused += 1
        assert in_force(copy) in (ONE, TWO), number
        if not fired:
            break
        node.put(copy, SECOND)
        assert in_force(copy) == TWO
    assert refused > 20


@pytest.mark.parametrize("left", ["folders", "log", "both"])
def test_to_remove_the_state_opens_no_way_back_to_an_older_bundle(found, left):
    folder = store.directory(found)
    node.put(found, serial=4)
    node.put(found, serial=5)
    (folder / store.STATE).unlink()
    if left == "folders":
        (folder / store.LOG).unlink()
    elif left == "log":
        shutil.rmtree(folder / "4")
        shutil.rmtree(folder / "5")
    with pytest.raises(BundleError, match="serial 4 is older than 5, which was installed here once"):
        node.put(found, serial=4)
    assert node.put(found, serial=5).step is Step.INSTALL  # repairs it
    assert node.state(found).serial == 5


def test_lines_of_no_sense_in_the_log_are_passed_over(found):
    node.put(found, serial=4)
    folder = store.directory(found)
    (folder / store.STATE).unlink()
    with (folder / store.LOG).open("a") as log:
        log.write('x\n[]\n{"event":"installing","serial":"9"}\n{"event":"installing","serial":true}\n')
        log.write('{"event":"installing","serial":99999999999999999999}\n{"event":"refused","serial":77}\n')
    (folder / "0x9").mkdir()
    assert node.state(found).highest == 4
