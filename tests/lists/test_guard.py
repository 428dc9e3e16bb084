"""Names that a list change should not touch without somebody looking."""

import pytest

from blocker import names
from blocker.config import Lists, Override
from blocker.lists.guard import guard

MUST = """must_resolve:
  - {value: pay.gov.example, why: taxes}
  - {value: akamaized.net, why: everybody}
"""


@pytest.mark.parametrize(("qname", "why"), [
    ("pay.gov.example", "pay.gov.example: taxes (must_resolve.yaml:2)"),
    ("eu.pay.gov.example", "pay.gov.example: taxes (must_resolve.yaml:2)"),
    ("gov.example", ""),
    ("akamaized.net", "akamaized.net: everybody (must_resolve.yaml:3)"),
    ("p16-tiktokcdn.akamaized.net", ""),  # below a parent that strangers share
    ("given.up.example", ""),
])  # fmt: skip
def test_guard(tmp_path, qname, why):
    (tmp_path / "must_resolve.yaml").write_text(MUST + "  - {value: up.example, why: x}\n")
    given_up = (Override(name="given.up.example", reason="decided", by="an officer"),)
    lists = Lists(built_in=False, directories=(tmp_path,), overrides=given_up)
    assert guard(lists)(names.from_text(qname)) == why
