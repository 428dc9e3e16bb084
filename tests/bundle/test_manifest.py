"""What a bundle says of itself: one spelling, bounded, and consistent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.bundle import manifest
from blocker.bundle.manifest import KeyRecord, Manifest
from blocker.errors import BundleError
from tests.bundle.publisher import A, B, record, said

GOOD = json.loads(said().octets())


def octets(value):
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"


def test_what_is_written_is_read():
    assert manifest.parsed(said().octets(), Manifest, "manifest.json") == said()
    assert manifest.parsed(record(2, A, B).octets(), KeyRecord, "keys.json") == record(2, A, B)


def test_the_comment_says_what_a_signer_must_know():
    assert said(7).comment == (
        "blocker bundle serial:7 created:2027-01-15T08:00:00Z expires:2027-02-14T08:00:00Z by The Ministry"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": 2}, "format: Input should be 1"),
        ({"serial": 0}, "serial: "),
        ({"serial": "7"}, "serial: "),
        ({"serial": 1 << 54}, "serial: "),
        ({"created": "2027-01-15 08:00:00"}, "created: "),
        ({"created": "2027-13-15T08:00:00Z"}, "created: "),
        ({"created": "٢٠٢٧-01-15T08:00:00Z"}, "created: "),
        ({"expires": GOOD["created"]}, "expires before it was created"),
        ({"publisher": "a\nb"}, "publisher: "),
        ({"publisher": "a\u202eb"}, "publisher: "),
        ({"publisher": "x" * 300}, "publisher: "),
        ({"more": 1}, "more: "),
        ({"files": [{"name": "a", "size": -1, "sha256": "0" * 64}]}, "files.0.size: "),
        ({"files": [{"name": "a", "size": 1, "sha256": "0"}]}, "files.0.sha256: "),
    ],
)
def test_refused(changes, why):
    with pytest.raises(BundleError, match=why):
        manifest.parsed(octets(GOOD | changes), Manifest, "manifest.json")


@pytest.mark.parametrize(
    "written",
    [
        octets(GOOD).rstrip(),
        octets(GOOD).replace(b' "serial": 1', b' "serial": 2,\n "serial": 1'),  # readers differ on which counts
        octets(GOOD).replace(b"The", b"T\\u0068e"),
        json.dumps(GOOD).encode(),
        b"\xef\xbb\xbf" + octets(GOOD),
    ],
)
def test_another_spelling_is_refused(written):
    with pytest.raises(BundleError):
        manifest.parsed(written, Manifest, "manifest.json")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"threshold": 3}, "nothing could ever be signed"),
        ({"threshold": 0}, "threshold: "),
        ({"keys": []}, "keys: "),
        ({"keys": ["RWQ"]}, "keys.0: "),
        ({"keys": [str(A.public), str(A.public)]}, "a key is there twice"),
        ({"revoked": [A.public.name]}, "both trusted and revoked"),
        ({"revoked": ["xyz"]}, "revoked.0: "),
        ({"version": 0}, "version: "),
    ],
)
def test_sets_of_keys_that_make_no_sense(changes, why):
    good = json.loads(record(2, A, B).octets())
    with pytest.raises(BundleError, match=why):
        manifest.parsed(octets(good | changes), KeyRecord, "keys.json")


def test_deep_nesting_is_refused():
    with pytest.raises(BundleError):
        manifest.parsed(b"[" * 100_000, Manifest, "manifest.json")


@given(st.binary(max_size=400))
def test_any_octets_are_a_manifest_or_refused(found):
    with pytest.raises(BundleError):
        manifest.parsed(found, Manifest, "manifest.json")


@given(st.integers(0, 4_000_000_000))
def test_times_are_read_as_they_are_written(when):
    assert manifest.moment(manifest.written(when)) == when
