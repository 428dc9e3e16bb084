"""What is left of root: checked by the kernel's own words, in processes of their own. They need root to begin with."""

import json
import os
import pwd
import subprocess

import pytest

from blocker.errors import BlockerError
from blocker.serve import capabilities
from blocker.serve.capabilities import EGRESS, Capability

SHOW = ("cat", "/proc/self/status")


def in_a_child(body):
    """Return what `body` returns, from a process of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.write(writer, json.dumps(body()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return json.loads(text)


def of_a_program():
    """Return the capabilities that a program started by this process has."""
    said = subprocess.run(SHOW, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in said.splitlines() if line.startswith("CapEff")]
    return [bit for bit in range(64) if int(line.split()[1], 16) >> bit & 1]


def became(user):
    capabilities.keep_over_change_of_user()
    if user:
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


@pytest.mark.parametrize("user", ["", "nobody"])
@pytest.mark.parametrize(("wanted", "for_programs", "of_programs"), [
    (EGRESS, True, sorted(EGRESS)),
    (EGRESS, False, []),
    ((), False, []),
])  # fmt: skip
def test_what_is_kept(user, wanted, for_programs, of_programs):
    assert os.geteuid() == 0, "run this as root"

    def body():
        became(user)
        capabilities.limit(wanted, for_programs=for_programs)
        return [sorted(capabilities.held(kind)) for kind in ("CapPrm", "CapEff")] + [of_a_program()]

    expected = of_programs if user or for_programs else sorted(wanted)  # root's programs get what their parent may
    assert in_a_child(body) == [sorted(wanted), sorted(wanted), expected]


def test_what_was_given_up_is_gone():
    def body():
        capabilities.limit({Capability.NET_RAW})
        try:
            capabilities.limit(EGRESS)
        except BlockerError as error:
            return str(error)
        return ""

    assert "needs CAP_NET_ADMIN and CAP_NET_RAW" in in_a_child(body)
