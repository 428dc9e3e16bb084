"""What a node keeps: its state is whole or refused, its log only ever grows."""

import json

import pytest

from blocker.bundle import store
from blocker.bundle.store import Accepted, State
from blocker.bundle.trust import Why
from blocker.config import Bundles
from blocker.errors import BundleError
from tests.bundle import node
from tests.bundle.publisher import A, B, C, bundle, record, signed

ONLY_A = Bundles(keys=(A.public,))
HERE = Accepted(anchor=store.anchor(ONLY_A), keys=record(1, A))


def test_the_folder(tmp_path):
    assert store.directory(node.config(tmp_path)) == tmp_path / "bundles"
    assert store.directory(node.config(tmp_path, bundles={"directory": str(tmp_path / "x")})) == tmp_path / "x"


def test_state_is_written_and_read(tmp_path):
    assert store.read_state(tmp_path) == State()
    state = State(serial=3, previous=2, highest=4, digest="d", at=9, anchor="x", keys=record(2, B), revoked=("x",))
    store.write_state(tmp_path, state)
    assert store.read_state(tmp_path) == state


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"serial": 3}', b"\xff", State().octets()[:-1]])
def test_a_damaged_state_is_not_taken_for_none(tmp_path, content):
    (tmp_path / store.STATE).write_bytes(content)
    with pytest.raises(BundleError, match=r"state\.json: damaged"):
        store.read_state(tmp_path)


@pytest.mark.parametrize(
    ("bundles", "state", "keys", "version"),
    [
        (ONLY_A, State(), {A}, 1),
        (ONLY_A, State(keys=record(2, B), anchor=store.anchor(ONLY_A)), {B}, 2),
        (ONLY_A, State(keys=record(2, B), anchor="other keys were configured then"), {A}, 1),
        (Bundles(keys=(C.public,), keys_version=7), State(keys=record(2, B), anchor=store.anchor(ONLY_A)), {C}, 7),
    ],
)
def test_which_keys_count(bundles, state, keys, version):
    found = store.trusted(bundles, state)
    assert (set(found.keys), found.version) == ({each.public for each in keys}, version)


@pytest.mark.parametrize(
    ("bundles", "state", "keys", "revoked"),
    [
        (ONLY_A, State(), {A}, set()),
        # a bundle that was in force stays so when the keys move on
        (ONLY_A, State(keys=record(2, B), anchor=store.anchor(ONLY_A), revoked=(A.public.name,)), {A}, set()),
        (Bundles(keys=(B.public,)), State(), {B}, set()),  # the operator begins anew
        (Bundles(keys=(A.public,), revoked=(C.public.name,)), State(), {A}, {C}),
    ],
)
def test_which_keys_must_have_signed_what_is_installed(tmp_path, bundles, state, keys, revoked):
    store.unpack(tmp_path / "1", b"", b"", {}, HERE)
    found = store.accepted(tmp_path / "1", bundles, state)
    assert (set(found.keys), found.revoked) == ({each.public for each in keys}, {each.public.name for each in revoked})


def test_what_was_revoked_stays_so():
    bundles = Bundles(keys=(A.public,), revoked=(C.public.name,))
    assert store.trusted(bundles, State(revoked=(B.public.name,))).revoked == {B.public.name, C.public.name}


def test_the_order_of_keys_is_no_change():
    one, other = Bundles(keys=(A.public, B.public)), Bundles(keys=(B.public, A.public))
    assert store.anchor(one) == store.anchor(other) != store.anchor(ONLY_A)


def test_the_log_grows_and_a_torn_line_spoils_no_other(tmp_path):
    store.log(tmp_path, 0, "refused", why=Why.KEY)
    with (tmp_path / store.LOG).open("ab") as file:
        file.write(b'{"time": "2027')
    store.log(tmp_path, 0, "refused", why=Why.SERIAL)
    store.log(tmp_path, 0, "refused", why="a reason of another version")
    lines = (tmp_path / store.LOG).read_text().splitlines()
    assert len(lines) == 4
    assert json.loads(lines[2])["why"] == "serial"
    found = store.refusals(tmp_path)
    assert {why: count for why, count in found.items() if count} == {"key": 1, "serial": 1}
    assert set(found) == set(Why)


def test_no_log_is_no_refusal(tmp_path):
    assert set(store.refusals(tmp_path / "none").values()) == {0}


def test_who_did_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "root")
    monkeypatch.setenv("SUDO_USER", "ines")
    store.log(tmp_path, 0, "installed")
    assert json.loads((tmp_path / store.LOG).read_text())["by"] == "ines as root"


def test_files_are_named_when_they_cannot_be_read(tmp_path):
    with pytest.raises(BundleError, match=r"x\.bundle: cannot be read"):
        store.read_bundle(tmp_path / "x.bundle")
    assert store.read_signatures(tmp_path / "x.bundle.minisig") == ()
    (tmp_path / "x.bundle.minisig").write_text("x")
    with pytest.raises(BundleError, match=r"x\.bundle\.minisig: a signature has 4 lines"):
        store.read_signatures(tmp_path / "x.bundle.minisig")
    (tmp_path / "x.bundle.minisig").write_bytes(bytes(70000))
    with pytest.raises(BundleError, match="larger than 65536 octets"):
        store.read_signatures(tmp_path / "x.bundle.minisig")


def test_what_is_unpacked_is_what_was_signed(tmp_path):
    octets = bundle()
    store.unpack(tmp_path / "1", octets, b"signatures", {"lists/00-own/a.txt": b"a", "keys.json": b"k"}, HERE)
    assert store.unpacked(tmp_path / "1") == {"lists/00-own/a.txt": b"a", "keys.json": b"k"}
    assert store.read_bundle(tmp_path / "1" / store.BUNDLE) == octets
    assert signed(octets, A)
