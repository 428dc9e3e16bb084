"""What Prometheus sees of the rules in the kernel."""

from blocker.egress import status
from blocker.egress.status import Status
from blocker.sinks import egress


def samples(state):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in egress.collect(state)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_rules_in_force(tmp_path):
    packets = {"refuse_staff_address_chat": 5, "refuse_staff.1_address_chat": 2, "note_lab_address_chat": 1, "odd": 9}
    status.write(Status("abc", 100.0, 0.5, 2, "", {"app_chat_4": 3}, packets), tmp_path)
    assert samples(str(tmp_path)) == {
        ("blocker_egress_packets_total", "chat", "staff", "address", "refuse"): 7,  # an exception's devices are of it
        ("blocker_egress_packets_total", "chat", "lab", "address", "note"): 1,
        ("blocker_egress_set_elements", "app_chat_4"): 3,
        ("blocker_egress_applied",): 1,
        ("blocker_egress_applied_timestamp_seconds",): 100,
        ("blocker_egress_apply_seconds",): 0.5,
        ("blocker_egress_apply_failures_total",): 2,
    }


def test_rules_that_are_not(tmp_path):
    assert samples(str(tmp_path))["blocker_egress_applied",] == 0  # nobody has said anything
    status.write(Status("abc", 100.0, 0.5, 2, "nft: no"), tmp_path)
    assert samples(str(tmp_path))["blocker_egress_applied",] == 0
    assert samples(None) == {}
