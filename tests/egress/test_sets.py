"""Names of sets: those that rules and those that netlink messages use."""

from blocker.egress import sets


def test_names():
    assert [sets.app("tiktok", 4), sets.learned("tiktok", 6), sets.passing("staff", 4)] == [
        "app_tiktok_4",
        "learned_tiktok_6",
        "pass_staff_4",
    ]
    assert [sets.static("staff", 4), sets.sized(sets.GATE, 4), sets.sized(sets.CUT, 6)] == [
        "static_staff_4",
        "gate_4",
        "cut_6",
    ]
