"""What options put over the configuration file."""

from pathlib import Path

import pytest

from blocker.cli.options import overrides


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"listen": (), "lists": (), "workers": None}, {}),  # not given: nothing is put over the file
        ({"listen": ("127.0.0.1:53",)}, {"listen": ["127.0.0.1:53"]}),
        ({"upstream": ("192.0.2.1", "192.0.2.2:54")}, {"upstream.servers": ["192.0.2.1", "192.0.2.2:54"]}),
        ({"metrics": "127.0.0.1:1"}, {"metrics.listen": "127.0.0.1:1"}),
        ({"lists": (Path("mine"),)}, {"lists.directories": [Path("mine")]}),
        ({"workers": 0}, {"process.workers": 0}),  # given, though false: refused later
    ],
)
def test_overrides(given, expected):
    assert overrides(**given) == expected
