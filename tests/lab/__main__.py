"""`make lab`: the laboratory for a person, with our blocker in the gateway, until Ctrl-C."""

import contextlib
import os
import shlex
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.egress.namespace import Namespace
from tests.lab.lab import opened


def entered(namespace: Namespace) -> str:
    """Return the words before a command that is to run in a namespace."""
    path = namespace.run(lambda: f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net")
    return f"nsenter --net={path}"


def main() -> int:
    """Open the laboratory and say how to use it."""
    with tempfile.TemporaryDirectory(prefix="blocker-lab-") as folder, opened(Path(folder)) as lab:
        daemon = lab.start()
        device, gateway = entered(lab.device.namespace), entered(lab.gateway)
        blocker = f"{shlex.quote(str(Path(sys.prefix) / 'bin' / 'blocker'))}"
        sys.stdout.write(f"""
device 10.0.0.2 and fd00::2 - gateway 10.0.0.1 - internet: every other address answers

In another terminal, as the device:
  {device} dig @10.0.0.1 wechat.com               our DNS
  {device} dig @8.8.8.8 wechat.com                another resolver: ours answers
  {device} curl -k -m 5 https://43.130.30.240/    a built-in address of WeChat
  {device} curl -k -m 5 https://11.22.33.44/      nobody's business
In the gateway:
  {gateway} {blocker} egress status -c {daemon.path}
  {gateway} nft list table inet blocker
  {gateway} curl -s http://127.0.0.1:{daemon.metrics_port}/metrics
  tail -f {daemon.folder}/attempts.jsonl

Ctrl-C ends it, and leaves nothing behind.
""")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
