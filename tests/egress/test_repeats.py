from blocker.egress.repeats import Repeats


def test_the_same_is_new_again_after_a_while():
    repeats = Repeats(10.0)
    assert [repeats.is_new("a", now) for now in (0.0, 0.1, 9.9, 10.0, 10.1)] == [True, False, False, True, False]
    assert repeats.is_new("b", 10.1)
    repeats.every = 0.0
    assert [repeats.is_new("c", 11.0) for _ in range(2)] == [True, True]
