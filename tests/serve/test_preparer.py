"""The process that reads the lists: what it says, and to whom."""

import socket

from blocker.serve import preparer


def test_nobody_need_listen_to_the_end():
    """Who is told to stop while lists are read goes away; that is no failure of the process that reads them."""
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        assert preparer.main(theirs, lambda: {"path": "somewhere"}, lambda: None) == 0


def test_one_that_dies_without_a_word_has_a_problem():
    ours, theirs = socket.socketpair()
    theirs.close()
    assert preparer.result(ours) == {"problems": [preparer.DIED]}
