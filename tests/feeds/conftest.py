"""A publisher on loopback, for all tests of feeds."""

import pytest

from tests.feeds.server import HOST, Authority, Publisher


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def chain(authority):
    return authority.chain(HOST, "127.0.0.1")


@pytest.fixture
def publisher(chain):
    made = Publisher(chain)
    yield made
    made.close()
