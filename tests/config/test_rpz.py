"""The section on policy zones: what refers to what, and what is written twice."""

import pytest

from blocker import config
from blocker.errors import ConfigError

GOOD = """\
groups: [{name: staff, clients: [192.0.2.0/24]}]
rpz:
  listen: ["192.0.2.1:5300"]
  zones: [{name: rpz.example, group: staff, secondaries: [192.0.2.2], key: both}]
  imports: [{zone: theirs.example, primaries: [192.0.2.3], app: theirs, key: both}]
  keys: [{name: both, secret_file: secret}]
"""


def parsed(tmp_path, text):
    return config.parse(text, "b.yaml", tmp_path)


def test_good(tmp_path):
    found = parsed(tmp_path, GOOD).rpz
    assert (str(found.zones[0].secondaries[0]), found.keys[0].algorithm) == ("192.0.2.2:53", "hmac-sha256")
    assert found.keys[0].secret_file == tmp_path / "secret"


@pytest.mark.parametrize(("old", "new", "problem"), [
    ("group: staff", "group: staf", "there is no group 'staf'; did you mean 'staff'?"),
    ("key: both}]\n  imports", "key: bth}]\n  imports", "there is no key 'bth'"),
    ('listen: ["192.0.2.1:5300"]', "listen: []", "zones are to be served, but nowhere"),
    ('"192.0.2.1:5300"', '"127.0.0.1:5353"', "is taken already"),
    ("primaries: [192.0.2.3]", "primaries: []", "must have at least 1 item"),
    ("secret_file: secret", "secret: abc", "unknown key"),
    ("imports: [{", "imports: [{zone: theirs.example, primaries: [192.0.2.3], app: x}, {", "is written twice"),
])  # fmt: skip
def test_refused(tmp_path, old, new, problem):
    with pytest.raises(ConfigError) as caught:
        parsed(tmp_path, GOOD.replace(old, new, 1))
    assert any(problem in each for each in caught.value.problems), caught.value.problems


def test_where_lists_must_be_signed_no_zone_is_taken_over(tmp_path):
    with pytest.raises(ConfigError, match="in no signed bundle"):
        parsed(tmp_path, GOOD + "bundles: {keys: [RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3]}\n")
