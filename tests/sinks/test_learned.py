"""What metrics say of what was learned."""

from blocker.egress import learned as file
from blocker.egress.learned import Address, Learned
from blocker.sinks import learned


def test_what_metrics_say(tmp_path):
    addresses = [Address("tiktok", f"198.51.100.{number}", "x", "refused") for number in range(3)]
    watched = Address("wechat", "198.51.100.9", "x", "watched")
    file.write(Learned(1.0, 5, {"tiktok shared": 4, "wechat allowed": 1}, (*addresses, watched)), tmp_path)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in learned.collect(str(tmp_path))
        for sample in family.samples
    }
    assert found == {
        ("blocker_egress_learned", "tiktok"): 3,
        ("blocker_egress_guarded_total", "tiktok", "shared"): 4,
        ("blocker_egress_guarded_total", "wechat", "allowed"): 1,
    }


def test_without_rules_there_is_nothing_to_say():
    assert list(learned.collect(None)) == []
