"""A node that trusts keys, in a folder of its own."""

from blocker.bundle import install, signature, store
from blocker.config import Config
from tests.bundle.publisher import CREATED, A, bundle, signed

NOW = CREATED + 3600


def config(folder, *keys, **more):
    bundles = {"keys": [str(each.public) for each in keys or (A,)], **more.pop("bundles", {})}
    return Config.model_validate({"bundles": bundles, "process": {"state_dir": str(folder)}, **more})


def fine(_home):
    """Try nothing."""


def put(found, octets=None, *keys, now=NOW, attempt=fine, serial=1, signatures=None):
    """Install a bundle on the node `found`; return what was decided."""
    octets = octets or bundle(serial)
    signatures = signature.joined(signed(octets, *(keys or (A,)))) if signatures is None else signatures
    return install.install(store.directory(found), octets, signatures, found.bundles, now, "/in/x.bundle", attempt)


def log(found):
    """Return the words of the log of installations."""
    return (store.directory(found) / store.LOG).read_text().splitlines()


def state(found):
    return store.read_state(store.directory(found))
