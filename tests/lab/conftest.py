"""A laboratory for each test that asks for one, and one for all tests of a module that describes its blocker."""

from collections.abc import Iterator

import pytest

from tests.e2e import everybody
from tests.lab.lab import Lab, opened


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A laboratory without a blocker."""
    with everybody.folder() as folder, opened(folder) as found:
        yield found


@pytest.fixture(scope="module")
def labs(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The laboratory of a module, with a blocker as its LAB says."""
    with everybody.folder() as folder, opened(folder) as found:
        found.start(request.module.LAB)
        yield found
