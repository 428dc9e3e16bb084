"""The process that reads the lists: what it says, and to whom."""

import os
import socket

import pytest

from blocker.serve import generation, preparer


def test_nobody_need_listen_to_the_end():
    """Who is told to stop while lists are read goes away; that is no failure of the process that reads them."""
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        assert preparer.main(theirs, lambda: {"path": "somewhere"}, lambda: None) == 0


@pytest.mark.parametrize("overrides", [{"cache.size": -1}, {"lists.directories": ["/nowhere"]}])
def test_all_problems_come_through_the_pipe(tmp_path, overrides):
    ours, theirs = socket.socketpair()
    with theirs:
        pid = os.fork()
        if not pid:
            status = 99
            try:
                over = overrides | {"process.state_dir": tmp_path}
                status = preparer.main(theirs, lambda: generation.prepare(None, over, 1), lambda: None)
            finally:
                os._exit(status)
    found = preparer.result(ours)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert found["problems"]


def test_a_preparer_that_dies_is_an_answer_too():
    ours, theirs = socket.socketpair()
    theirs.close()
    assert preparer.result(ours) == {"problems": [preparer.DIED]}
