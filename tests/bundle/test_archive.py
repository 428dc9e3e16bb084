"""The archive: one spelling for one content, and no way to say anything dangerous."""

import gzip
import io
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.bundle import archive, manifest
from blocker.bundle.manifest import KEYS, MANIFEST
from blocker.errors import BundleError
from tests.bundle.publisher import LISTS, NAME, bundle, said

GOOD = bundle()
NAMES = st.from_regex(r"lists/[0-9]{2}-[a-z]{1,8}/[a-z]{1,8}\.(txt|yaml|hosts)", fullmatch=True)


def tar(*members, form=tarfile.USTAR_FORMAT):
    """Return what Python's tarfile makes of (name, content, changes) in that order."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for name, content, changes in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for word, value in changes.items():
                setattr(info, word, value)
            made.addfile(info, io.BytesIO(content))
    return file.getvalue()


def short(octets):
    """Return an archive without the blocks that fill tar's last record."""
    return octets.rstrip(b"\0") + bytes(-len(octets.rstrip(b"\0")) % 512 + 1024)


FIRST = (MANIFEST, said().octets(), {})


@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5))
def test_what_is_packed_is_unpacked_and_the_same_gives_the_same(files):
    files = {MANIFEST: b"{}", **files}
    octets = archive.pack(files)
    assert archive.unpack(octets) == files
    assert archive.pack(dict(reversed(files.items()))) == octets


def test_tar_reads_it(tmp_path):
    (tmp_path / "a.bundle").write_bytes(GOOD)
    found = subprocess.run(["tar", "tf", tmp_path / "a.bundle"], capture_output=True, text=True, check=True)
    assert (found.stdout.split(), found.stderr) == ([MANIFEST, NAME], "")


def test_what_tar_writes_is_read_if_it_says_nothing_more():
    octets = short(tar(FIRST, (NAME, LISTS[NAME], {})))
    assert archive.opened(octets) == archive.opened(GOOD)


TRICKS = {
    "an absolute path": [("/etc/passwd", b"x", {})],
    "a path upwards": [("lists/../../etc/passwd", b"x", {})],
    "a path upwards in a folder's place": [("lists/../own.txt", b"x", {})],
    "a path from here": [("./lists/00-own/own.txt", b"x", {})],
    "an empty step": [("lists//00-own/own.txt", b"x", {})],
    "a back slash": [("lists\\00-own\\own.txt", b"x", {})],
    "a name that no list has": [("lists/00-own/own.sh", b"x", {})],
    "a hidden file": [("lists/00-own/.own.txt", b"x", {})],
    "a folder that no list has": [("lists/own/own.txt", b"x", {})],
    "a newline in a name": [("lists/00-own/own\n.txt", b"x", {})],
    "a link": [(NAME, b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})],
    "a hard link": [(NAME, b"", {"type": tarfile.LNKTYPE, "linkname": MANIFEST})],
    "a device": [(NAME, b"", {"type": tarfile.CHRTYPE, "devmajor": 1})],
    "a pipe": [(NAME, b"", {"type": tarfile.FIFOTYPE})],
    "a folder": [("lists", b"", {"type": tarfile.DIRTYPE})],
    "a folder by its slash": [("lists/", b"", {})],
    "set-user-id": [(NAME, b"x", {"mode": 0o4755})],
    "an owner": [(NAME, b"x", {"uid": 1000})],
    "an owner by name": [(NAME, b"x", {"uname": "root"})],
    "a time": [(NAME, b"x", {"mtime": 1})],
    "twice": [(NAME, b"x", {}), (NAME, b"x", {})],
    "out of order": [("lists/01-own/own.txt", b"x", {}), (NAME, b"x", {})],
    "a second manifest": [(MANIFEST, b"{}", {})],
}


@pytest.mark.parametrize("members", TRICKS.values(), ids=TRICKS)
def test_path_tricks(members):
    with pytest.raises(BundleError):
        archive.unpack(short(tar(FIRST, *members)))


def test_names_that_differ_only_in_case():
    with pytest.raises(BundleError, match="differ only in case"):
        archive.unpack(archive.pack({MANIFEST: b"", NAME: b"x", "lists/00-own/oWn.txt": b"x"}))


def test_extended_headers_are_not_read():
    long = ("lists/00-own/" + "a" * 120 + ".txt", b"x", {})
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with pytest.raises(BundleError, match="not the header of a file"):
            archive.unpack(short(tar(FIRST, long, form=form)))


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "does not end as it should"),
        (bytes(1024), "not a bundle: manifest.json is not its first file"),
        (archive.pack(LISTS), "not a bundle: manifest.json is not its first file"),
        (GOOD + b"\0", "something is behind its end"),
        (GOOD + GOOD, "something is behind its end"),
        (GOOD[:-512], "cut short"),
        (gzip.compress(GOOD), "compressed; bundles are not"),
        (gzip.compress(bytes(100_000_000)), "compressed; bundles are not"),  # would be 100 MB
        (b"#!/bin/sh\n", "not the header of a file"),
        (archive.pack({MANIFEST: b"{}"}), r"manifest\.json: .*Field required"),
        (archive.pack({MANIFEST: said().octets()}), "stands in the manifest, but not in the archive"),
        (archive.pack({MANIFEST: said(files={}).octets(), **LISTS}), "stands in the archive, but not in the manifest"),
        (archive.pack({MANIFEST: said().octets(), NAME: b"other\n"}), "is not what the manifest says"),
        (archive.pack({MANIFEST: said().octets(), **LISTS, KEYS: b""}), "keys.json: stands in the archive, but not"),
    ],
)
def test_refused(octets, why):
    with pytest.raises(BundleError, match=why):
        archive.opened(octets)


def test_every_shorter_archive_is_refused():
    for end in range(len(GOOD)):
        with pytest.raises(BundleError):
            archive.opened(GOOD[:end])


def test_every_changed_octet_is_noticed_even_without_a_signature():
    for at in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[at] ^= 1
        try:
            found = archive.opened(bytes(changed))
        except BundleError:
            continue
        assert found.manifest != archive.opened(GOOD).manifest, at  # a digit of a time, say: signatures are for that


def test_sizes_and_counts_are_bounded_before_anything_is_read(monkeypatch):
    huge = archive.pack({MANIFEST: b""})[:512].replace(
        b"00000000000\0" + b"00000000000\0", b"77777777777\0" + b"0" * 11 + b"\0"
    )
    checksum = sum(huge[:148]) + 8 * 32 + sum(huge[156:])
    huge = huge[:148] + b"%06o\0 " % checksum + huge[156:]
    with pytest.raises(BundleError, match="too large"):
        archive.unpack(huge + bytes(1024))
    with pytest.raises(BundleError, match="one too many"):
        archive.unpack(
            archive.pack({MANIFEST: b"{}"} | {f"lists/{n:02}-a/a{m}.txt": b"" for n in range(30) for m in range(40)})
        )
    monkeypatch.setattr(archive, "MAX_SIZE", 1000)
    with pytest.raises(BundleError, match="larger than"):
        archive.unpack(GOOD)


@given(st.binary(max_size=3000))
def test_any_octets_are_a_bundle_or_refused(octets):
    with pytest.raises(BundleError):
        archive.opened(octets)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=600))
def test_any_overwritten_part_is_read_or_refused(at, octets):
    changed = (GOOD[:at] + octets + GOOD[at + len(octets) :])[: len(GOOD)]
    try:
        found = archive.opened(changed)
    except BundleError:
        return
    assert archive.build(found.manifest, found.files) == changed  # one content, one spelling


def test_parts_are_one_table():
    assert [manifest.part_of(name) is not None for name in (MANIFEST, KEYS, NAME, "others.json")] == [
        True, True, True, False,
    ]  # fmt: skip
