"""A publisher with keys that never change, so that tests say the same each time."""

from blocker.bundle import archive, manifest, signature
from blocker.bundle.manifest import KEYS, KeyRecord, Manifest
from blocker.bundle.secret import SecretKey

CREATED = 1_800_000_000  # unix time
DAY = 86400
NAME = "lists/00-own/own.txt"
LISTS = {NAME: b"banned.example\n"}


def secret(number):
    return SecretKey(bytes([number] * 8), bytes([number] * 32))


A, B, C, D = (secret(number) for number in range(1, 5))


def record(version, *keys, threshold=1, revoked=()):
    return KeyRecord(
        version=version,
        threshold=threshold,
        keys=tuple(str(each.public) for each in keys),
        revoked=tuple(each.public.name for each in revoked),
    )


def said(serial=1, files=LISTS, *, created=CREATED, expires=CREATED + 30 * DAY, publisher="The Ministry"):
    return Manifest(
        format=1,
        serial=serial,
        created=manifest.written(created),
        expires=manifest.written(expires),
        publisher=publisher,
        files=tuple(manifest.described(name, files[name]) for name in sorted(files)),
        lists=(),
    )


def bundle(serial=1, files=LISTS, *, keys=None, **more):
    """Return the octets of a bundle."""
    files = dict(files) | ({KEYS: keys.octets()} if keys else {})
    return archive.build(said(serial, files, **more), files)


def signed(octets, *keys, comment=None, hashed=True):
    """Return the signatures of `keys`."""
    comment = archive.opened(octets).manifest.comment if comment is None else comment
    return tuple(signature.sign(key.seed, key.id, octets, comment, hashed=hashed) for key in keys)
