"""The laboratory: `device - gateway - internet`, three network namespaces, with our blocker in the gateway.

    with opened(folder) as lab:                 the network and the servers of the internet (servers.py)
        lab.start({...configuration...})        a blocker in the gateway, as operators run it; lab.daemon is it
        lab.device.tcp("43.130.30.240", 8080)   what a device does, and how it went (device.py)
        lab.internet.arrived("43.130.30.240")   what came through
        lab.attempts(trigger="address")         what was recorded
        lab.gateway.nft(...), .command(...)     whatever else, in the gateway

`lab` and `labs` in conftest.py are fixtures: one for each test, and one for all tests of a module with a blocker that a
module describes in LAB. Needs root, iproute2 and nftables; where they are missing the tests fail. `make lab` opens one
for a person.

Addresses: the device has 10.0.0.2 to .4 and fd00::2 to ::4, the gateway 10.0.0.1 and fd00::1; all others are the
internet's. Its resolver, which our blocker asks, is 192.0.2.53.
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.e2e import everybody
from tests.e2e.daemon import BLOCKER, Daemon, eventually
from tests.egress.network import DEVICE, DEVICE_6, GATEWAY, GATEWAY_6, OTHER, UPSTREAM, connected
from tests.lab.device import Device
from tests.lab.servers import Servers

__all__ = ["DEVICE", "DEVICE_6", "GATEWAY", "GATEWAY_6", "OTHER", "UPSTREAM", "Lab", "opened"]

CONFIG: Final[dict[str, Any]] = {
    "lists": {"built_in": True, "directories": []},
    "groups": [{"name": "staff", "clients": ["10.0.0.0/24", "fd00::/64"]}],
    "egress": {"enabled": True, "interfaces": ["lan"], "log_interval": 1},
}
MORE: Final = ("10.0.0.4/24", "fd00::3/64", "fd00::4/64")  # addresses of the device, beside those of the network
ACCOUNT: Final = "nobody"  # that our blocker becomes on a node; the folder has to be one that others may walk through
_EVERYTHING: Final = ("0.0.0.0/1", "128.0.0.0/1")  # of IPv4


class Lab:
    """The network, its servers, and whatever runs in the gateway."""

    def __init__(self, folder: Path, network: Any) -> None:
        self.folder = folder
        self.gateway = network.gateway
        for address in MORE:
            network.device.ip(f"addr add {address} dev lan0{' nodad' if ':' in address else ''}")
        self.device = Device(network.device)
        _be_everything(network.internet)
        self.internet = Servers(network.internet, folder)
        self.daemon: Daemon | None = None
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, config: dict[str, Any] | None = None, **more: Any) -> Daemon:
        """Start our blocker in the gateway, and wait until the rules are in the kernel if they are wanted."""
        said = CONFIG | (config or {})
        said |= {"egress": {"gating": {"wait": 5}} | said["egress"]}  # other work may share the machine
        if said["egress"].get("mode") == "node":
            said |= {"process": {"user": ACCOUNT}}
            more |= {"wrap": everybody.readable(self.folder)}
            own = self.folder / "blocker"
            own.mkdir(exist_ok=True)
            shutil.chown(own, ACCOUNT)
        daemon = self.daemon = self.gateway.run(
            lambda: Daemon(
                self.folder / "blocker", (f"{UPSTREAM}:53",), said, hosts=(GATEWAY, GATEWAY_6), port=53, **more
            )
        )
        if said.get("egress", {}).get("enabled"):
            eventually(lambda: "rules applied" in daemon.log)
        if said.get("egress", {}).get("watch"):
            eventually(lambda: "looking at packets" in daemon.log)
        return self.daemon

    def stop(self) -> None:
        """End our blocker; the rules stay."""
        if self.daemon is not None:
            self.daemon.close()
            self.daemon = None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `blocker` in the gateway."""
        assert self.daemon is not None
        daemon = self.daemon
        found: subprocess.CompletedProcess[str] = self.gateway.run(lambda: daemon.run(*arguments))
        return found

    def begin(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command of `blocker` in the gateway, which ends with the laboratory."""
        assert self.daemon is not None
        environment = self.daemon.environment
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            began: subprocess.Popen[bytes] = self.gateway.run(
                lambda: subprocess.Popen(
                    [*BLOCKER, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
                )
            )
        self._running.append(began)
        return began

    def table(self) -> str:
        """Return our table as nft lists it; nothing if there is none."""
        with contextlib.suppress(AssertionError):
            found: str = self.gateway.listed("table inet blocker")
            return found
        return ""

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that carry `labels`."""
        assert self.daemon is not None
        daemon = self.daemon
        found: float = self.gateway.run(lambda: daemon.count(name, **labels))
        return found

    def attempts(self, **fields: object) -> list[dict[str, Any]]:
        """Return the recorded attempts that have these fields."""
        assert self.daemon is not None
        return [each for each in self.daemon.attempts() if fields.items() <= each.items()]

    def recorded(self, *, after: int = 0, **fields: object) -> dict[str, Any]:
        """Wait for an attempt with these fields, other than the first `after` of all, and return it."""
        assert self.daemon is not None
        daemon = self.daemon

        def look() -> list[dict[str, Any]]:
            return [each for each in daemon.attempts()[after:] if fields.items() <= each.items()]

        deadline = time.monotonic() + 5
        while not (found := look()):
            assert time.monotonic() < deadline, f"no {fields} in {self.daemon.attempts()}\n{self.daemon.log}"
            time.sleep(0.01)
        return found[-1]

    def close(self) -> None:
        for each in self._running:
            each.terminate()
            each.wait(10)
        self.stop()
        self.internet.close()


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Lab]:
    """Yield a laboratory whose files lie in `folder`."""
    assert os.geteuid() == 0, "network namespaces need root"
    with connected() as network:
        lab = Lab(folder, network)
        try:
            yield lab
        finally:
            lab.close()


def _be_everything(internet: Any) -> None:
    """Let the internet have every address but those of the other two."""
    internet.ip("route replace 10.0.0.0/8 via 192.0.2.1")
    for network in _EVERYTHING:
        internet.ip(f"route add local {network} dev lo table main")
    internet.ip("-6 route replace fd00::/64 via fd01::1")
    for network in ("2000::/3", "64:ff9b::/96"):
        internet.ip(f"-6 route add local {network} dev lo table main")
