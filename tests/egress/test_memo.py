"""What a worker knows of the kernel, and that it forgets when told."""

from blocker.egress.memo import Memo

ALICE, BOB = b"\x0a\0\0\1", b"\x0a\0\0\2"
ONE, TWO = (b"\xc0\0\2\1",), (b"\xc0\0\2\1", b"\xc0\0\2\2")


def test_each_client_and_each_answer_for_itself():
    memo = Memo()
    memo.put(ALICE, ONE, 100.0)
    assert memo.until(ALICE, ONE) == 100.0
    assert memo.until(ALICE, TWO) == memo.until(BOB, ONE) == 0.0
    memo.put(ALICE, ONE, 200.0)
    assert memo.until(ALICE, ONE) == 200.0


def test_forgetting():
    memo = Memo()
    for client in (ALICE, BOB):
        memo.put(client, ONE, 100.0)
    memo.forget([ALICE, b"\x0a\0\0\3"])
    assert (memo.until(ALICE, ONE), memo.until(BOB, ONE)) == (0.0, 100.0)
    memo.clear()
    assert memo.until(BOB, ONE) == 0.0


def test_it_is_bounded():
    memo = Memo(most=10)
    for number in range(25):
        memo.put(ALICE, (bytes((number,)),), 100.0)
    assert sum(memo.until(ALICE, (bytes((number,)),)) > 0 for number in range(25)) == 5
    assert memo.until(ALICE, (bytes((24,)),)) == 100.0
