"""May this bundle be installed? Pure: octets, signatures, trusted keys, what is installed and the time go in.

In this order, so that nothing of a stranger's is read beyond its signature: enough trusted keys have signed these
very octets; the archive and its manifest are in order; the signers' comments say what the manifest says; serial,
time and keys follow what is installed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from blocker.bundle import archive, granted, key, manifest, signature
from blocker.bundle.archive import Bundle
from blocker.bundle.key import PublicKey
from blocker.bundle.manifest import KEYS, KeyRecord, Manifest
from blocker.bundle.signature import Signature
from blocker.errors import BundleError

CLOCK_TOLERANCE: Final = 600  # seconds that two machines' clocks may differ


class Why(StrEnum):
    """Why a bundle was refused: a closed set, so that it can label a metric."""

    KEY = "key"  # no trusted key, too few of them, or a revoked one
    TAMPERED = "tampered"  # a trusted key's signature does not fit these octets
    CONTENT = "content"  # signed, but not a bundle, or one that this node could not load
    SERIAL = "serial"  # not newer than what is or was installed
    EXPIRED = "expired"
    CLOCK = "clock"  # not valid yet, or this node's clock stands before its last installation
    ROTATION = "rotation"  # its set of keys does not follow the one in force


class RefusedError(BundleError):
    """A bundle that may not be installed; `why` is safe as a label."""

    def __init__(self, why: Why, problems: Sequence[str]) -> None:
        super().__init__(problems)
        self.why = why


@dataclass(frozen=True, slots=True)
class Trusted:
    """The keys that count, and how many of them must have signed."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1
    version: int = 1
    revoked: frozenset[str] = frozenset()  # numbers of keys that count no more, whoever lists them


@dataclass(frozen=True, slots=True)
class Installed:
    """What a node has, and had."""

    serial: int = 0  # 0: nothing
    highest: int = 0  # the highest serial that ever was installed: above `serial` after a rollback
    digest: str = ""  # BLAKE2b-512 of the bundle in force
    at: int = 0  # unix time of the last installation


class Step(StrEnum):
    """What is to be done with a good bundle."""

    INSTALL = "install"
    NOTHING = "nothing"  # it is in force already
    KEYS = "keys"  # expired, but its keys lead on to the next bundle


@dataclass(frozen=True, slots=True)
class Decision:
    """A bundle that was found good."""

    step: Step
    bundle: Bundle
    digest: str
    signers: tuple[str, ...]  # numbers of the trusted keys that have signed
    record: KeyRecord | None  # the next set of keys, if it brings one


def decide(
    octets: bytes,
    signatures: Sequence[Signature],
    trusted: Trusted,
    installed: Installed,
    now: int,
    max_age: int | None = None,
) -> Decision:
    """Return what to do with the bundle `octets` at unix time `now`; `max_age` is in seconds. Raises RefusedError."""
    signed = authentic(octets, signatures, trusted)
    bundle = read(octets, signed)
    said = bundle.manifest
    digest = signature.digest(octets).hex()
    record = _next_keys(bundle, octets, signatures, trusted)
    signers = tuple(key.id_text(each.key_id) for each in signed)
    if digest == installed.digest:
        return Decision(Step.NOTHING, bundle, digest, signers, None)
    _check_serial(said, installed)
    _check_clock(said, installed, now)
    step = Step.INSTALL
    if now >= expiry(said, max_age):
        if record is None:
            why = f"serial {said.serial} expired at {manifest.written(expiry(said, max_age))}"
            raise RefusedError(
                Why.EXPIRED, [f"{why}. Ask {said.publisher} for a newer one, and look at this node's clock."]
            )
        step = Step.KEYS
    return Decision(step, bundle, digest, signers, record)


def authentic(octets: bytes, signatures: Sequence[Signature], trusted: Trusted) -> tuple[Signature, ...]:
    """Return the good signatures of trusted keys, one for each key. Raises RefusedError if they are too few."""
    by_id = {each.id: each for each in trusted.keys if each.name not in trusted.revoked}
    good: dict[bytes, Signature] = {}
    for each in signatures:
        known = by_id.get(each.key_id)
        if known is None:
            continue
        if not signature.verify(each, known, octets):
            why = f"key {known.name} has not signed this: the bundle, or its signature, was changed or mixed up"
            raise RefusedError(Why.TAMPERED, [f"{why}. Do not use it; fetch both files anew."])
        good[each.key_id] = each
    if len(good) >= trusted.threshold:
        return tuple(good.values())
    signers = {key.id_text(each.key_id) for each in signatures}
    names = ", ".join(each.name for each in by_id.values()) or "none"
    by = ", ".join(f"{each} (revoked)" if each in trusted.revoked else each for each in sorted(signers)) or "nobody"
    said = f"{len(good)} of {trusted.threshold} trusted keys needed have signed it"
    cure = "Check bundles.keys and where this is from; if the keys have changed, first install the bundle that says so"
    raise RefusedError(Why.KEY, [f"{said}. Trusted: {names}; signed by: {by}. {cure}."])


def read(octets: bytes, signed: Sequence[Signature]) -> Bundle:
    """Return the bundle in `octets`, whose signers' comments must tell of it rightly. Raises RefusedError."""
    try:
        bundle = archive.opened(octets)
        granted.read(bundle.files)
    except BundleError as error:
        raise RefusedError(Why.CONTENT, error.problems) from error
    wanted = bundle.manifest.comment
    for each in signed:
        if each.trusted_comment != wanted:
            why = f"key {key.id_text(each.key_id)}'s comment is {each.trusted_comment!r}, not {wanted!r}"
            raise RefusedError(Why.TAMPERED, [f"{why}. Sign it anew: minisign -S -t '...', or `blocker bundle sign`."])
    return bundle


def expiry(said: Manifest, max_age: int | None) -> int:
    """Return the unix time at which a bundle ends: by its own word, or by a node's that takes none so old."""
    end = manifest.moment(said.expires)
    return end if max_age is None else min(end, manifest.moment(said.created) + max_age)


def _check_serial(said: Manifest, installed: Installed) -> None:
    if said.serial > installed.highest or (not installed.serial and said.serial == installed.highest):
        return
    if said.serial == installed.serial:
        why = f"serial {said.serial} is installed, with other content: a serial is given once"
    elif not installed.serial:
        why = f"serial {said.serial} is older than {installed.highest}, which was installed here once"
    elif installed.serial < installed.highest:
        why = f"serial {said.serial} is not above {installed.highest}, which was installed here and rolled back"
    else:
        why = f"serial {said.serial} is older than {installed.serial}, which is installed"
    raise RefusedError(Why.SERIAL, [f"{why}. Ask {said.publisher} for a bundle with a higher serial."])


def _check_clock(said: Manifest, installed: Installed, now: int) -> None:
    clock = f"this node's clock says {manifest.written(now)}"
    if now + CLOCK_TOLERANCE < manifest.moment(said.created):
        raise RefusedError(Why.CLOCK, [f"created at {said.created}, and {clock}. Set the clock right, then try again."])
    if now + CLOCK_TOLERANCE < installed.at:
        last = manifest.written(installed.at)
        raise RefusedError(Why.CLOCK, [f"the last installation was at {last}, and {clock}. Set the clock right first."])


def _next_keys(bundle: Bundle, octets: bytes, signatures: Sequence[Signature], trusted: Trusted) -> KeyRecord | None:
    """Return the set of keys that follows the one in force, if the bundle brings it. Raises RefusedError."""
    if KEYS not in bundle.files:
        return None
    try:
        record = manifest.parsed(bundle.files[KEYS], KeyRecord, KEYS)
    except BundleError as error:
        raise RefusedError(Why.CONTENT, error.problems) from error
    found = following(record, trusted)
    if record.version == trusted.version:
        if (set(found.keys), found.threshold) != (set(trusted.keys), trusted.threshold):
            raise RefusedError(
                Why.ROTATION, [f"its keys are version {record.version} too, but others than those in force."]
            )
        return None
    if record.version != trusted.version + 1:
        why = f"its keys are version {record.version}, those in force {trusted.version}"
        older = record.version < trusted.version
        cure = "Ask for one made since" if older else f"Install the bundle that brought {trusted.version + 1} first"
        raise RefusedError(Why.ROTATION, [f"{why}. {cure}."])
    try:
        authentic(octets, signatures, found)
    except RefusedError as error:
        raise RefusedError(
            Why.ROTATION, [f"its new keys must have signed it too: {why}" for why in error.problems]
        ) from error
    return record


def recorded(trusted: Trusted) -> KeyRecord:
    """Return what is trusted as a set of keys."""
    keys = tuple(sorted(map(str, trusted.keys)))
    return KeyRecord(version=trusted.version, threshold=trusted.threshold, keys=keys)


def following(record: KeyRecord, trusted: Trusted) -> Trusted:
    """Return what is trusted once `record` is in force: what was revoked once stays so."""
    keys = tuple(key.parse(text) for text in record.keys)
    return Trusted(keys, record.threshold, record.version, trusted.revoked | set(record.revoked))
