"""Runs a command under the system call rules of a systemd unit: sandbox.py UNIT COMMAND...

systemd does the same with the same library; a call outside the rules ends the process, so that it is noticed.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW (seccomp.h)
KILL_PROCESS = 0x80000000  # SCMP_ACT_KILL_PROCESS
MASKED_EQ = 7  # SCMP_CMP_MASKED_EQ
PROT_WRITE, PROT_EXEC = 2, 4  # mmap(2)


class Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def setting(unit: Path, key: str) -> list[str]:
    """Return all values of `key` in the unit's service section."""
    return [line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith(f"{key}=")]


def calls(name: str) -> set[str]:
    """Return the system calls of a set such as @system-service, sets in it included."""
    if not name.startswith("@"):
        return {name}
    said = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    inside = [line.strip() for line in said.stdout.splitlines()[1:]]
    return {call for each in inside if each and not each.startswith("#") for call in calls(each)}


def allowed(unit: Path) -> set[str]:
    """Return the system calls that the unit allows."""
    found: set[str] = set()
    for value in setting(unit, "SystemCallFilter"):
        named = {call for each in value.removeprefix("~").split() for call in calls(each)}
        found = found - named if value.startswith("~") else found | named
    return found


def confine(unit: Path) -> None:
    """Put the unit's rules on this process and all its children, for good."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(KILL_PROCESS))
    both = PROT_WRITE | PROT_EXEC
    strict = setting(unit, "MemoryDenyWriteExecute") == ["yes"]
    for call in allowed(unit):
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:  # of another architecture
            continue
        if strict and call in ("mmap", "mprotect", "pkey_mprotect"):
            # systemd forbids mapping memory writable and executable, and making any executable later.
            # libseccomp allows what one rule allows: no PROT_EXEC, or (mmap) PROT_EXEC without PROT_WRITE.
            sorts = [(PROT_EXEC, 0)] + ([(both, PROT_EXEC)] if call == "mmap" else [])
            for mask, value in sorts:
                rule = (Comparison * 1)(Comparison(2, MASKED_EQ, mask, value))
                assert library.seccomp_rule_add_array(context, ALLOW, number, 1, rule) == 0, call
        else:
            assert library.seccomp_rule_add_array(context, ALLOW, number, 0, None) == 0, call
    assert library.seccomp_load(context) == 0


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
