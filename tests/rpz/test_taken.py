"""Which zones that were taken over are compiled."""

import pytest

from blocker.config import RpzImport
from blocker.rpz import taken
from blocker.rpz.taken import Soa

SETTINGS = RpzImport(zone="rpz.example", primaries=("192.0.2.1",), app="their")
SOA = Soa(7, 300, 60, 86400)
WHOLE = taken.header("rpz.example", SOA) + "a.example cname .\n"


@pytest.fixture
def path(tmp_path):
    path = taken.path_of("rpz.example", tmp_path / taken.FOLDER)
    path.parent.mkdir(parents=True)
    return path


def test_a_zone_that_is_there_is_a_list(tmp_path, path):
    path.write_text(WHOLE)
    (file,), warnings = taken.in_force([SETTINGS], tmp_path)
    assert (file.name, file.app, file.path, file.format, warnings) == ("rpz.example", "their", path, "rpz", ())
    assert taken.soa_of(path, "rpz.example") == SOA


@pytest.mark.parametrize("content", [
    None, b"", b"\xff", WHOLE.replace("rpz.example", "other.example").encode(), WHOLE[:40].encode(),
], ids=["missing", "empty", "binary", "another zone's", "cut short"])  # fmt: skip
def test_what_is_no_such_zone_is_left_out_and_told(tmp_path, path, content):
    if content is not None:
        path.write_bytes(content)
    files, (warning,) = taken.in_force([SETTINGS], tmp_path)
    assert files == ()
    assert "rpz.example was not taken over yet" in warning


def test_a_zones_name_is_never_a_path(tmp_path):
    assert taken.path_of("../../etc/passwd", tmp_path).parent == tmp_path
