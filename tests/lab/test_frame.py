"""The egress half as a whole: who has which privilege, what survives whom, and what an operator sees of it."""

import json
import os
import pwd
import signal
import sys
from pathlib import Path

from tests.e2e.daemon import eventually, records
from tests.e2e.test_privileges import folder, readable  # noqa: F401 (fixtures)
from tests.lab.lab import CONFIG, GATEWAY, OTHER, Lab

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
SANDBOX = ROOT / "tests" / "deploy" / "sandbox.py"
WECHAT = "43.130.30.240"


def capabilities(pid: int) -> tuple[int, int]:
    """Return what any thread of a process holds."""
    held = [0, 0]
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        words = dict(line.split(":", 1) for line in status.read_text().splitlines())
        held = [had | int(words[kind], 16) for had, kind in zip(held, ("CapPrm", "CapEff"), strict=True)]
    return held[0], held[1]


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


def test_who_reads_what_strangers_send_holds_no_privilege_at_all(lab: Lab):
    """Though we were started as root, and stay it; schedules in a zone of the system's are still understood."""
    lab.start(CONFIG | {
        "egress": CONFIG["egress"] | {"watch": {"interfaces": ["lan"], "enforce": True}},
        "answers": {"sinkhole_v4": [GATEWAY]},
        "sinkhole": {"serve": True},
        "groups": [CONFIG["groups"][0] | {"schedules": [{"apps": ["kaspersky"], "zone": "America/Toronto"}]}],
    })  # fmt: skip
    eventually(lambda: lab.metric("blocker_egress_up", process="watch") == 1)
    for name in ("watch", "reports", "sinkhole"):
        pid = processes(lab)[name]
        assert capabilities(pid) == (0, 0), name
        assert "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text(), name
    assert lab.device.tcp(WECHAT, 8080).visibly_refused
    lab.recorded(app="wechat", trigger="address")
    lab.device.tls("11.77.9.9", 443, "www.tiktok.com")
    lab.recorded(app="tiktok", trigger="sni")
    said = lab.device.tcp(GATEWAY, 80, b"GET / HTTP/1.1\r\nHost: www.tiktok.com\r\n\r\n").said
    assert said.startswith(b"HTTP/1.1 451")
    lab.recorded(app="tiktok", trigger="http-host")


def test_an_account_without_privileges_serves_and_may_still_change_the_rules(lab: Lab, folder, readable):  # noqa: F811
    lab.folder = folder
    account = pwd.getpwnam("nobody")
    lab.start(CONFIG | {"process": {"user": "nobody"}, "log": {"attempts": "stdout"}}, wrap=readable)
    wanted = 1 << 12 | 1 << 13
    for name, pid in processes(lab).items():
        words = Path(f"/proc/{pid}/status").read_text()
        assert f"Uid:\t{account.pw_uid}\t{account.pw_uid}" in words, name
        assert capabilities(pid)[0] == (wanted if name.startswith("egress") else 0), name
    first = processes(lab)["egress"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: processes(lab).get("egress", first) != first)
    lab.gateway.nft("delete table inet blocker")
    eventually(lambda: "about_" in lab.table())
    assert lab.device.tcp(WECHAT, 8080).visibly_refused
    eventually(lambda: "wechat" in {each["app"] for each in records(lab.daemon.folder / "stdout")})


def test_it_lives_within_the_units_rules(lab: Lab, tmp_path: Path):
    """The service with its drop-in, as systemd would confine it; a call outside the rules would end the process."""
    unit = tmp_path / "whole.service"
    unit.write_text((UNITS / "blocker.service").read_text() + (UNITS / "egress.conf").read_text())
    lab.start(wrap=(sys.executable, str(SANDBOX), str(unit)))
    assert lab.device.tcp(WECHAT, 8080).visibly_refused
    lab.recorded(app="wechat", trigger="address")
    assert sorted(processes(lab)) == [
        "control", "egress", "egress keeper", "reports", "supervisor", "worker 0", "worker 1",
    ]  # fmt: skip
    assert lab.metric("blocker_egress_restarts_total") == 0


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


def test_what_an_operator_sees(lab: Lab):
    lab.start()
    config = ("--config", str(lab.daemon.path))
    rendered = lab.run("egress", "render", *config).stdout
    assert rendered.startswith("add table inet blocker\n")
    shown = lab.run("egress", "status", *config)
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (0, "table inet blocker: in force")
    assert json.loads(lab.run("egress", "status", "--json", *config).stdout)["in_force"] is True
    assert (lab.run("egress", "diff", *config).stdout, lab.device.tcp(WECHAT, 8080).how) == ("", "refused")
    lab.gateway.nft("delete element inet blocker app_wechat_4 { 43.130.30.240 }")
    different = lab.run("egress", "diff", *config)
    assert different.returncode == 1
    assert "+\t\t43.130.30.240" in different.stdout.splitlines()
    assert lab.run("egress", "apply", *config).returncode == 0
    assert lab.run("egress", "diff", *config).returncode == 0
    lab.daemon.configure({"egress": {"enabled": False}})
    assert "blocker egress remove" in lab.run("egress", "status", *config).stderr


def test_an_exception_for_one_device_opens_the_way_for_it_alone(lab: Lab):
    """What people have approved (docs/exceptions.md) holds for packets as it does for names."""
    lab.start()
    config = ("--config", str(lab.daemon.path))
    assert lab.device.tcp(WECHAT, 8080, source=OTHER).visibly_refused
    wanted = ("--app", "wechat", "--client", OTHER, "--for", "1h", "--reason", "an interview")
    asked = lab.run("exceptions", "add", *wanted, "--as", "one", "--json", *config)
    assert asked.returncode == 0, asked.stderr
    number = json.loads(asked.stdout)["grant"]["id"]
    approved = lab.run("exceptions", "approve", number, "--as", "other", *config)
    assert approved.returncode == 0, approved.stderr
    eventually(lambda: lab.device.tcp(WECHAT, 8080, source=OTHER).how == "passed")
    assert lab.device.tcp(WECHAT, 8080).visibly_refused
    assert lab.recorded(app="wechat", trigger="address", client=OTHER, action="except")["exception"] == number


def test_the_rules_outlive_the_blocker(lab: Lab):
    lab.start()
    lab.daemon.stop()
    assert lab.device.tcp(WECHAT, 8080).visibly_refused
    assert lab.run("egress", "remove").stdout == "removed\n"
    assert lab.device.tcp(WECHAT, 8080).how == "passed"
    assert lab.table() == ""
