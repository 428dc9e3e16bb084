"""The process that serves zones: no packet and no full disk ends one of its threads."""

import errno
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from blocker.config import RpzImport
from blocker.rpz.imports import Import
from blocker.serve import followers, zones
from blocker.serve.followers import Followers
from blocker.serve.zones import Zones
from tests.e2e.daemon import eventually


@pytest.fixture
def process(tmp_path):
    return Zones(tmp_path, SimpleNamespace())


def test_a_datagram_that_we_trip_over_is_not_the_last_one(process):
    def over_udp(packet, _source):
        if packet.startswith(b"bad"):
            raise IndexError
        return b"answer"

    process.primary = SimpleNamespace(over_udp=over_udp, zones=())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as theirs:
        ours.bind(("127.0.0.1", 0))
        theirs.connect(ours.getsockname())
        theirs.settimeout(5)
        threading.Thread(target=process._datagrams, args=([ours],), daemon=True).start()
        for packet in (b"bad", b"good"):
            theirs.send(packet)
        assert theirs.recv(100) == b"answer"


def test_zones_that_could_not_be_written_are_made_again(process, monkeypatch):
    monkeypatch.setattr(zones, "_AGAIN", 0.05)
    monkeypatch.setattr(zones.Generation, "open", lambda _standing: None)
    adopted = []

    def adopt(_generation, standing):
        adopted.append(standing)
        if len(adopted) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    process._adopt = adopt
    process._newest = "standing"
    process._news.set()
    threading.Thread(target=process._make, daemon=True).start()
    eventually(lambda: len(adopted) == 3)
    time.sleep(0.3)
    assert adopted == ["standing"] * 3  # it is done


def test_notifications_without_end_are_not_questions_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(followers, "_APART", 0.2)
    looks = []
    monkeypatch.setattr(Import, "refresh", lambda self, _key, now: looks.append(now) or setattr(self, "due", now + 60))
    found = Followers(tmp_path, lambda: None)
    found.adopt([RpzImport(zone="a.example", primaries=("192.0.2.1:53",), app="theirs")], {})
    until = time.monotonic() + 1
    while time.monotonic() < until:
        found.notified("a.example")
        time.sleep(0.001)
    assert 2 <= len(looks) <= 8
    found.adopt([], {})
