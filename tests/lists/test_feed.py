"""Somebody else's lists: what comes into force, what is counted instead, and what is no list at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.errors import ListError
from blocker.lists import feed, row
from blocker.lists.feed import FeedFile
from blocker.lists.must_resolve import MustResolve, Needed

MUST = MustResolve([Needed(names.from_text("login.gov.example"), "sign-in", "m.yaml:1")])


@pytest.fixture
def read(tmp_path):
    def reading(text, known="auto"):
        path = tmp_path / "copy"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return feed.read(FeedFile("ads", "games", path, known), MUST)

    return reading


def told(found):
    rows = (row.unpack(each) for each in found.rows)
    return [(each.number, names.to_text(key[::-1])) for key, each in zip(found.keys, rows, strict=True)]


def test_bad_lines_are_skipped_and_counted(read, tmp_path):
    found, rejected = read("a.example\nnot a name\n\n# comment\nB.Example.\nspiel-ö.example\n")
    assert told(found) == [(1, "a.example"), (5, "b.example"), (6, "xn--spiel--1xa.example")]
    assert (found.app, found.feed, found.file) == ("games", "ads", str(tmp_path / "copy"))
    assert all(each & row.FEED for each in found.rows)
    assert (rejected.bad, rejected.unsupported, rejected.refused, rejected.total) == (1, 0, 0, 1)
    assert rejected.samples[0].startswith(f"{tmp_path}/copy:2: 'not a name' is not a domain name")


def test_what_must_not_be_blocked_is_left_out(read, tmp_path):
    found, rejected = read("a.example\ngov.example\nco.uk\nlogin.gov.example\n@@co.uk\nwww.login.gov.example\ncom\n")
    assert told(found) == [(1, "a.example"), (5, "co.uk"), (6, "www.login.gov.example")]
    assert (rejected.bad, rejected.refused) == (0, 4)
    assert rejected.samples[0] == (
        f"{tmp_path}/copy:2: 'gov.example' would block login.gov.example, which must resolve: sign-in (m.yaml:1)."
        " The line is left out."
    )


def test_names_alone_harm_nobody_below(read):
    found, rejected = read("0.0.0.0 gov.example\n0.0.0.0 login.gov.example\n", "hosts")
    assert (told(found), rejected.refused) == ([(1, "gov.example")], 1)


def test_samples_are_few_whatever_is_wrong(read):
    _, rejected = read("a.example\n" + "b b\n" * 500 + "co.uk\n" * 500)
    assert (rejected.bad, rejected.refused, len(rejected.samples)) == (500, 500, 20)
    assert sum("co.uk" in said for said in rejected.samples) == 10


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", ":1: the file is empty"),
        ("<!DOCTYPE html>\n<html>", ":1: this is a web page, not a list"),
        (b"\x1f\x8b\x08rest", ":1: this is not a list, it is compressed with gzip"),
        (b"a.example\n\0\0", ":1: this is binary data, not a list"),
        ("# only\n# comments\n", ":1: not one line is a rule, read as domains: it holds only comments"),
        ("some words\nand more words\n", ":1: not one line is a rule, read as domains: "),
    ],
)
def test_what_is_no_list(read, tmp_path, written, why):
    with pytest.raises(ListError) as refused:
        read(written)
    assert refused.value.problems[0].startswith(f"{tmp_path}/copy{why}")


def test_too_large(read, monkeypatch):
    monkeypatch.setattr(feed, "MAX_SIZE", 1 << 20)
    with pytest.raises(ListError, match="larger than 1 MiB"):
        read(b"a.example\n" * 200_000)


@pytest.mark.parametrize(("line", "kept", "refused"), [
    ("12.0.0.32.198.rpz-ip CNAME .", ["198.32.0.0/12"], 0),
    ("11.0.0.0.198.rpz-ip CNAME .", [], 1),
    ("8.0.0.0.8.rpz-ip CNAME .", [], 1),
    ("8.0.0.0.8.rpz-ip CNAME rpz-passthru.", ["8.0.0.0/8"], 0),
    ("19.zz.2001.rpz-ip CNAME .", [], 1),
    ("16.0.0.168.192.rpz-ip CNAME .", [], 1),  # everybody's printers
    ("32.1.1.168.192.rpz-ip CNAME .", [], 1),
    ("64.zz.1.fd00.rpz-ip CNAME .", [], 1),
    ("24.0.2.0.192.rpz-ip CNAME .", ["192.0.2.0/24"], 0),
    ("12.0.0.32.198.rpz-nsip CNAME .", ["198.32.0.0/12"], 0),
    ("11.0.0.0.198.rpz-nsip CNAME .", [], 1),
    ("16.0.0.168.192.rpz-client-ip CNAME .", ["192.168.0.0/16"], 0),  # clients have such addresses
    ("*.net.rpz-nsdname CNAME .", [], 1),  # half of all servers
    ("*.gov.example.rpz-nsdname CNAME .", [], 1),
])  # fmt: skip
def test_a_stranger_blocks_no_tenth_of_the_internet_and_no_network_of_ours(tmp_path, line, kept, refused):
    written = f"a.example CNAME .\n{line}\n".encode()
    found, rejected = feed.parse(written, FeedFile("ads", "games", tmp_path / "copy", "rpz"), MUST)
    assert ([entry.value for entry in found.ranges], rejected.refused) == (kept, refused)


def test_too_many_ranges_for_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("blocker.lists.formats.draft.MAX_RANGES", 4)
    lines = [f"32.{at}.2.0.192.{kind} CNAME .\n" for at in range(2) for kind in ("rpz-ip", "rpz-client-ip")]
    written = "".join([*lines, "32.9.2.0.192.rpz-nsip CNAME .\n"])
    with pytest.raises(ListError, match="copy:5: more than 4 address ranges"):
        feed.parse(written.encode(), FeedFile("ads", "games", tmp_path / "copy", "rpz"), MUST)


ESCAPE = "\x1b[2j\x07\u202e"


@pytest.mark.parametrize(("known", "line"), [
    ("rpz", f"x.rpz-{ESCAPE} CNAME ."), ("rpz", f"{ESCAPE} CNAME ."), ("adblock", f"||a.example^${ESCAPE}"),
    ("adblock", f"a.example##{ESCAPE}"), ("hosts", f"8.8.8.8 {ESCAPE}"), ("dnsmasq", f"server=/{ESCAPE}/8.8.8.8"),
    ("domains", ESCAPE), ("wildcard", f"*.{ESCAPE}"),
])  # fmt: skip
def test_what_is_told_of_a_line_gives_no_orders_to_a_terminal(tmp_path, known, line):
    good = {"rpz": "b CNAME .", "hosts": "0.0.0.0 b.example", "dnsmasq": "local=/b.example/", "adblock": "||b.example^"}
    written = f"{line}\n{good.get(known, 'b.example')}\n".encode()
    _, rejected = feed.parse(written, FeedFile("ads", "games", tmp_path / "copy", known), MUST)
    assert rejected.total == 1
    assert "\\x1b[2j\\x07" in rejected.samples[0]
    assert rejected.samples[0].isprintable()


def test_a_stray_nul_spoils_its_own_line_only(tmp_path):
    written = b"a.example\n" * 50 + b"b\0.example\n"
    found, rejected = feed.parse(written, FeedFile("ads", "games", tmp_path / "copy"), MUST)
    assert (len(found.keys), rejected.bad) == (50, 1)


@pytest.mark.parametrize(("written", "why"), [
    ("a.example\n" * 5, "5 lines, and 4 are the most"),
    ("0.0.0.0 a.example b.example c.example d.example e.example\n", "more than 4 names"),
])  # fmt: skip
def test_too_many_names_for_the_memory(tmp_path, monkeypatch, written, why):
    monkeypatch.setattr("blocker.lists.feed.MAX_NAMES", 4)
    monkeypatch.setattr("blocker.lists.formats.draft.MAX_NAMES", 4)
    with pytest.raises(ListError, match=why):
        feed.parse(written.encode(), FeedFile("ads", "games", tmp_path / "copy"), MUST)


def test_missing(tmp_path):
    with pytest.raises(ListError, match="cannot be read"):
        feed.read(FeedFile("ads", "games", tmp_path / "none", "auto"), MUST)


PIECES = st.sampled_from((
    "\n", " ", "\t", "a.example", "||", "^", "@@", "$important", "$badfilter", "|", "*.", "*", "!", "#", "0.0.0.0",
    "::1", "address=/", "/", "server=/", "local=/", "$ORIGIN ", "$TTL", "@", " SOA ", " CNAME ", ".",
    "rpz-passthru.",
    "rpz-ip", "32.1.2.0.192.rpz-ip", "zz", "(", ")", ";", '"', "\\", "com", "co.uk", "ö", "login.gov.example",
))  # fmt: skip


@given(
    st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | st.lists(PIECES).map("".join).map(str.encode),
    st.sampled_from(feed.FORMATS),
)
def test_any_bytes_are_read_or_refused(tmp_path_factory, written, known):
    file = FeedFile("ads", "games", tmp_path_factory.getbasetemp() / "copy", known)
    try:
        found, rejected = feed.parse(written, file, MUST)
    except ListError as refused:
        assert refused.problems  # noqa: PT017 (refusing is allowed, silence is not)
    else:
        assert found.keys or found.ranges or rejected.refused
        assert len(found.keys) == len(found.rows)
