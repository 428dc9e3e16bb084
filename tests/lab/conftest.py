"""A laboratory for each test that asks for one, and one for all tests of a module that describes its blocker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, opened


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory without a blocker."""
    with opened(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def labs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The laboratory of a module, with a blocker as its LAB says."""
    with opened(tmp_path_factory.mktemp("lab")) as found:
        found.start(request.module.LAB)
        yield found
