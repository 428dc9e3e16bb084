"""Addresses of banned names that we find out by ourselves: refused where only they have them, else let go at once."""

import os
import signal

import pytest

from tests.e2e.daemon import LIST, eventually
from tests.lab.device import PASS
from tests.lab.lab import GATEWAY, UPSTREAM
from tests.lab.test_frame import processes

CONFIG = {
    "lists": {"built_in": False},
    "groups": [{"name": "staff", "clients": ["10.0.0.0/24", "fd00::/64"]}],
    "egress": {"enabled": True, "learning": {"probation": 0, "rate": 400}},
}
ONLY, SHARED, DEEP, SIX = "11.1.1.1", "11.2.2.2", "11.3.3.3", "2001:db8:1::1"


@pytest.fixture
def learned(lab):
    lab.internet.table |= {
        ("banned.example", "A"): [ONLY, SHARED],
        ("banned.example", "AAAA"): [SIX],
        ("www.banned.example", "A"): [],
        ("www.banned.example", "AAAA"): [],
        ("deep.banned.example", "A"): [DEEP],
        ("deep.banned.example", "AAAA"): [],
        ("allowed.example", "A"): [SHARED],
        ("late.example", "A"): [ONLY],
    }
    lab.start(CONFIG, lists={"banned.yaml": LIST})
    eventually(lambda: ONLY in lab.table() and SIX in lab.table())
    return lab


def test_what_only_a_banned_name_has_is_refused_and_recorded(learned):
    for address in (ONLY, SIX):
        assert learned.device.tcp(address, 443).visibly_refused
        assert learned.recorded(destination=address)["app"] == "banned"
    assert learned.device.tcp("11.9.9.9", 443).how == PASS
    eventually(lambda: learned.metric("blocker_egress_learned", app="banned") == 3)
    assert ONLY in learned.run("egress", "learned", "-c", str(learned.daemon.path)).stdout


def test_an_allowed_name_at_the_same_address_lets_it_go(learned):
    assert learned.device.ask(GATEWAY, "allowed.example") == [SHARED]
    assert learned.device.ask(GATEWAY, "late.example") == [ONLY]
    assert learned.device.tcp(ONLY, 443).how == PASS  # at once: the answer has waited for that
    assert learned.device.tcp(SHARED, 443).how == PASS
    assert learned.device.tcp(SIX, 443).visibly_refused
    eventually(lambda: learned.metric("blocker_egress_guarded_total", app="banned", reason="allowed") == 2)


def test_names_below_that_devices_ask_for(learned):
    assert DEEP not in learned.table()
    assert learned.device.ask(GATEWAY, "deep.banned.example") == ["0.0.0.0"]
    eventually(lambda: DEEP in learned.table())
    assert learned.device.tcp(DEEP, 443).visibly_refused


def test_it_outlives_the_process_that_learned_it(learned):
    learned.stop()
    assert learned.device.tcp(ONLY, 443).visibly_refused
    learned.internet.table["banned.example", "A"] = [SHARED]
    learned.start(CONFIG, lists={"banned.yaml": LIST})
    assert learned.device.tcp(ONLY, 443).visibly_refused
    assert learned.device.ask(GATEWAY, "late.example") == [ONLY]
    eventually(lambda: learned.device.tcp(ONLY, 443).how == PASS)


def test_a_new_process_hears_of_allowed_names_that_are_cached(learned):
    """The device is told from memory, as before; what has died knew whose address it is, and what follows has to."""

    def asked():
        return [each for each in learned.internet.arrived(UPSTREAM) if b"allowed" in each[-1]]

    for _ in range(40):  # each worker has a memory of its own
        assert learned.device.ask(GATEWAY, "allowed.example") == [SHARED]
    before = asked()
    first = processes(learned)["egress"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: processes(learned).get("egress", first) != first)
    eventually(lambda: SHARED in learned.table())  # a banned name has it, and nobody else as far as is known
    assert learned.device.ask(GATEWAY, "allowed.example") == [SHARED]
    assert asked() == before
    eventually(lambda: learned.device.tcp(SHARED, 443).how == PASS)


def test_an_answer_before_anybody_knows_what_is_refused_counts(learned):
    """The workers answer at once after a restart, while the rules are still being made."""
    learned.stop()
    learned.start(CONFIG, lists={"banned.yaml": LIST}, wait=False)
    eventually(lambda: learned.device.ask(GATEWAY, "late.example") == [ONLY])
    eventually(lambda: learned.device.tcp(ONLY, 443).how == PASS)
    assert learned.device.tcp(SIX, 443).visibly_refused
