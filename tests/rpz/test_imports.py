"""A zone that is taken over: whatever the primary does, the last good version stays."""

import socket
import threading

import dns.flags
import dns.message
import dns.name
import dns.tsig
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocker.config import RpzImport
from blocker.rpz import transfer
from blocker.rpz.imports import Import
from blocker.rpz.intake import TransferError
from tests.rpz.primary import Primary, says, soa

NOW = 1_000_000.0
GOOD = says([soa(5), "a CNAME .", "b CNAME .", soa(5)])
KEY = dns.tsig.Key("both", b"0123456789abcdef0123456789abcdef", "hmac-sha256")
OTHER = dns.tsig.Key("both", b"fedcba9876543210fedcba9876543210", "hmac-sha256")


@pytest.fixture
def primary():
    made = []

    def make(*scripts):
        made.append(Primary(*scripts))
        return made[-1]

    yield make
    for each in made:
        each.close()


def importing(tmp_path, *primaries, **said):
    ends = tuple(f"127.0.0.1:{each.port}" for each in primaries)
    return Import(RpzImport(zone="rpz.example", primaries=ends, app="their", **said), tmp_path)


def signed(script):
    """Sign what a script says with KEY, as a stream."""

    def sign(query):
        context = None
        for packet in script(query):
            message = dns.message.from_wire(packet, keyring=False, one_rr_per_rrset=True)
            message.use_tsig(KEY)
            message.request_mac = query.tsig[0].mac if query.tsig else b""
            wire = message.to_wire(multi=True, tsig_ctx=context, max_size=65535)
            context = message.tsig_ctx
            yield wire

    return sign


def body(found):
    return found.path.read_text().splitlines()[4:]


def test_a_zone_is_taken_over_and_found_again(tmp_path, primary):
    found = importing(tmp_path, primary(GOOD))
    assert found.refresh(None, NOW)
    assert (found.held.soa.serial, found.held.records, found.due) == (5, 2, NOW + 300)
    assert body(found) == ["a cname .", "b cname ."]
    again = importing(tmp_path, primary(GOOD))
    assert again.held == found.held
    assert again.due == found.due


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_text("nonsense")])
def test_a_copy_that_somebody_has_removed_is_fetched_again(tmp_path, primary, harm):
    up_to_date = says([soa(5)])
    found = importing(tmp_path, primary(GOOD, GOOD, up_to_date))
    assert found.refresh(None, NOW)
    harm(found.path)
    assert found.refresh(None, NOW + 300)  # so that it is compiled again
    assert body(found) == ["a cname .", "b cname ."]
    assert not found.refresh(None, NOW + 600)


def test_a_clock_that_is_set_back_makes_nobody_wait_for_the_former_time(tmp_path, primary):
    found = importing(tmp_path, primary(GOOD))
    assert found.is_due(NOW)  # nothing was taken over yet
    found.refresh(None, NOW)
    assert [found.is_due(NOW + later) for later in (0, 299, 300, -3600, -365 * 86_400)] == [
        False, False, True, False, True,
    ]  # fmt: skip


def test_steps_are_applied(tmp_path, primary):
    server = primary(GOOD, says([soa(6), soa(5), "a CNAME .", soa(6), "c CNAME *.", soa(6)]))
    found = importing(tmp_path, server)
    found.refresh(None, NOW)
    assert found.refresh(None, NOW + 300)
    assert (found.held.soa.serial, body(found)) == (6, ["b cname .", "c cname *."])
    assert found.transfers == {("axfr", "success"): 1, ("ixfr", "success"): 1}


def test_nothing_new(tmp_path, primary):
    found = importing(tmp_path, primary(GOOD, says([soa(5)])))
    found.refresh(None, NOW)
    assert not found.refresh(None, NOW + 300)
    assert (found.held.confirmed, found.due) == (NOW + 300, NOW + 600)


@pytest.mark.parametrize("steps", [
    says([soa(6), soa(5), "unknown CNAME .", soa(6), soa(6)]),  # removes what we do not have
    says([soa(6), soa(3), "a CNAME .", soa(6), soa(6)]),  # from elsewhere
    says([], change=lambda message: message.set_rcode(4) or message),  # NOTIMP
])  # fmt: skip
def test_where_steps_fail_the_whole_zone_is_fetched(tmp_path, primary, steps):
    found = importing(tmp_path, primary(GOOD, steps, says([soa(6), "z CNAME .", soa(6)])))
    found.refresh(None, NOW)
    assert found.refresh(None, NOW)
    assert (found.held.soa.serial, body(found)) == (6, ["z cname ."])


def flagged(message):
    message.flags |= dns.flags.TC
    return message


def answering_another(message):
    message.id ^= 1
    return message


BAD = {
    "cut short": (says([soa(6), "a CNAME ."]), "cut short"),
    "outside": (says([soa(6), "a.other. CNAME .", soa(6)]), "outside the zone"),
    "loop": (says([soa(6), "a CNAME b.", "b CNAME a.", soa(6)]), "lead back"),
    "huge": (says([soa(6), *(f"n{at} CNAME ." for at in range(50)), soa(6)]), "max_records"),
    "empty": (says([soa(6), soa(6)]), "cannot be read as a list|cut short"),
    "nothing but comments for us": (says([soa(6), "x DNAME y.", soa(6)]), "cannot be read as a list"),
    "older": (says([soa(4), "a CNAME .", soa(4)]), "older than ours"),
    "refused": (says([], change=lambda message: message.set_rcode(5) or message), "REFUSED"),
    "truncated": (says([soa(6), "a CNAME .", soa(6)],
                       change=flagged), "truncated"),
    "other id": (says([soa(6)], change=answering_another), "something else"),
    "garbage": (lambda query: [b"\1\2\3"], "cannot be read"),
    "hangs up": (lambda query: [], "cut short"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_the_last_good_zone_stays(tmp_path, primary, case):
    script, why = BAD[case]
    found = importing(tmp_path, primary(GOOD, script), max_records=40)
    found.refresh(None, NOW)
    before = found.path.read_bytes()
    with pytest.raises(TransferError, match=why):
        found.refresh(None, NOW + 300)
    assert found.path.read_bytes() == before
    assert (found.held.soa.serial, found.due) == (5, NOW + 360)
    assert [each.name for each in tmp_path.iterdir()] == [found.path.name]


def test_a_dead_primary_gives_way_to_the_next(tmp_path, primary):
    dead = primary(GOOD)
    dead.close()
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        dead.port = gone.getsockname()[1]
    found = importing(tmp_path, dead, primary(GOOD))
    assert found.refresh(None, NOW)


def test_a_silent_primary(tmp_path, primary, monkeypatch):
    monkeypatch.setattr(transfer, "SILENCE", 0.05)

    heard = threading.Event()

    def silent(_query):
        heard.wait(10)
        return []

    found = importing(tmp_path, primary(silent))
    with pytest.raises(TransferError, match="nothing came"):
        found.refresh(None, NOW)
    heard.set()
    assert (found.held, found.due) == (None, NOW + 30)


def test_a_signed_zone(tmp_path, primary):
    script = signed(says([soa(5), "a CNAME ."], ["b CNAME .", soa(5)]))
    assert importing(tmp_path, primary(script)).refresh(KEY, NOW)


@pytest.mark.parametrize(("script", "key", "why"), [
    (GOOD, KEY, "not signed"),
    (signed(GOOD), OTHER, "signature is wrong"),
    (signed(GOOD), None, "signed with a key|cannot be read"),
], ids=["not signed", "another secret", "we have no key"])  # fmt: skip
def test_a_wrong_signature_is_refused(tmp_path, primary, script, key, why):
    found = importing(tmp_path, primary(script))
    with pytest.raises(TransferError, match=why):
        found.refresh(key, NOW)
    assert not found.path.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_octets_are_refused(tmp_path_factory, octets):
    made = Primary(lambda query: [query.id.to_bytes(2) + octets])
    found = importing(tmp_path_factory.mktemp("import"), made)
    try:
        with pytest.raises(TransferError):
            found.refresh(None, NOW)
    finally:
        made.close()
    assert not found.path.exists()
