"""For all tests: hypothesis without deadlines, since machines differ, and with the same examples in every run of CI."""

import gc
import signal

from hypothesis import HealthCheck, settings

from tests.e2e.daemon import begin_product

settings.register_profile(
    "house", deadline=None, max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell gives its background jobs none


def pytest_collection_finish(session):
    """Compile beside the tests that come before those which want it.

    Thousands of tests are half a million objects: collecting garbage among them stops the clients and upstreams in this
    process for a third of a second, which a blocker takes for loss.
    """
    gc.collect()
    gc.freeze()
    if not session.config.option.collectonly and any(
        {"e2e", "lab"} & set(item.nodeid.split("/")) for item in session.items
    ):
        begin_product()
