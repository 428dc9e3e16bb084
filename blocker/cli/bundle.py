"""`blocker bundle`: make, sign, check and install all lists as one signed file.

Those who publish need no running blocker and no node's configuration; those who install do it as root.
"""

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from blocker import config
from blocker.bundle import archive, current, disk, install, key, make, manifest, secret, signature, store, trust
from blocker.bundle.archive import Bundle
from blocker.bundle.key import COMMENT
from blocker.bundle.trust import Decision, Step, Trusted
from blocker.cli import control, feeds
from blocker.cli.options import config_option, json_option, lists_option, overrides
from blocker.config import Config
from blocker.errors import BlockerError, BundleError, ListError, ProblemsError
from blocker.exceptions import store as exceptions
from blocker.exceptions.entry import Entry, State
from blocker.lists import check, gather

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_PATIENCE: Final = 120.0  # seconds that the running blocker may take to load a bundle
_DONE: Final = {
    Step.INSTALL: "installed",
    Step.NOTHING: "was installed already",
    Step.KEYS: "expired; only its keys are taken",
}
_DAYS: Final = 30  # until a bundle expires, if nothing else is said


@click.group("bundle")
def commands() -> None:
    """Make, sign, verify and install signed bundles of lists."""


@commands.command()
@click.argument("name", type=_FILE)
@click.option("--plain", is_flag=True, help="No pass phrase: whoever reads the file can sign.")
@click.option("--passphrase-file", type=_FILE, metavar="FILE", help="Take the pass phrase from its first line.")
def keygen(name: Path, *, plain: bool, passphrase_file: Path | None) -> None:
    """Make a key pair: NAME.key, the secret one, with mode 0600, and NAME.pub, in minisign's formats.

    Deriving a key from the pass phrase takes 1 GiB of memory for some seconds, as it does with minisign.
    """
    phrase = None if plain else _new_phrase(passphrase_file)
    made = secret.generate()
    secret_path, public_path = name.with_name(name.name + ".key"), name.with_name(name.name + ".pub")
    if public_path.exists():
        raise BundleError([f"{public_path}: exists; a key is never written over. Choose another name."])
    secret.write(secret_path, secret.dumped(made, phrase))
    _write(public_path, f"{COMMENT}minisign public key {made.public.name}\n{made.public}\n".encode())
    click.echo(f"{secret_path}: keep it secret, and a copy in a safe\n{public_path}: key {made.public.name}")
    click.echo(f"nodes trust it with  bundles: {{keys: [{made.public}]}}")


@commands.command("make")
@click.argument("out", type=_FILE)
@click.option("--serial", type=click.IntRange(1, manifest.MAX_SERIAL), required=True, help="Above that of any before.")
@click.option("--publisher", required=True, metavar="TEXT", help="Who answers for it, for people.")
@click.option("--days", type=click.IntRange(1, 3650), default=_DAYS, show_default=True, help="Until it expires.")
@click.option("--created", metavar="TIME", help="2026-11-24T00:00:00Z; not said: now. For making the same file again.")
@click.option("--keys", type=_FILE, metavar="FILE", help="The next set of keys: version, threshold, keys, revoked.")
@click.option("--no-exceptions", is_flag=True, help="Leave out the exceptions that people have approved here.")
@config_option
@lists_option
def make_bundle(
    out: Path,
    serial: int,
    publisher: str,
    days: int,
    created: str | None,
    keys: Path | None,
    no_exceptions: bool,
    path: Path | None,
    lists: tuple[Path, ...],
) -> None:
    """Make the bundle OUT of the lists that the configuration names, and of the exceptions approved here. Sign it next.

    Refused lists are told with file and line. Exit status 0: made.
    """
    found = config.load(path, overrides(lists=lists))
    try:
        begin = datetime.fromtimestamp(manifest.moment(created) if created else int(time.time()), UTC)
    except ValueError as error:
        raise click.BadParameter("write it like 2026-11-24T00:00:00Z.", param_hint="--created") from error
    entries = () if no_exceptions else _approved(found, begin.timestamp())
    said, octets = make.make(
        found.lists,
        serial=serial,
        created=int(begin.timestamp()),
        expires=int((begin + timedelta(days=days)).timestamp()),
        publisher=publisher,
        record=make.read_record(keys) if keys else None,
        entries=entries,
    )
    _write(out, octets)
    for feed in found.feeds:
        click.echo(f"warning: feed {feed.name} is not in the bundle: only lists that are kept by hand are", err=True)
    click.echo(
        f"{out}: {len(said.lists)} lists, {sum(each.entries for each in said.lists)} entries,"
        f"{f' {len(entries)} exceptions,' if entries else ''} {len(octets)} octets"
    )
    click.echo(said.comment)


def _approved(found: Config, moment: float) -> tuple[Entry, ...]:
    """Return the exceptions that people have approved on this machine and that are not over at `moment`, unix time."""
    if not exceptions.is_used(found):
        return ()
    with exceptions.opened(found) as kept:
        kept.snapshot()  # refuses a store that is not what its log says
        return tuple(each for each in kept.entries() if each.state is State.APPROVED and moment < each.grant.ends)


@commands.command()
@click.argument("file", type=_FILE)
@click.option("--key", "key_path", type=_FILE, required=True, metavar="FILE", help="Secret key, minisign's or ours.")
@click.option("--passphrase-file", type=_FILE, metavar="FILE", help="Take the pass phrase from its first line.")
@click.option("--legacy", is_flag=True, help="Sign the file itself, not its hash: for tools that know only that.")
def sign(file: Path, key_path: Path, passphrase_file: Path | None, *, legacy: bool) -> None:
    """Sign the bundle FILE: adds to FILE.minisig, so that several people can sign one after the other.

    The trusted comment carries serial, times and publisher. Read it before you enter your pass phrase.
    """
    octets = store.read_bundle(file)
    said = _told(file, octets).manifest
    click.echo(said.comment, err=True)
    found = secret.read(key_path, lambda: _phrase(passphrase_file))
    target = _beside(file)
    others = [each for each in store.read_signatures(target) if each.key_id != found.id]
    stale = [each for each in others if each.trusted_comment != said.comment]
    if stale:
        raise BundleError([f"{target}: is of another bundle: {stale[0].trusted_comment}. Remove it first."])
    own = signature.sign(
        found.seed, found.id, octets, said.comment, hashed=not legacy, untrusted=f"key {found.public.name}"
    )
    _write(target, signature.joined([*others, own]))
    click.echo(f"{target}: signed by key {found.public.name}, {len(others) + 1} in all")


@commands.command()
@click.argument("file", type=_FILE)
@click.option("--key", "keys", multiple=True, metavar="KEY|FILE", help="Trust this public key. Repeatable.")
@click.option("--threshold", type=click.IntRange(1, 16), default=1, help="How many of them must have signed.")
@config_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context, file: Path, keys: tuple[str, ...], threshold: int, path: Path | None, *, as_json: bool
) -> None:
    """Say whether the bundle FILE would be installed: by these keys, else by this node's and after what it has.

    Changes nothing. Exit status 0: it would. 1: it would not.
    """
    octets, signatures = store.read_bundle(file), store.read_signatures(_beside(file))
    if keys:
        trusted, installed, max_age = Trusted(_keys(keys, threshold), threshold), trust.Installed(), None
    else:
        found = _trusting(config.load(path))
        state = store.read_state(store.directory(found))
        trusted, installed, max_age = store.trusted(found.bundles, state), state.installed, found.bundles.max_age
    try:
        decision = trust.decide(octets, signatures, trusted, installed, int(time.time()), max_age)
    except BundleError as error:
        if as_json:
            why = error.why if isinstance(error, trust.RefusedError) else trust.Why.CONTENT
            click.echo(json.dumps({"ok": False, "why": why, "problems": list(error.problems)}))
        for problem in () if as_json else error.problems:
            click.echo(f"refused: {problem}", err=True)
        ctx.exit(1)
    if as_json:
        click.echo(json.dumps(_said(decision) | {"ok": True}))
    else:
        click.echo(f"{file}: good: {decision.bundle.manifest.comment}\nsigned by {', '.join(decision.signers)}")


@commands.command()
@click.argument("file", type=_FILE, required=False)
@config_option
@json_option
def show(file: Path | None, path: Path | None, *, as_json: bool) -> None:
    """Show what is in the bundle FILE, without believing it; without FILE, what this node has installed."""
    if file is None:
        folder = store.directory(config.load(path))
        state = store.read_state(folder)
        if not state.serial:
            raise BundleError([f"{folder}: no bundle is installed. Run: blocker bundle install FILE"])
        file = folder / str(state.serial) / store.BUNDLE
    bundle = _told(file, store.read_bundle(file))
    signatures = store.read_signatures(_beside(file))
    signers = [key.id_text(each.key_id) for each in signatures]
    said = bundle.manifest
    if as_json:
        click.echo(json.dumps(said.model_dump(mode="json") | {"signatures": signers}))
        return
    click.echo(f"{said.comment}\nsignatures (not checked): {', '.join(signers) or 'none'}")
    for each in said.lists:
        due = f", review by {each.review_by}" if each.review_by else ""
        click.echo(f"  {each.name}: {each.title}, {each.entries} entries{due}")
    if manifest.KEYS in bundle.files:
        click.echo(f"  {manifest.KEYS}: the next set of trusted keys")


@commands.command("install")
@click.argument("files", type=_FILE, nargs=-1, metavar="[FILE]...")
@click.option("--rollback", is_flag=True, help="Go back to the bundle before the one in force. Logged.")
@config_option
@json_option
def install_bundle(files: tuple[Path, ...], path: Path | None, *, rollback: bool, as_json: bool) -> None:
    """Install the bundles FILE..., in this order, and have a running blocker take the last one's lists.

    Each needs its FILE.minisig beside it. Nothing changes unless everything about a bundle is right. Exit status 0: in
    force, or installed and no blocker runs. 1: refused; what was in force stays.
    """
    if bool(files) == rollback:
        raise click.UsageError("name the bundles to install, or say --rollback.")
    found = _trusting(config.load(path))
    folder = store.directory(found)
    now = int(time.time())
    said: dict[str, Any] = {"ok": True}
    try:
        if rollback:
            said["serial"] = install.rollback(folder, found.bundles, now, _attempt(found))
        for file in files:
            octets, signatures = store.read_bundle(file), store.read_octets(_beside(file))
            decision = install.install(
                folder, octets, signatures, found.bundles, now, str(file.absolute()), _attempt(found)
            )
            said |= _said(decision) | {"result": _DONE[decision.step]}
    except ProblemsError as error:
        said = {"ok": False, "problems": list(error.problems)}
    reply = _reload(found)
    if said["ok"] and reply is not None and not reply["ok"]:
        problems = [f"installed, but the running blocker does not take it: {each}" for each in reply["problems"]]
        said |= {"ok": False, "problems": problems}
    if said["ok"]:
        said["running"] = "no blocker runs" if reply is None else f"in force, generation {reply['generation']}"
    control.finish(said, "refused", as_json=as_json)


def _attempt(found: Config) -> Callable[[Path], None]:
    """Return what tries an unpacked bundle as this node would load it."""

    def attempt(home: Path) -> None:
        sources = gather.gather(current.lists_in(home, found.lists, found.bundles), feeds=feeds.in_force(found))
        if problems := [*check.problems(sources), *config.check_apps(found, sources.apps)]:
            raise ListError(problems)

    return attempt


def _reload(found: Config) -> dict[str, Any] | None:
    """Have a running blocker read what is there now, also how many bundles were refused; None: none runs."""
    try:
        return control.ask(config.control_socket(found), "reload", _PATIENCE)
    except BlockerError as error:
        if isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
            return None  # left behind by one that was killed
        return {"ok": False, "problems": [str(error)]}


def _trusting(found: Config) -> Config:
    if not found.bundles.keys:
        raise BundleError(
            ["bundles.keys: no key is trusted here, so nothing can be installed. Configure the publisher's."]
        )
    return found


def _said(decision: Decision) -> dict[str, Any]:
    said = decision.bundle.manifest
    return {
        "serial": said.serial,
        "created": said.created,
        "expires": said.expires,
        "publisher": said.publisher,
        "signers": list(decision.signers),
        "keys_version": decision.record.version if decision.record else None,
    }


def _told(file: Path, octets: bytes) -> Bundle:
    try:
        return archive.opened(octets)
    except BundleError as error:
        raise BundleError([f"{file}: {problem}" for problem in error.problems]) from error


def _beside(file: Path) -> Path:
    return file.with_name(file.name + ".minisig")


def _keys(said: Sequence[str], threshold: int) -> tuple[key.PublicKey, ...]:
    """Return the public keys written out, or in the files named."""
    found = []
    for each in said:
        try:
            found.append(key.parse(Path(each).read_text() if Path(each).is_file() else each))
        except (OSError, ValueError) as error:
            raise BundleError([f"{each}: {error}. Name a .pub file or its second line."]) from error
    try:
        manifest.check_keys(tuple(found), threshold, ())
    except ValueError as error:
        raise BundleError([f"--key: {error}."]) from error
    return tuple(found)


def _new_phrase(file: Path | None) -> str:
    phrase = (
        _first_line(file) if file else click.prompt("Pass phrase", hide_input=True, confirmation_prompt=True, err=True)
    )
    if not phrase:
        raise BundleError(["the pass phrase is empty. Say --plain if that is meant."])
    return str(phrase)


def _phrase(file: Path | None) -> str:
    return _first_line(file) if file else str(click.prompt("Pass phrase", hide_input=True, err=True))


def _first_line(file: Path) -> str:
    try:
        return file.read_text().partition("\n")[0]
    except (OSError, ValueError) as error:
        raise BundleError([f"{file}: cannot be read: {error}."]) from error


def _write(path: Path, content: bytes) -> None:
    try:
        disk.replace(path, content)
    except OSError as error:
        raise BundleError([f"{path}: cannot be written: {error.strerror}. Choose another place."]) from error
