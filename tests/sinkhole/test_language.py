"""Which language comes first, and who gets a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.sinkhole import language

EN_FR = ("en", "fr")


@pytest.mark.parametrize(("header", "expected"), [
    ("", "en"),
    ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
    ("en-CA, fr-CA;q=0.5", "en"),
    ("fr;q=0.3, en;q=0.7", "en"),
    ("FR", "fr"),
    ("de-DE, fr;q=0.1", "fr"),  # neither English nor first, but of ours the one that is understood
    ("fr;q=0, en;q=0", "en"),
    ("fr;q=1.0;level=1", "fr"),
    ("frr", "en"),  # Northern Frisian
    ("*", "en"),
    ("fr;q=nonsense", "fr"),
    (";;;,,,q=1", "en"),
])  # fmt: skip
def test_order(header, expected):
    assert language.order(header, EN_FR)[0] == expected
    assert set(language.order(header, EN_FR)) == set(EN_FR)


def test_the_operators_order_where_nobody_prefers():
    assert language.order("de", ("fr", "en")) == ("fr", "en")


@pytest.mark.parametrize(("accept", "page"), [
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),  # browsers
    ("*/*", False),  # curl, and most apps
    ("", False),
    ("text/plain", False),
    ("text/html;q=0", False),
    ("image/avif,image/webp,*/*", False),  # a picture inside a page
    ("application/json", False),
])  # fmt: skip
def test_who_gets_a_page(accept, page):
    assert language.wants_page(accept) is page


@given(st.text())
def test_no_header_breaks_it(header):
    assert sorted(language.order(header, EN_FR)) == sorted(EN_FR)
    assert language.wants_page(header) in (True, False)
