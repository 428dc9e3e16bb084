"""`blocker bundle`, from a key pair to lists in force, without a running blocker."""

import json
import sqlite3
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from blocker.bundle import archive, granted, secret
from blocker.cli import blocker
from blocker.config import exceptions_file, load
from blocker.exceptions import entry, store
from blocker.exceptions.entry import Grant, Person
from tests.bundle.publisher import A, B

PHRASE = {"operations": 1 << 15, "memory": 1 << 20}  # cheap


def run(*arguments, status=0, **more):
    found = CliRunner().invoke(blocker, [str(each) for each in arguments], **more)
    assert found.exit_code == status, found.output
    return found


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A publisher's folder with two keys and a list, and a node that trusts the first key."""
    monkeypatch.chdir(tmp_path)
    for name, key in (("a", A), ("b", B)):
        secret.write(tmp_path / f"{name}.key", secret.dumped(key, None))
        (tmp_path / f"{name}.pub").write_text(f"untrusted comment: x\n{key.public}\n")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.txt").write_text("banned.example\n")
    (tmp_path / "node.yaml").write_text(
        f"bundles: {{keys: ['{A.public}']}}\nprocess: {{state_dir: state}}\nupstream: {{servers: [192.0.2.1]}}\n"
    )
    return tmp_path


def make(serial, *more, signer="a.key"):
    out = f"{serial}.bundle"
    run("bundle", "make", out, "--serial", serial, "--publisher", "The Ministry", "--lists", "own", *more)
    if signer:
        run("bundle", "sign", out, "--key", signer)
    return out


def install(*files, status=0, node="node.yaml"):
    return json.loads(run("bundle", "install", *files, "--config", node, "--json", status=status).stdout)


def explain(name, status):
    return run("explain", name, "--config", "node.yaml", status=status).stdout


def test_from_lists_to_their_being_in_force(here):
    assert install(make(1)) == {
        "ok": True, "result": "installed", "serial": 1, "publisher": "The Ministry", "signers": [A.public.name],
        "keys_version": None, "running": "no blocker runs",
    } | {key: value for key, value in install("1.bundle").items() if key in ("created", "expires")}  # fmt: skip
    assert "/state/bundles/1/lists/01-own/own.txt:1" in explain("www.banned.example", 1)
    explain("www.new.example", 0)
    (here / "own" / "own.txt").write_text("banned.example\nnew.example\n")
    install(make(2))
    assert "/state/bundles/2/lists/01-own/own.txt:2" in explain("www.new.example", 1)
    assert install("2.bundle")["result"] == "was installed already"
    assert "is older than 2" in install("1.bundle", status=1)["problems"][0]
    assert install("--rollback")["serial"] == 1
    explain("www.new.example", 0)
    assert "ok: " in run("check", "node.yaml").stdout
    assert "own" in run("lists", "show", "--config", "node.yaml").stdout


@pytest.mark.parametrize("tool", ["ours", "minisign"])
def test_the_ordinary_tool_reads_and_signs_too(here, tool):
    out = make(1, signer=None)
    comment = run("bundle", "show", out).stdout.splitlines()[0]
    if tool == "ours":
        run("bundle", "sign", out, "--key", "a.key")
    else:
        subprocess.run(["minisign", "-S", "-s", "a.key", "-m", out, "-t", comment], check=True)
    subprocess.run(["minisign", "-V", "-p", "a.pub", "-m", out], check=True)
    assert "good: blocker bundle serial:1" in run("bundle", "verify", out, "--config", "node.yaml").stdout
    assert install(out)["serial"] == 1


def test_signing_with_minisigns_own_comment_is_refused_and_told_what_to_say(here):
    subprocess.run(["minisign", "-S", "-s", "a.key", "-m", make(1, signer=None)], check=True)
    (problem,) = install("1.bundle", status=1)["problems"]
    assert "minisign -S -t" in problem


def test_nothing_is_in_force_before_the_first_bundle(here):
    assert "none is installed" in run("check", "node.yaml", status=1).stderr
    assert "none is installed" in run("explain", "a.example", "--config", "node.yaml", status=2).stderr
    assert "no bundle is installed" in run("bundle", "show", "--config", "node.yaml", status=2).stderr


def test_two_must_sign(here):
    (here / "two.yaml").write_text(
        (here / "node.yaml").read_text().replace("keys: [", f"threshold: 2, keys: ['{B.public}', ")
    )
    out = make(1)
    assert "1 of 2 trusted keys" in install(out, status=1, node="two.yaml")["problems"][0]
    run("bundle", "sign", out, "--key", "b.key")
    run("bundle", "sign", out, "--key", "b.key")  # again changes nothing
    assert sorted(install(out, node="two.yaml")["signers"]) == [A.public.name, B.public.name]
    subprocess.run(["minisign", "-V", "-p", "a.pub", "-m", out], check=True)


def test_a_signature_of_another_bundle_is_not_added_to(here):
    make(1)
    make(2, signer=None)
    Path("1.bundle.minisig").rename("2.bundle.minisig")
    refused = run("bundle", "sign", "2.bundle", "--key", "b.key", status=2)
    assert "is of another bundle: blocker bundle serial:1" in refused.stderr


def test_keys_are_handed_over(here):
    (here / "keys.yaml").write_text(f"version: 2\nthreshold: 1\nkeys: ['{B.public}']\nrevoked: ['{A.public.name}']\n")
    install(make(1))
    out = make(2, "--keys", "keys.yaml")
    assert "its new keys must have signed it too" in install(out, status=1)["problems"][0]
    run("bundle", "sign", out, "--key", "b.key")
    assert install(out)["keys_version"] == 2
    assert "keys.json: the next set of trusted keys" in run("bundle", "show", out).stdout
    assert "(revoked)" in install(make(3), status=1)["problems"][0]
    assert install(make(4, signer="b.key"))["serial"] == 4


def test_a_bundle_that_this_node_would_not_load_is_refused(here):
    install(make(1))
    (here / "node.yaml").write_text(
        (here / "node.yaml").read_text() + "groups: [{name: g, clients: [192.0.2.0/24], block: [own]}]\n"
    )
    (here / "own" / "own.txt").unlink()
    (here / "own" / "other.txt").write_text("other.example\n")
    assert "there is no app 'own'" in install(make(2), status=1)["problems"][0]
    explain("www.banned.example", 1)


def test_unsigned_lists_are_not_taken_beside_it(here):
    text = (here / "node.yaml").read_text()
    (here / "node.yaml").write_text(text + "lists: {directories: [own]}\n")
    refused = run("check", "node.yaml", status=1)
    assert "node.yaml:4: lists.directories.0: " in refused.stderr
    assert "is not signed, and bundles.keys says that lists come from signed bundles" in refused.stderr
    (here / "node.yaml").write_text(
        text.replace("keys: [", "allow_local: true, keys: [") + "lists: {directories: [mine]}\n"
    )
    (here / "mine").mkdir()
    (here / "mine" / "mine.txt").write_text("mine.example\n")
    install(make(1))
    explain("mine.example", 1)
    explain("banned.example", 1)


def test_what_must_resolve_by_the_bundle_is_so_for_the_lists_of_others_too(here):
    (here / "own" / "must_resolve.yaml").write_text("must_resolve: [{value: needed.example, why: ours}]\n")
    (here / "theirs").write_text("bad.example\nneeded.example\n")
    (here / "node.yaml").write_text(
        (here / "node.yaml").read_text().replace("keys: [", "allow_local: true, keys: [")
        + f"feeds: [{{name: theirs, category: games, url: 'file://{here}/theirs'}}]\n"
    )
    install(make(1))
    assert "1 refused" in run("lists", "try", "theirs", "--config", "node.yaml").stdout
    (fetched,) = json.loads(run("lists", "update", "--config", "node.yaml", "--json").stdout)["feeds"]
    assert (fetched["after"], fetched["rejected"]["refused"]) == (1, 1)
    (here / "names").write_text("banned.example\n")
    assert "1 names are matched" in run("coverage", "names", "--app", "own", "--config", "node.yaml").stdout


def test_verify_changes_nothing_and_needs_no_node(here):
    out = make(1)
    for given in ("a.pub", str(A.public)):
        assert "good" in run("bundle", "verify", out, "--key", given).stdout
    found = json.loads(run("bundle", "verify", out, "--key", "b.pub", "--json", status=1).stdout)
    assert (found["ok"], found["why"]) == (False, "key")
    assert (
        "refused: 1 of 2"
        in run("bundle", "verify", out, "--key", "a.pub", "--key", "b.pub", "--threshold", 2, status=1).stderr
    )
    assert not (here / "state").exists()


def test_the_same_input_makes_the_same_file(here):
    made = []
    for _ in range(2):
        make(1, "--created", "2026-11-24T00:00:00Z", signer=None)
        made.append(Path("1.bundle").read_bytes())
    assert made[0] == made[1]
    run("bundle", "make", "x", "--serial", 1, "--publisher", "P", "--created", "yesterday", status=2)


def test_show(here):
    out = make(1)
    lines = run("bundle", "show", out).stdout.splitlines()
    assert lines[1] == f"signatures (not checked): {A.public.name}"
    assert "  lists/01-own/own.txt: own, 1 entries" in lines
    assert json.loads(run("bundle", "show", out, "--json").stdout)["serial"] == 1
    (here / "junk").write_text("junk")
    assert "junk: octet 0: not the header" in run("bundle", "show", "junk", status=2).stderr


def test_a_key_pair_under_a_pass_phrase(here, monkeypatch):
    real = secret.dumped
    monkeypatch.setattr(secret, "dumped", lambda key, phrase: real(key, phrase, **PHRASE))
    run("bundle", "keygen", "new", input="horse\nhorse\n")
    assert Path("new.key").stat().st_mode & 0o777 == 0o600
    make(1, signer=None)
    assert (
        "pass phrase is wrong" in run("bundle", "sign", "1.bundle", "--key", "new.key", input="mule\n", status=2).stderr
    )
    run("bundle", "sign", "1.bundle", "--key", "new.key", input="horse\n")
    (here / "phrase").write_text("horse\n")
    run("bundle", "sign", "1.bundle", "--key", "new.key", "--passphrase-file", "phrase")
    run("bundle", "verify", "1.bundle", "--key", "new.pub")
    assert "never written over" in run("bundle", "keygen", "--plain", "new", status=2).stderr
    run("bundle", "keygen", "empty", "--passphrase-file", "/dev/null", status=2)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("install", "--config", "node.yaml"), 2, "name the bundles to install"),
        (("install", "x", "--rollback", "--config", "node.yaml"), 2, "name the bundles to install"),
        (("install", "x", "--config", "node.yaml"), 1, "x: cannot be read"),
        (("install", "--rollback", "--config", "node.yaml"), 1, "there is no bundle before"),
        (("install", "x"), 2, "no key is trusted here"),
        (("sign", "x", "--key", "a.key"), 2, "x: cannot be read"),
        (("verify", "a.pub", "--key", "zzz"), 2, "zzz: a public key is"),
        (("verify", "a.pub"), 2, "no key is trusted here"),
    ],
)
def test_what_is_told(here, arguments, status, words):
    assert words in run("bundle", *arguments, status=status).output


def test_approved_exceptions_go_along_unless_they_are_over_or_nobody_wrote_of_them(here):
    (here / "publisher.yaml").write_text("process: {state_dir: own-state}\nupstream: {servers: [192.0.2.1]}\n")
    found = load(here / "publisher.yaml")
    now = int(time.time())
    with store.opened(found) as kept:
        for value, ends in (("a.example", now + 60), ("b.example", now + 600), ("c.example", now + 600)):
            grant = Grant("", "", "suffix", value, "", "", "", 0, ends)
            asked = entry.request(grant, "a drill", Person("ines"), now, longest=600)
            number = kept.add(asked, now).grant.id
            if value != "c.example":
                kept.change(number, "approved", lambda each: entry.approve(each, Person("omar"), now), now)

    def values(*more):
        run("bundle", "make", "x.bundle", "--serial", 1, "--publisher", "x", "--lists", "own", "-c", found_path, *more)
        files = archive.opened((here / "x.bundle").read_bytes()).files
        return [each.value for each in granted.read(files)]

    found_path = here / "publisher.yaml"
    later = datetime.fromtimestamp(now + 60, UTC)
    assert values() == ["a.example", "b.example"]
    assert values("--created", f"{later:%Y-%m-%dT%H:%M:%SZ}") == ["b.example"]
    assert values("--no-exceptions") == []
    with sqlite3.connect(exceptions_file(found)) as db:
        db.execute(
            "UPDATE exceptions SET state = 'approved', entry = replace(entry, 'requested\"', 'approved\"') WHERE id = 3"
        )
    db.close()
    refused = run("bundle", "make", "x.bundle", "--serial", 1, "--publisher", "x", "-c", found_path, status=2)
    assert "exception 3: the store holds what no line of its log says" in refused.output.replace("\n", " ")
