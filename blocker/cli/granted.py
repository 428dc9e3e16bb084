"""The approved exceptions that the server would have: this node's own, and those of the installed bundle."""

from blocker.bundle import current as bundles
from blocker.config import Config
from blocker.exceptions import store
from blocker.exceptions.entry import Grant


def granted(found: Config) -> tuple[Grant, ...]:
    """Return them, whatever the time. Raises ExceptionsError, BundleError."""
    return store.snapshot(found, bundles.in_force(found).granted).granted
