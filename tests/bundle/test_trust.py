"""Which bundles a node takes: a table of attacks and mistakes, and what each hears."""

from dataclasses import replace

import pytest

from blocker.bundle import key, signature
from blocker.bundle.trust import CLOCK_TOLERANCE, Installed, RefusedError, Step, Trusted, Why, decide, expiry
from tests.bundle.publisher import CREATED, DAY, A, B, C, D, bundle, record, said, signed

NOW = CREATED + DAY
GOOD = bundle(5)
NOTHING = Installed()
ONLY_A = Trusted((A.public,))
TWO_OF_THREE = Trusted((A.public, B.public, C.public), threshold=2)
FIVE = Installed(5, 5, signature.digest(GOOD).hex(), CREATED)


def refused(octets, signatures, trusted=ONLY_A, installed=NOTHING, now=NOW, **more):
    """Return why a bundle is refused, and in which words."""
    with pytest.raises(RefusedError) as found:
        decide(octets, signatures, trusted, installed, now, **more)
    return found.value.why, str(found.value)


def test_a_good_bundle():
    found = decide(GOOD, signed(GOOD, A), ONLY_A, NOTHING, NOW)
    assert (found.step, found.bundle.manifest.serial, found.signers) == (Step.INSTALL, 5, (A.public.name,))


@pytest.mark.parametrize("hashed", [True, False])
def test_both_kinds_of_signature(hashed):
    assert decide(GOOD, signed(GOOD, A, hashed=hashed), ONLY_A, NOTHING, NOW).step is Step.INSTALL


@pytest.mark.parametrize(
    ("signers", "trusted", "installs"),
    [
        ((), ONLY_A, False),  # nothing unsigned
        ((B,), ONLY_A, False),
        ((B, A), ONLY_A, True),  # a stranger's signature beside ours does no harm
        ((A,), TWO_OF_THREE, False),
        ((A, A), TWO_OF_THREE, False),  # nobody counts twice
        ((A, D), TWO_OF_THREE, False),
        ((A, C), TWO_OF_THREE, True),
        ((A, B, C), TWO_OF_THREE, True),
        ((A,), Trusted(()), False),
        ((A,), replace(ONLY_A, revoked=frozenset({A.public.name})), False),
        ((A, B), replace(TWO_OF_THREE, revoked=frozenset({A.public.name})), False),
        ((C, B), replace(TWO_OF_THREE, revoked=frozenset({A.public.name})), True),
    ],
)
def test_who_must_have_signed(signers, trusted, installs):
    signatures = signed(GOOD, *signers)
    if installs:
        assert decide(GOOD, signatures, trusted, NOTHING, NOW).step is Step.INSTALL
    else:
        assert refused(GOOD, signatures, trusted)[0] is Why.KEY


def test_a_revoked_signer_is_named():
    _, words = refused(GOOD, signed(GOOD, A), replace(ONLY_A, revoked=frozenset({A.public.name})))
    assert f"signed by: {A.public.name} (revoked)." in words


OTHER = bundle(6, {"lists/00-own/own.txt": b"other.example\n"})
(OURS,) = signed(GOOD, A)
(THEIRS,) = signed(OTHER, A)
(FOREIGN,) = signed(GOOD, B)


@pytest.mark.parametrize(
    ("signatures", "why"),
    [
        ((THEIRS,), Why.TAMPERED),  # of another bundle
        ((replace(FOREIGN, key_id=A.id),), Why.TAMPERED),  # by a key that calls itself ours
        ((replace(OURS, trusted_comment=THEIRS.trusted_comment),), Why.TAMPERED),
        ((replace(OURS, trusted_comment=THEIRS.trusted_comment, global_octets=THEIRS.global_octets),), Why.TAMPERED),
        ((replace(OURS, octets=THEIRS.octets),), Why.TAMPERED),
        ((OURS, THEIRS), Why.TAMPERED),  # a good one beside a bad one of the same key
        (signed(GOOD, A, comment="serial:5"), Why.TAMPERED),  # signed rightly, under words that do not say what
    ],
)
def test_signatures_that_do_not_belong(signatures, why):
    assert refused(GOOD, signatures)[0] is why


def test_a_signer_who_used_another_comment_hears_which_one_to_use():
    _, words = refused(GOOD, signed(GOOD, A, comment="timestamp:1"))
    assert said(5).comment in words
    assert "minisign -S -t" in words


def test_every_changed_octet_is_refused():
    for at in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[at] ^= 1
        assert refused(bytes(changed), (OURS,))[0] is Why.TAMPERED


def test_every_length_is_refused():
    for end in range(len(GOOD)):
        assert refused(GOOD[:end], (OURS,))[0] is Why.TAMPERED
    assert refused(GOOD + b"\0", (OURS,))[0] is Why.TAMPERED


def test_what_is_signed_and_no_bundle_is_refused():
    junk = b"banned.example\n"
    assert refused(junk, (signature.sign(A.seed, A.id, junk, "x"),))[0] is Why.CONTENT


@pytest.mark.parametrize(
    ("installed", "why"),
    [
        (Installed(6, 6, "x", CREATED), "serial 5 is older than 6"),
        (Installed(5, 5, "x", CREATED), "a serial is given once"),
        (Installed(4, 6, "x", CREATED), "rolled back"),
        (Installed(4, 5, "x", CREATED), "rolled back"),  # the bad one does not come back by itself
    ],
)
def test_serials_only_rise(installed, why):
    found = refused(GOOD, (OURS,), installed=installed)
    assert found[0] is Why.SERIAL
    assert why in found[1]


@pytest.mark.parametrize("now", [NOW, CREATED + 90 * DAY])
def test_what_is_there_already_is_left_alone_expired_or_not(now):
    assert decide(GOOD, (OURS,), ONLY_A, FIVE, now).step is Step.NOTHING


@pytest.mark.parametrize(
    ("now", "more", "why"),
    [
        (CREATED + 30 * DAY - 1, {}, None),
        (CREATED + 30 * DAY, {}, Why.EXPIRED),
        (CREATED + 2 * DAY, {"max_age": 2 * DAY}, Why.EXPIRED),  # too old for this node, whatever it says of itself
        (CREATED + 2 * DAY - 1, {"max_age": 2 * DAY}, None),
        (CREATED + 30 * DAY, {"max_age": 300 * DAY}, Why.EXPIRED),
        (CREATED - CLOCK_TOLERANCE, {}, None),
        (CREATED - CLOCK_TOLERANCE - 1, {}, Why.CLOCK),  # not yet
    ],
)
def test_times(now, more, why):
    if why is None:
        assert decide(GOOD, (OURS,), ONLY_A, NOTHING, now, **more).step is Step.INSTALL
    else:
        assert refused(GOOD, (OURS,), now=now, **more)[0] is why


def test_a_clock_set_back_revives_nothing():
    """An expired bundle would be good again on a machine whose clock stands before its last installation."""
    before = Installed(4, 4, "x", at=CREATED + 60 * DAY)
    assert refused(GOOD, (OURS,), installed=before, now=CREATED + DAY)[0] is Why.CLOCK
    assert refused(GOOD, (OURS,), installed=before, now=CREATED + 61 * DAY)[0] is Why.EXPIRED


# Rotation: A hands over to B.

HANDOVER = record(2, B, revoked=(A,))
ROTATING = bundle(5, keys=HANDOVER)


@pytest.mark.parametrize(
    ("octets", "signers", "trusted", "why"),
    [
        (ROTATING, (A, B), ONLY_A, None),
        (ROTATING, (A,), ONLY_A, Why.ROTATION),  # only the old: nobody knows that the new key works
        (ROTATING, (B,), ONLY_A, Why.KEY),  # only the new: anybody could say so
        (ROTATING, (A, C), ONLY_A, Why.ROTATION),
        (bundle(5, keys=record(3, B)), (A, B), ONLY_A, Why.ROTATION),  # a version was skipped
        (bundle(5, keys=record(1, B)), (A, B), ONLY_A, Why.ROTATION),  # the same version, other keys
        (bundle(5, keys=record(1, A)), (A,), ONLY_A, None),  # the same version, the same keys
        (bundle(5, keys=record(2, B, C, threshold=2)), (A, B), ONLY_A, Why.ROTATION),
        (bundle(5, keys=record(2, B, C, threshold=2)), (A, B, C), ONLY_A, None),
        (bundle(5, keys=record(3, C)), (A, B, C), TWO_OF_THREE, Why.ROTATION),
        (bundle(5, keys=record(2, D)), (A, D), TWO_OF_THREE, Why.KEY),  # one of two old ones
        (bundle(5, keys=record(2, D)), (A, C, D), TWO_OF_THREE, None),
        (bundle(5, keys=record(1, A)), (A,), Trusted((A.public,), version=2), Why.ROTATION),  # the former set again
        (bundle(5, keys=record(2, A)), (A,), replace(ONLY_A, revoked=frozenset({B.public.name})), None),
        (bundle(5, keys=record(2, B)), (A, B), replace(ONLY_A, revoked=frozenset({B.public.name})), Why.ROTATION),
    ],
)
def test_rotation(octets, signers, trusted, why):
    if why is None:
        found = decide(octets, signed(octets, *signers), trusted, NOTHING, NOW)
        assert found.step is Step.INSTALL
        assert found.record is None or found.record.version == trusted.version + 1
    else:
        assert refused(octets, signed(octets, *signers), trusted)[0] is why


def test_a_record_that_is_none():
    octets = bundle(5, {"lists/00-own/own.txt": b"", "keys.json": b"{}"})
    assert refused(octets, signed(octets, A))[0] is Why.CONTENT


def test_a_node_that_was_cut_off_takes_the_keys_of_an_expired_bundle_but_not_its_lists():
    late = CREATED + 90 * DAY
    assert decide(ROTATING, signed(ROTATING, A, B), ONLY_A, NOTHING, late).step is Step.KEYS
    assert refused(ROTATING, signed(ROTATING, A), now=late)[0] is Why.ROTATION


def test_when_a_bundle_ends():
    assert [expiry(said(), age) for age in (None, DAY, 99 * DAY)] == [
        CREATED + 30 * DAY, CREATED + DAY, CREATED + 30 * DAY,
    ]  # fmt: skip


def test_what_a_refusal_says_to_do():
    _, words = refused(GOOD, ())
    assert words == (
        f"0 of 1 trusted keys needed have signed it. Trusted: {key.id_text(A.id)}; signed by: nobody."
        " Check bundles.keys and where this is from; if the keys have changed, first install the bundle that says so."
    )
