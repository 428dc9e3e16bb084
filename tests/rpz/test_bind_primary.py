"""A policy zone of BIND's becomes a list of ours: signed, refreshed by NOTIFY, kept when BIND is gone or wrong."""

import base64
import secrets
import subprocess

import pytest

from blocker.rpz import status
from tests.e2e.daemon import Daemon, eventually, free_port
from tests.e2e.upstream import Upstream
from tests.rpz import servers

ZONE = "theirs.rpz.test"
HEAD = f"""\
$ORIGIN {ZONE}.
$TTL 60
@ SOA ns.{ZONE}. host.{ZONE}. 1 3600 60 86400 60
@ NS ns.{ZONE}.
ns A 127.0.0.1
"""
BODY = "bad.example CNAME .\n*.bad.example CNAME .\nempty.example CNAME *.\n24.0.2.0.192.rpz-ip CNAME .\n"


class Pair:
    """BIND as the primary, and our daemon behind it."""

    def __init__(self, folder, upstream):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.secret = base64.b64encode(secrets.token_bytes(32)).decode()
        (folder / "secret").write_text(self.secret)
        (folder / "secret").chmod(0o600)
        (folder / "ddns").write_text(f'key "ddns" {{ algorithm hmac-sha256; secret "{self.secret}"; }};\n')
        self.port = free_port("127.0.0.1")
        (folder / "zone").write_text(HEAD + BODY)
        self.bind = servers.named(
            folder / "bind",
            "recursion no; notify explicit; ixfr-from-differences yes; notify-delay 0; serial-query-rate 100;",
            f'key "both" {{ algorithm hmac-sha256; secret "{self.secret}"; }};\n'
            f'key "ddns" {{ algorithm hmac-sha256; secret "{self.secret}"; }};\n'
            f'zone "{ZONE}" {{ type primary; file "{folder}/zone"; allow-transfer {{ key both; }};'
            f" also-notify {{ 127.0.0.1 port {self.port} key both; }}; allow-update {{ key ddns; }}; }};\n",
        )
        self.bind.wait(lambda: servers.serial(self.bind.address, ZONE))
        self.daemon = Daemon(folder / "daemon", [upstream], self.config(folder / "secret"))

    def config(self, secret):
        return {
            "process": {"workers": 1},  # several adopt a policy one after the other
            "rpz": {
                "listen": [f"127.0.0.1:{self.port}"],
                "imports": [
                    {"zone": ZONE, "primaries": [f"127.0.0.1:{self.bind.port}"], "key": "both", "app": "theirs"}
                ],
                "keys": [{"name": "both", "secret_file": str(secret)}],
            },
        }

    @property
    def status(self):
        return status.read(self.folder / "daemon/state")

    def verdict(self, name):
        return servers.verdicts(self.daemon.address, [name])[name]

    def update(self, *commands):
        """Change BIND's zone, as an operator would."""
        lines = "".join(f"{command}\n" for command in (f"server 127.0.0.1 {self.bind.port}", *commands, "send"))
        how = ["nsupdate", "-k", str(self.folder / "ddns")]
        said = subprocess.run(how, input=lines, text=True, capture_output=True, check=False)
        assert said.returncode == 0, said.stderr

    def close(self):
        self.daemon.close()
        self.bind.close()


@pytest.fixture
def pair(tmp_path):
    upstream = Upstream()
    made = Pair(tmp_path / "pair", upstream)
    yield made
    made.close()
    upstream.close()
    assert "Traceback" not in made.daemon.log, made.daemon.log
    assert "a bug of ours" not in made.daemon.log, made.daemon.log


def test_a_zone_of_binds_is_enforced_and_followed(pair):
    eventually(lambda: pair.verdict("www.bad.example") == "nxdomain")
    assert pair.verdict("bad.example") == "nxdomain"
    assert pair.verdict("empty.example") == "nodata"
    assert pair.verdict("www.empty.example") == "pass"
    pair.update(f"update add new.example.{ZONE} 60 CNAME .", f"update delete empty.example.{ZONE}")
    eventually(lambda: pair.verdict("new.example") == "nxdomain", 10)  # by NOTIFY: the zone's refresh is an hour
    assert pair.verdict("empty.example") == "pass"
    eventually(lambda: pair.status.import_transfers.get(f"{ZONE} ixfr success") == 1)
    assert pair.status.import_transfers.get(f"{ZONE} axfr success") == 1

    # BIND is gone, and the daemon starts anew: the last good zone is in force from the first answer on.
    pair.bind.close()
    pair.daemon.stop()
    again = Daemon(pair.daemon.folder, [], pair.config(pair.folder / "secret") | {
        "upstream": pair.daemon.config["upstream"]})  # fmt: skip
    try:
        assert servers.verdicts(again.address, ["new.example"])["new.example"] == "nxdomain"
    finally:
        again.close()


def test_a_wrong_secret_takes_nothing_over_and_dns_goes_on(pair):
    eventually(lambda: pair.verdict("bad.example") == "nxdomain")
    wrong = pair.folder / "wrong"
    wrong.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    wrong.chmod(0o600)
    pair.daemon.configure(pair.config(wrong))
    assert pair.daemon.reload().returncode == 0
    pair.update(f"update add new.example.{ZONE} 60 CNAME .")
    eventually(lambda: servers.serial(pair.bind.address, ZONE) != 1)
    with pytest.raises(AssertionError):
        eventually(lambda: pair.verdict("new.example") == "nxdomain", 3)
    assert pair.verdict("bad.example") == "nxdomain"
    wrong.chmod(0o644)
    refused = pair.daemon.reload()
    assert refused.returncode == 1
    assert "chmod o-rwx" in refused.stderr
