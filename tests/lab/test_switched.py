"""What is switched on and off by a reload: gate, QUIC, learning, and whose device it is."""

import pytest

from tests.e2e.daemon import LIST, eventually
from tests.lab.device import PASS
from tests.lab.lab import GATEWAY

NOBODYS, TOLD, ONLY = "11.8.8.8", "11.9.9.9", "11.1.1.1"
KIOSK, OTHERS = ["10.0.0.2", "fd00::2"], ["10.0.0.3"]
CONFIG = {
    "lists": {"built_in": False},
    "groups": [{"name": "kiosk", "clients": KIOSK}, {"name": "others", "clients": OTHERS}],
    "egress": {"enabled": True, "log_interval": 1, "learned": False, "learning": {"probation": 0, "rate": 400}},
}


@pytest.fixture
def on(lab):
    lab.internet.table |= {("banned.example", "A"): [ONLY], ("late.example", "A"): [ONLY]}
    lab.start(CONFIG, lists={"banned.yaml": LIST})
    return lab


def switch(lab, **egress):
    """Reload with these keys of the egress section, and wait until the rules are those that are wanted."""
    lab.daemon.configure({"egress": egress})
    done = lab.run("reload", "-c", str(lab.daemon.path))
    assert (done.returncode, done.stderr) == (0, "")
    eventually(lambda: lab.run("egress", "status", "-c", str(lab.daemon.path)).returncode == 0)


def connects(lab, address, source=None):
    went = lab.device.tcp(address, 443, source=source)
    assert went.how == PASS or went.visibly_refused, went
    return went.how == PASS


def test_the_gate(on):
    assert connects(on, NOBODYS)
    switch(on, groups=[{"name": "kiosk", "gate": "enforce"}])
    assert not connects(on, NOBODYS)
    assert connects(on, NOBODYS, source=OTHERS[0])
    assert on.device.ask(GATEWAY, "www.example.org") == [TOLD]
    assert connects(on, TOLD)
    switch(on, groups=[{"name": "kiosk", "gate": "audit"}])
    assert connects(on, NOBODYS)
    assert on.recorded(trigger="unresolved", destination=NOBODYS, action="monitor")
    switch(on, groups=[{"name": "kiosk", "gate": "enforce"}])
    assert not connects(on, NOBODYS)
    assert connects(on, TOLD)  # told before, and not asked again
    switch(on, groups=[{"name": "kiosk", "gate": "enforce", "static": ["11.8.0.0/16"]}])
    assert connects(on, NOBODYS)
    switch(on, groups=[])
    assert connects(on, "11.8.8.9")


def test_quic(on):
    assert on.device.udp(NOBODYS, 443).how == PASS
    switch(on, groups=[{"name": "kiosk", "quic": "reject"}])
    assert on.device.udp(NOBODYS, 443).visibly_refused
    assert on.device.udp(NOBODYS, 443, source=OTHERS[0]).how == PASS
    switch(on, groups=[{"name": "kiosk", "quic": "learned"}])
    assert on.device.udp("11.8.8.9", 443).how != PASS  # the kernel tells of refusals once a second
    assert on.device.ask(GATEWAY, "www.example.org") == [TOLD]
    assert on.device.udp(TOLD, 443).how == PASS
    switch(on, groups=[])
    assert on.device.udp("11.8.8.10", 443).how == PASS


def test_learning(on):
    assert "learned_banned_4" not in on.table()
    for _ in range(2):
        switch(on, learned=True)
        eventually(lambda: not connects(on, ONLY))
        eventually(lambda: on.metric("blocker_egress_learned", app="banned") == 1)
        switch(on, learned=False)
        assert connects(on, ONLY)
        eventually(lambda: on.metric("blocker_egress_learned", app="banned") == 0)
    assert on.device.ask(GATEWAY, "late.example") == [ONLY]
    switch(on, learned=True)
    assert "bug of ours" not in on.daemon.log


def test_a_device_that_another_group_gets(on):
    switch(on, groups=[{"name": "kiosk", "gate": "enforce"}])
    assert not connects(on, NOBODYS)
    on.daemon.configure({"groups": [{"name": "kiosk", "clients": OTHERS}, {"name": "others", "clients": KIOSK}]})
    switch(on)
    assert connects(on, NOBODYS)
    assert not connects(on, NOBODYS, source=OTHERS[0])
    assert on.device.ask(GATEWAY, "www.example.org", source=OTHERS[0]) == [TOLD]
    assert connects(on, TOLD, source=OTHERS[0])
