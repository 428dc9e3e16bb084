"""What a transfer may say, record by record."""

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.rpz import intake
from blocker.rpz.intake import Intake, NoStepsError, TransferError
from tests.rpz.primary import soa

ORIGIN = dns.name.from_text("rpz.example")


def take(records, serial=None, limit=100):
    kept = []
    found = Intake(ORIGIN, serial, limit, kept.append)
    for text in records:
        owner, kind, rdata = text.split(" ", 2)
        name = dns.name.from_text("" if owner == "@" else owner, None if not owner.endswith(".") else dns.name.root)
        name = ORIGIN if owner == "@" else name if name.is_absolute() else name + ORIGIN
        found.take(name, dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), rdata))
    return found, kept


def ended(records, **how):
    found, kept = take(records, **how)
    found.end()
    return found, kept


def test_the_whole_zone():
    found, kept = ended([soa(2), "@ NS ns.example.", "A.b CNAME .", "*.c A 192.0.2.1", "c AAAA ::1", soa(2)])
    assert (found.full, found.soa.serial) == (True, 2)
    assert kept == ["a.b cname .\n", "*.c a 192.0.2.1\n", "c aaaa ::1\n"]


def test_steps():
    steps = [soa(4), soa(2), "gone CNAME .", "back CNAME .", soa(3), "new CNAME .", soa(3), "new CNAME .", soa(4),
             "back CNAME .", soa(4)]  # fmt: skip
    found, kept = ended(steps, serial=2)
    assert (found.full, kept, list(found.went), list(found.came)) == (False, [], ["gone cname .\n"], [])


def test_the_whole_zone_instead_of_steps():
    found, kept = ended([soa(4), "a CNAME .", soa(4)], serial=2)
    assert (found.full, kept) == (True, ["a cname .\n"])


def test_up_to_date():
    assert take([soa(2)], serial=2)[0].up_to_date


@pytest.mark.parametrize(("records", "serial", "why"), [
    ([], None, "cut short"),
    ([soa(2)], None, "cut short"),
    ([soa(2), "a CNAME ."], None, "cut short"),
    (["a CNAME .", soa(2)], None, "does not begin with an SOA"),
    ([soa(2), "a.other.example. CNAME .", soa(2)], None, "outside the zone"),
    ([soa(2), "a CNAME .", soa(3)], None, "another SOA record"),
    ([soa(2), "a SOA . . 2 300 60 86400 60", soa(2)], None, "below the top"),
    ([soa(2), soa(2), "a CNAME ."], None, "goes on after its end"),
    ([soa(1), soa(2)], 2, "older than ours"),
    ([soa(2), *["a CNAME ."] * 100, soa(2)], None, "more records"),
    ([soa(2), f"a TXT {' '.join(['x' * 250] * 20)}", soa(2)], None, "too long"),
])  # fmt: skip
def test_refused(records, serial, why):
    with pytest.raises(TransferError, match=why):
        ended(records, serial=serial)


@pytest.mark.parametrize("records", [
    [soa(4), soa(1), "a CNAME ."],  # from a version that we do not have
    [soa(4), soa(2), "a CNAME .", soa(2)],  # serials do not rise
    [soa(4), soa(2), soa(3), "a CNAME .", soa(2)],  # a step from elsewhere
])  # fmt: skip
def test_steps_that_make_no_sense(records):
    with pytest.raises(NoStepsError):
        ended(records, serial=2)


def test_changes_without_end_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(intake, "_MOST_STEPS", 3)
    records = [soa(3), soa(2), soa(3), *(f"n{at} CNAME ." for at in range(5)), soa(3)]
    with pytest.raises(NoStepsError, match="so many"):
        ended(records, serial=2)
    assert ended([soa(3), *(f"n{at} CNAME ." for at in range(9)), soa(3)], serial=2)[0].full  # the whole zone is none


@pytest.mark.parametrize(("serial", "than", "is_newer"), [
    (2, 1, True), (1, 1, False), (1, 2, False), (0, 0xFFFFFFFF, True), (0xFFFFFFFF, 0, False), (1 << 31, 0, False),
])  # fmt: skip
def test_serials_go_round(serial, than, is_newer):
    assert intake.newer(serial, than) == is_newer


@pytest.mark.parametrize(("lines", "found"), [
    ([], ""),
    (["a cname .", "b cname *.", "c cname rpz-drop.", "d a 192.0.2.1"], ""),
    (["a cname b.", "b cname c."], ""),
    (["a cname a."], ""),  # passthru as it was written once
    (["a cname b.", "b cname a."], "a"),
    (["a cname b.rpz.example.", "b cname c.", "c cname a."], "a"),  # by a name inside the zone
    (["x cname a.", "a cname b.", "b cname a."], "a"),
])  # fmt: skip
def test_loops(lines, found):
    assert intake.loop((f"{line}\n" for line in lines), "rpz.example") == found


RECORDS = (soa(1), soa(2), soa(3), "a CNAME .", "b CNAME .", "@ NS a.", "x.example. A 192.0.2.1")


@given(st.lists(st.sampled_from(RECORDS)), st.sampled_from([None, 1, 2]))
def test_any_records_end_in_a_zone_or_a_refusal(records, serial):
    try:
        found, _ = ended(records, serial=serial)
    except TransferError:
        return
    assert found.done
    assert found.soa.serial >= (serial or 0)
