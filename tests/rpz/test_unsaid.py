"""Exceptions that a policy zone cannot say: patterns, and those for single clients, of its own group."""

import pytest

from blocker.config import Config
from blocker.exceptions.entry import Grant
from blocker.rpz.unsaid import told, unsaid

NOW = 1_795_608_000
CONFIG = Config.model_validate({
    "groups": [
        {"name": "staff", "clients": ["192.0.2.0/24", "2001:db8::/48"]},
        {"name": "lab", "clients": ["192.0.2.128/25"]},
    ],
})  # fmt: skip


def grant(scope="suffix", value="help.example", app="", group="", clients="", starts=NOW - 5, ends=NOW + 5):
    return Grant("7", "", scope, value, app, group, clients, starts, ends)


@pytest.mark.parametrize(("given", "groups"), [
    (grant(), ""),
    (grant("exact"), ""),
    (grant("", "", "games"), ""),  # an app for everybody: its entries are simply not there
    (grant(group="staff"), ""),
    (grant("pattern", "**.*help*.example"), "default staff lab"),
    (grant("pattern", "**.*help*.example", group="lab"), "lab"),
    (grant("pattern", "**.*help*.example", ends=NOW), ""),  # over
    (grant("pattern", "**.*help*.example", starts=NOW + 1), ""),  # not begun
    (grant(clients="192.0.2.7/32"), "staff"),
    (grant(clients="192.0.2.200/32"), "staff lab"),  # rather too many than one too few
    (grant(clients="2001:db8::7/128"), "staff"),
    (grant(clients="198.51.100.0/24"), "default"),
    (grant(clients="192.0.0.0/16"), "default staff lab"),  # wider than the groups
    (grant(clients="192.0.2.7/32", group="lab"), "lab"),
    (grant("", "", "games", clients="198.51.100.9/32"), "default"),
])  # fmt: skip
def test_whose_zone_lacks_it(given, groups):
    found = [group for group in ("default", "staff", "lab") if unsaid(CONFIG, [given], group, NOW)]
    assert " ".join(found) == groups


def test_it_is_told():
    assert list(told([grant("", "", "games", "staff", "192.0.2.7/32")])) == [
        "exception 7 is left out, and stays blocked there: app games, for 192.0.2.7/32 in group staff"
    ]
