"""Everybody can read it: contrast by WCAG 2.1, computed from the colours themselves."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from blocker.sinkhole import style


def luminance(colour):
    """Return relative luminance (WCAG 2.1, definition)."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_yardstick():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [style.LIGHT, style.DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("pair", "least"), [*((pair, 4.5) for pair in style.READ), *((pair, 3.0) for pair in style.SEEN)]
)
def test_contrast(colours, pair, least):
    assert contrast(colours[pair[0]], colours[pair[1]]) >= least


def test_the_style_uses_these_colours_and_no_others():
    used = set(re.findall(r"var\(--([a-z-]+)\)", style.STYLE))
    assert used == set(style.LIGHT) == set(style.DARK)
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b", style.STYLE)) == {*style.LIGHT.values(), *style.DARK.values()}


def test_it_fetches_nothing():
    assert "url(" not in style.STYLE
    assert "@import" not in style.STYLE
    assert "http" not in style.STYLE


def test_the_digest_is_that_of_the_style():
    assert b64encode(sha256(style.STYLE.encode()).digest()).decode() == style.DIGEST


def test_dark_where_it_is_wanted_and_narrow_where_it_must():
    assert "@media (prefers-color-scheme:dark)" in style.STYLE
    assert "minmax(min(100%," in style.STYLE
