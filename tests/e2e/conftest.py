"""Blockers and upstreams for the tests; all of them end with their test."""

import os

import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.upstream import Upstream


@pytest.fixture
def upstream():
    """A resolver that answers everything, until a test scripts it otherwise."""
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_upstream():
    """A resolver for all tests of a module; they script names of their own."""
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, shared_upstream, request):
    """A blocker for all tests of a module, with the module's SHARED as its configuration."""
    made = Daemon(tmp_path_factory.mktemp("shared"), [shared_upstream], request.module.SHARED, wait=False)
    try:
        made.wait_ready()
        yield made
        assert made.count("blocker_errors_total") == 0
        assert made.count("blocker_worker_restarts_total") == 0
        assert made.stop() == 0
    finally:
        made.close()
    assert "Traceback" not in made.log, made.log


@pytest.fixture
def more_upstreams():
    """Make further resolvers."""
    made = []

    def make(**how):
        made.append(Upstream(**how))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def start(tmp_path, upstream):
    """Start blockers in front of `upstream`; in the end none of them may have shown a bug of ours."""
    started = []

    def make(config=None, *, upstreams=None, folder=None, **how):
        folder = folder or tmp_path / str(len(started))
        started.append(Daemon(folder, upstreams or [upstream], config, wait=False, **how))
        return started[-1]

    def start(*arguments, wait=True, **how):
        daemon = make(*arguments, **how)
        if wait:
            daemon.wait_ready()
        return daemon

    yield start
    for daemon in started:
        daemon.close()
    for daemon in started:
        assert "Traceback" not in daemon.log, daemon.log
        assert "a bug of ours" not in daemon.log, daemon.log


def need(condition, why):
    """Skip a test that this machine does not allow; in CI that is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must allow this: {why}")
    pytest.skip(why)


@pytest.fixture
def root():
    """The test needs root."""
    need(os.geteuid() == 0, "needs root")
