"""Formats by their content, and files packed and plain."""

import gzip
import lzma
import sqlite3
from contextlib import closing

import pytest

from blocker.errors import LogError
from blocker.simulate.logs import detect
from blocker.simulate.logs.detect import Format, Packing
from blocker.simulate.logs.record import Tally
from tests.simulate.logs import test_bind, test_dnsmasq, test_ftl, test_ours, test_unbound
from tests.simulate.logs.test_dnstap import ASKED, tapped
from tests.simulate.logs.test_framestream import START, STOP

CONTENTS = {
    Format.BLOCKER: test_ours.GOOD,
    Format.DNSTAP: START + tapped(5, ASKED) + STOP,
    Format.DNSMASQ: f"Nov 23 21:37:50 dnsmasq[812]: started\n{test_dnsmasq.LINE}\n".encode(),
    Format.BIND: f"23-Nov-2026 21:37:50.000 general: info: running\n{test_bind.LINE}\n".encode(),
    Format.UNBOUND: f"{test_unbound.LINE}\n".encode(),
    Format.NAMES: b"# names\nwww.example.com\nbad/name\n",
}
PACK = {Packing.NONE: bytes, Packing.GZIP: gzip.compress, Packing.XZ: lzma.compress}


def read(path, kind):
    tally = Tally(str(path))
    return [query.qname for batch in detect.read(path, kind, tally) for query in batch]


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("kind", CONTENTS)
def test_formats(tmp_path, kind, packing):
    path = tmp_path / "log"
    path.write_bytes(PACK[packing](CONTENTS[kind]))
    assert (detect.detect(path), detect.packing(path)) == (kind, packing)
    if kind is not Format.BLOCKER:
        assert len(read(path, kind)) == 1


def test_a_database(tmp_path):
    path = test_ftl.made(tmp_path / "db", test_ftl.STORED, [(1795469871, 1, 1, 1)])
    assert detect.detect(path) is Format.PIHOLE
    assert read(path, Format.PIHOLE) == ["www.tiktok.com"]
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(LogError, match="Unpack it first"):
        read(path, detect.detect(path))


def test_pi_holes_text(tmp_path):
    path = tmp_path / "pihole.log"
    path.write_bytes(CONTENTS[Format.DNSMASQ])
    assert read(path, Format.PIHOLE) == ["www.tiktok.com"]


@pytest.mark.parametrize(
    "content", [b"", b"<html>\n", b"some words here\n", gzip.compress(b"x" * 100)[:-9], b"\x1f\x8b"]
)
def test_none_of_them(tmp_path, content):
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(LogError, match="log: "):
        detect.detect(tmp_path / "log")


def test_not_there(tmp_path):
    with pytest.raises(LogError, match="No such file"):
        detect.detect(tmp_path / "none")


def test_another_database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "db")) as base:
        base.executescript("CREATE TABLE other (a)")
    with pytest.raises(LogError, match="not Pi-hole's"):
        read(tmp_path / "db", Format.PIHOLE)
