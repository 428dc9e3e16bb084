"""What a clock may do to exceptions: end them, and never make one longer or bring one back."""

import pytest

from blocker.serve.turns import Turns

GRANTED = {"1": (0, 2000.0), "2": (1500, 3000.0)}


def turns():
    made = Turns(1000.0, 0.0)
    made.grant(GRANTED)
    made.next = 1500.0
    return made


@pytest.mark.parametrize(
    ("wall", "boot", "back", "due", "ends"),
    [
        (1000.25, 0.25, 0, False, {}),
        (1000.9, 0, 0, False, {}),  # NTP slews
        (999.1, 0, 0, False, {}),
        (1500, 500, 0, True, {}),  # its time has come
        (1500, 0, 0, True, {}),  # the clock was put forward, or the machine stood still
        (1400, 0, 0, False, {}),
        (1010, 50, 40, True, {"1": 1960}),  # 40 s back: ends 40 s earlier by the new reading
        (500, 0, 500, True, {"1": 1500}),  # what has not begun yet begins and ends by the wall
        (900, 2000, 2100, True, {"1": 0, "2": 0}),  # both had ended before the clock was set
        (900, 1600, 1700, True, {"1": 0, "2": 1300}),
    ],
)
def test_look(wall, boot, back, due, ends):
    made = turns()
    assert (made.look(wall, boot), made.is_due(wall), made.ends) == (back, due, ends)


def test_what_has_ended_does_not_come_back():
    made = turns()
    made.look(2500.0, 0.0)  # put forward by mistake
    made.turn(2500.0)
    assert made.ends == {"1": 0}
    assert made.look(1010.0, 10.0) == 1500  # and back
    assert made.is_due(1010.0)
    made.turn(1010.0)
    assert made.ends == {"1": 0, "2": 1500}
    assert not made.is_due(1010.0)


def test_setting_it_back_again_and_again_gains_nothing():
    made = turns()
    for step in range(1, 101):  # ten seconds pass, and are taken back, a hundred times
        assert made.look(1000.0, step * 10.0) == 10
        made.turn(1000.0)
    assert made.end("1") == 0
    assert made.look(1000.0, 1001.0) == 0


def test_small_steps_add_up():
    made = turns()
    backs = [made.look(1000.0, step * 0.25) for step in range(1, 21)]  # the clock stands still
    assert sum(backs) == pytest.approx(5, abs=1)
    assert made.end("1") == pytest.approx(1995, abs=1)


def test_what_is_no_more_granted_is_forgotten():
    made = turns()
    made.look(900.0, 1600.0)
    made.grant({"2": (1500, 3000.0)})
    assert made.ends == {"2": 1300}
    made.grant({"2": (1500, 3000.0), "3": (0, 5000.0)})
    assert (made.end("2"), made.end("3")) == (1300, 5000)
