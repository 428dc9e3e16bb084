"""Public suffixes: what no list may block whole."""

import pytest

from blocker import names
from blocker.lists import suffixes


@pytest.mark.parametrize(
    ("text", "refused", "private"),
    [
        ("com", True, False),
        ("co.uk", True, False),
        ("uk", True, False),
        ("nosuchtld", True, False),  # unknown top-level domains are somebody's too
        ("tiktok.com", False, False),
        ("bbc.co.uk", False, False),
        ("ck", True, False),
        ("anything.ck", True, False),  # *.ck
        ("www.ck", False, False),  # !www.ck
        ("shop.anything.ck", False, False),
        ("kobe.jp", True, False),
        ("city.kobe.jp", False, False),
        ("xn--55qx5d.cn", True, False),
        ("github.io", False, True),  # a service's own: warned about only
    ],
)
def test_suffixes(text, refused, private):
    name = names.from_text(text)
    assert suffixes.load().is_refused(name) is refused
    assert suffixes.load().is_private(name) is private
