"""The file of what was learned."""

import pytest

from blocker import names
from blocker.egress import learned
from blocker.egress.learned import Address, Learned
from blocker.egress.learning import Reason, Suspect

NAME = names.from_text("banned.example")
ONE = b"\xc6\x33\x64\1"


@pytest.mark.parametrize(
    ("suspect", "address"),
    [
        (
            Suspect("tiktok", ONE, NAME, 0.0, 100.0, refused=True),
            Address("tiktok", "198.51.100.1", "banned.example", "refused", left=90),
        ),
        (
            Suspect("tiktok", ONE, NAME, 0.0, 100.0),
            Address("tiktok", "198.51.100.1", "banned.example", "watched", left=90),
        ),
        (
            Suspect("tiktok", ONE, NAME, 0.0, 100.0, Reason.SHARED, "cdn.example"),
            Address("tiktok", "198.51.100.1", "banned.example", "left alone", "shared", "cdn.example", 90),
        ),
    ],
)
def test_what_people_read(suspect, address):
    assert learned.shown([suspect], 10.0) == (address,)


def test_what_is_written_is_read(tmp_path):
    refused = Address("tiktok", "198.51.100.1", "banned.example", "refused")
    said = Learned(1e9, 7, {"tiktok shared": 3}, (refused, Address("wechat", "::1", "x", "watched")))
    learned.write(said, tmp_path)
    assert learned.read(tmp_path) == said
    assert said.refused == {"tiktok": 1}


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"addresses": 1}', '{"addresses": [{"odd": 1}]}'])
def test_what_cannot_be_read_is_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / learned.FILE).write_text(content)
    assert learned.read(tmp_path) == Learned()
