"""The process that cuts for a command without privileges: it is there while its socket is, and no longer."""

import os
import socket

import pytest

from blocker.egress import cut
from blocker.egress.cut import Cut
from blocker.errors import KernelError
from blocker.serve import helper
from tests.egress.namespace import Namespace
from tests.egress.test_cutter import TABLE


def test_it_cuts_until_its_socket_is_closed():
    with Namespace() as space:
        space.nft(TABLE)
        sock = space.run(helper.cutter)
        address = socket.inet_aton("192.0.2.9")
        sock.send(cut.encode(Cut(address, address, 6, 40000, 443)))
        sock.close()
        pid, status = os.waitpid(-1, 0)
        assert pid
        assert os.waitstatus_to_exitcode(status) == 0
        assert "192.0.2.9" in space.listed("set inet blocker cut_4")


def test_without_rules_it_says_so_at_once():
    with Namespace() as space, pytest.raises(KernelError, match="Nothing can be cut without the rules"):
        space.run(helper.cutter)
