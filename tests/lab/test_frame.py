"""The egress half as a whole: who has which privilege, what survives whom, and what an operator sees of it."""

import os
import signal
from pathlib import Path

from tests.e2e.daemon import eventually
from tests.lab.lab import Lab

WECHAT = "43.130.30.240"


def capabilities(pid: int) -> tuple[int, int]:
    words = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(words["CapPrm"], 16), int(words["CapEff"], 16)


def processes(lab: Lab) -> dict[str, int]:
    """Return all processes of the blocker by what they call themselves; the keeper's child too."""
    found = dict(lab.daemon.children())
    for pid in Path(f"/proc/{found['egress keeper']}/task/{found['egress keeper']}/children").read_text().split():
        title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode()
        found[title.removeprefix("blocker: ")] = int(pid)
    return found | {"supervisor": lab.daemon.process.pid}


def test_only_the_egress_process_has_the_privilege(lab: Lab):
    lab.start()
    wanted = 1 << 12 | 1 << 13
    for name, pid in processes(lab).items():
        held = capabilities(pid)
        if name.startswith("egress"):
            assert held == (wanted, wanted), name
        else:
            assert (held[0] & wanted, held[1] & wanted) == (0, 0), name


def test_one_that_is_killed_comes_back_and_the_rules_never_go(lab: Lab):
    lab.start()
    first = processes(lab)["egress"]
    os.kill(first, signal.SIGKILL)
    assert lab.device.tcp(WECHAT, 8080).visibly_refused
    eventually(lambda: processes(lab).get("egress", first) != first)
    eventually(lambda: lab.metric("blocker_egress_up", process="egress") == 1)
    assert lab.metric("blocker_egress_restarts_total", process="egress") == 1
    lab.gateway.nft("delete table inet blocker")  # somebody else's doing
    eventually(lambda: "about_" in lab.table())
    assert lab.device.tcp(WECHAT, 8080).visibly_refused


def test_without_the_egress_process_dns_goes_on_and_says_so(lab: Lab):
    lab.start()
    os.kill(processes(lab)["egress keeper"], signal.SIGKILL)
    assert lab.device.ask("10.0.0.1", "wechat.com") == ["0.0.0.0"]
    eventually(lambda: "egress: not running" in lab.gateway.run(lambda: lab.daemon.get("/readyz"))[1])
    assert lab.gateway.run(lambda: lab.daemon.get("/readyz"))[0] == 200
    assert lab.metric("blocker_egress_up", process="egress") == 0
    assert "nobody may replace it" in lab.daemon.log
    assert lab.device.tcp(WECHAT, 8080).visibly_refused


def test_the_rules_outlive_the_blocker(lab: Lab):
    lab.start()
    lab.daemon.stop()
    assert lab.device.tcp(WECHAT, 8080).visibly_refused
    assert lab.run("egress", "remove").stdout == "removed\n"
    assert lab.device.tcp(WECHAT, 8080).how == "passed"
    assert lab.table() == ""
