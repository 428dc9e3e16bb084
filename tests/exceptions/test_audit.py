"""The audit log's checkpoints: whoever writes store and log anew can do it no more without that it shows."""

import json
import shutil

import pytest

from blocker import config
from blocker.config import Config
from blocker.errors import ConfigError
from blocker.evidence import files, keys
from blocker.evidence.verify import Kind, Verifier
from blocker.exceptions import entry, store
from blocker.exceptions.audit import copies_of
from blocker.exceptions.entry import Grant, Person, State
from tests.evidence.records import new_key

NOW, DAY = 1_795_608_000, 86400


class Rig:
    """A node with a key, and what an auditor has of it."""

    def __init__(self, folder):
        self.key = new_key(folder / "evidence")
        self.folder = folder
        said = {"node": "dns1", "key_file": self.key.with_suffix(".key")}
        self.config = Config.model_validate({"process": {"state_dir": folder / "state"}, "evidence": said})
        self.log = config.exceptions_audit(self.config)
        self.copies = copies_of(self.log)

    def add(self, by="ines"):
        with store.opened(self.config) as kept:
            grant = Grant("", "INC-1", "suffix", "help.tiktok.com", "", "", "", 0, NOW + DAY)
            return kept.add(entry.request(grant, "a visit", Person(by), NOW, longest=90 * DAY), NOW).grant.id

    def approve(self, number, by="omar"):
        with store.opened(self.config) as kept:
            return kept.change(number, "approved", lambda each: entry.approve(each, Person(by), NOW), NOW)

    def verify(self, copies=()):
        trusted = [keys.read(self.key)]
        verifier = Verifier(
            lambda each: keys.trouble(each, trusted), [each for path in copies for each in files.copies(path)]
        )
        verifier.feed("log", files.lines(self.log))
        verifier.finish()
        return verifier


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def events(path):
    return [json.loads(line)["event"] for line in path.read_text().splitlines()]


def test_each_change_is_signed_and_copied(rig):
    rig.approve(rig.add())
    assert events(rig.log) == ["start", "requested", "checkpoint", "approved", "checkpoint"]
    assert events(rig.copies) == ["checkpoint", "checkpoint"]
    assert rig.copies.stat().st_mode & 0o777 == 0o640
    verifier = rig.verify([rig.copies])
    assert verifier.findings == []
    (node,) = verifier.nodes.values()
    assert (node.name, node.checkpoints, node.covered) == ("dns1.exceptions", 2, 3)


def test_who_writes_everything_anew_is_found_by_the_copies(rig, tmp_path):
    """Root on the node has its key: only what left the machine before speaks against a new history."""
    rig.approve(rig.add())
    away = shutil.copy(rig.copies, tmp_path / "away")
    shutil.rmtree(rig.log.parent)
    rig.approve(rig.add(by="mallory"))
    assert rig.verify([rig.copies]).findings == []
    assert {each.kind for each in rig.verify([away]).findings} == {Kind.CHECKPOINT}


def test_who_writes_it_anew_without_the_key_is_found(rig):
    rig.approve(rig.add())
    shutil.rmtree(rig.log.parent)
    rig.config = rig.config.model_copy(
        update={
            "evidence": rig.config.evidence.model_copy(
                update={"key_file": new_key(rig.folder / "other").with_suffix(".key")}
            )
        }
    )
    rig.approve(rig.add())
    assert [(each.line, each.kind) for each in rig.verify().findings] == [(3, Kind.CHECKPOINT), (5, Kind.CHECKPOINT)]


def test_nothing_is_approved_that_cannot_be_signed_and_anything_can_be_revoked(rig):
    number, other = rig.add(), rig.add()
    rig.approve(other)
    rig.config.evidence.key_file.unlink()
    with pytest.raises(ConfigError, match="key_file"):
        rig.approve(number)
    with store.opened(rig.config) as kept:
        assert kept.entry(number).state is State.REQUESTED
        kept.change(other, "revoked", lambda each: entry.revoke(each, Person("omar"), "", NOW), NOW)
        assert "key_file" in kept.unsigned
    assert events(rig.log)[-2:] == ["checkpoint", "revoked"]
    (node,) = rig.verify().nodes.values()
    assert node.next - node.covered - 2 == 1  # the line that no checkpoint covers


def test_the_next_checkpoint_covers_what_was_not_signed(rig):
    number, key = rig.add(), rig.config.evidence.key_file
    key.rename(key.with_suffix(".away"))
    with store.opened(rig.config) as kept:
        kept.change(number, "revoked", lambda each: entry.revoke(each, Person("omar"), "", NOW), NOW)
    key.with_suffix(".away").rename(key)
    rig.add()
    verifier = rig.verify([rig.copies])
    assert (verifier.findings, next(iter(verifier.nodes.values())).covered) == ([], 4)


def test_a_copy_that_cannot_be_written_is_told(rig):
    rig.copies.parent.mkdir()
    rig.copies.mkdir()
    with pytest.raises(Exception, match="cannot be written"):
        rig.add()
    rig.copies.rmdir()
    rig.add()
    assert rig.verify([rig.copies]).findings == []


def catch_up(rig):
    with store.opened(rig.config) as kept:
        kept.catch_up(NOW)
        return kept.unsigned


def test_what_was_not_signed_is_as_soon_as_there_is_a_key(rig):
    """Also all that was written before anybody thought of one."""
    keyed = rig.config
    rig.config = keyed.model_copy(update={"evidence": keyed.evidence.model_copy(update={"key_file": None})})
    rig.approve(rig.add())
    assert catch_up(rig) == ""
    assert events(rig.log) == ["start", "requested", "approved"]
    rig.config = keyed
    assert catch_up(rig) == catch_up(rig) == ""
    assert events(rig.log) == ["start", "requested", "approved", "checkpoint"]
    assert rig.verify([rig.copies]).findings == []
    keyed.evidence.key_file.unlink()
    assert catch_up(rig) == ""  # nothing is to be signed


def test_what_a_crash_kept_from_the_log_is_caught_up_with(rig):
    rig.add()
    whole = rig.log.read_bytes()
    rig.log.write_bytes(whole[: whole.index(b"\n") + 20])
    catch_up(rig)
    assert rig.log.read_bytes() == whole
