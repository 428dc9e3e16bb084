"""What one owner holds: below suffixes, and below parents that strangers share."""

import pytest

from blocker import names
from blocker.candidates.owned import Owners

OWNERS = Owners([names.from_text("akamaized.net")])


@pytest.mark.parametrize(("text", "owned"), [
    ("a.b.new.example", "new.example"),
    ("new.example", "new.example"),
    ("a.new.co.uk", "new.co.uk"),
    ("co.uk", None),
    ("com", None),
    (".", None),
    ("fan.github.io", "fan.github.io"),  # a private suffix
    ("a.fan.github.io", "fan.github.io"),
    ("x.v16.akamaized.net", "v16.akamaized.net"),  # a shared parent
    ("akamaized.net", None),
])  # fmt: skip
def test_owned(text, owned):
    assert OWNERS.of(names.from_text(text)) == (owned and names.from_text(owned))
    assert OWNERS.of(names.from_text(text)) == (owned and names.from_text(owned))  # as remembered
