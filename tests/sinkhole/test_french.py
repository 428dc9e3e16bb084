"""The shipped lists in French: all that they say, nothing else, and written as in Canada."""

import re
from pathlib import Path

import yaml

from blocker.sinkhole.french import FRENCH

DOMAIN_LISTS = Path(__file__).parents[2] / "domain_lists"
NAMES = {"TikTok", "WeChat (Weixin)", "Kaspersky"}  # called so in French too


def test_all_that_the_shipped_lists_say_is_there():
    said = set()
    for path in DOMAIN_LISTS.glob("*.yaml"):
        listed = yaml.safe_load(path.read_text())
        if "app" in listed:
            said |= {listed["title"], listed["reason"], *(each["text"] for each in listed.get("legal", ()))}
    assert said - FRENCH.keys() == NAMES
    assert FRENCH.keys() <= said  # nothing is kept that no list says any more


def test_it_is_written_as_in_canada():
    french = " ".join(FRENCH.values())
    assert "'" not in french  # apostrophes are curved
    assert not re.search(" [?;:!]|[^\N{NO-BREAK SPACE}]:", french)
