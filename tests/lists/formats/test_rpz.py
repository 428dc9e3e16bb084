"""Response policy zones as text: a table by hand, and what dnspython's zone reader makes of the same zones."""

import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.lists import row
from blocker.lists.formats import rpz
from blocker.lists.formats.draft import Draft, lines_of
from blocker.policy import Action, Trigger

HEAD = "$TTL 60\n@ IN SOA localhost. root.localhost. (1 2 ; serial\n 3 4 5)\n  NS localhost.\n"


def read(text):
    draft = Draft("copy")
    rpz.read(lines_of(text.encode()), draft)
    rows = (row.unpack(each) for each in draft.rows)
    return draft, [(names.to_text(key[::-1]), *said(each.flags)) for key, each in zip(draft.keys, rows, strict=True)]


def said(flags):
    answer = row.answer_of(flags)
    action = "passthru" if flags & row.ALLOW else str(answer)
    return ("exact" if flags & row.EXACT else "below" if flags & row.BELOW else "suffix"), action


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("bad.example CNAME .", ("bad.example", "exact", "nxdomain")),
        ("*.bad.example CNAME .", ("bad.example", "below", "nxdomain")),
        ("Bad.Example 300 IN CNAME *.", ("bad.example", "exact", "nodata")),
        ("bad.example IN 300 CNAME *.", ("bad.example", "exact", "nodata")),
        ("bad.example 1h CNAME rpz-drop. ; why", ("bad.example", "exact", "drop")),
        ("ok.example\tCNAME\trpz-passthru.", ("ok.example", "exact", "passthru")),
        ("bad.example CNAME rpz-tcp-only.", ("bad.example", "exact", "tcp-only")),
        ("*.bad.example 60 IN CNAME rpz-tcp-only.", ("bad.example", "below", "tcp-only")),
        ("ok.example CNAME ok.example.", ("ok.example", "exact", "passthru")),  # as it was written before
        ("*.ok.example CNAME rpz-passthru.", ("ok.example", "below", "passthru")),
        ("bad.example A 192.0.2.1", ("bad.example", "exact", "sinkhole")),
        ("bad.example AAAA 2001:db8::1", ("bad.example", "exact", "sinkhole")),
        ("bad.example CNAME walled.garden.example.", ("bad.example", "exact", "sinkhole")),
        ("bad.example CNAME *.garden.example.", ("bad.example", "exact", "sinkhole")),
        ('bad.example TXT "a ; b (c"', ("bad.example", "exact", "sinkhole")),
        ("bad.example TXT ( one\n two )", ("bad.example", "exact", "sinkhole")),
        ("localhost CNAME .", ("localhost", "exact", "nxdomain")),
    ],
)
def test_names(line, found):
    draft, kept = read(HEAD + line)
    assert (kept, draft.bad_lines, draft.unsupported_lines) == ([found], 0, 0)
    assert row.unpack(draft.rows[0]).number == 5


@pytest.mark.parametrize(
    ("owner", "network"),
    [
        ("32.1.2.0.192.rpz-ip", "192.0.2.1/32"),
        ("24.0.2.0.192.rpz-ip", "192.0.2.0/24"),
        ("128.1.zz.db8.2001.rpz-ip", "2001:db8::1/128"),
        ("48.zz.1.db8.2001.rpz-ip", "2001:db8:1::/48"),
        ("128.57.zz.rpz-ip", "::57/128"),
        ("64.0.0.0.0.4.3.2.2001.rpz-ip", "2001:2:3:4::/64"),
    ],
)
def test_addresses(owner, network):
    draft, kept = read(f"{HEAD}{owner} CNAME .\n")
    assert kept == []
    (entry,) = draft.ranges
    assert (entry.value, entry.line, entry.answer, entry.exclusive) == (network, 5, Action.NXDOMAIN, True)
    assert read(f"{HEAD}{owner} CNAME rpz-passthru.\n")[0].ranges[0].allow


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ns.bad.example.rpz-nsdname CNAME .", ("ns.bad.example", "exact", "nxdomain")),
        ("*.bad.example.rpz-nsdname CNAME rpz-drop.", ("bad.example", "below", "drop")),
        ("ns.bad.example.rpz-nsdname CNAME rpz-passthru.", ("ns.bad.example", "exact", "passthru")),
        ("ns.bad.example.rpz-nsdname A 192.0.2.1", ("ns.bad.example", "exact", "sinkhole")),
    ],
)
def test_name_servers(line, found):
    draft = read(HEAD + line)[0]
    ((key, each),) = zip(draft.keys, draft.rows, strict=True)
    assert key.startswith(row.MARK)
    assert (names.to_text(key[:0:-1]), *said(row.unpack(each).flags)) == found
    assert row.unpack(each).flags & row.SERVER
    (entry,) = read(f"{HEAD}24.0.2.0.192.rpz-nsip CNAME .\n")[0].ranges
    assert (entry.value, entry.trigger, entry.exclusive) == ("192.0.2.0/24", Trigger.NSIP, False)


@pytest.mark.parametrize(
    ("owner", "network", "action"),
    [
        ("32.1.2.0.192", "192.0.2.1/32", "."),
        ("16.0.0.2.192", "192.2.0.0/16", "rpz-tcp-only."),
        ("32.zz.db8.2001", "2001:db8::/32", "*."),
        ("0.0.0.0.0", "0.0.0.0/0", "rpz-passthru."),  # everybody is excepted from this feed: harmless
    ],
)
def test_clients(owner, network, action):
    draft, kept = read(f"{HEAD}{owner}.rpz-client-ip CNAME {action}\n")
    (entry,) = draft.ranges
    assert (kept, entry.value, entry.trigger, entry.exclusive) == ([], network, Trigger.CLIENT_IP, False)
    assert (entry.allow, entry.answer) == {
        ".": (False, Action.NXDOMAIN), "*.": (False, Action.NODATA), "rpz-passthru.": (True, None),
        "rpz-tcp-only.": (False, Action.TCP_ONLY),
    }[action]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "counted"),
    [
        ("7.0.0.0.2.rpz-nsip CNAME .", "refused"),
        ("*.rpz-nsdname CNAME .", "refused"),
        ("24.1.2.0.192.rpz-nsip CNAME .", "bad"),
        ("bad..example.rpz-nsdname CNAME .", "bad"),
        ("bad.example.rpz-new CNAME .", "unsupported"),
        ("bad.example DNAME other.example.", "unsupported"),
        ("$INCLUDE other", "unsupported"),
        ("$NONSENSE", "bad"),
        ("bad.example CNAME rpz-passthru", "bad"),  # the dot is missing
        ("bad.example CNAME rpz-nonsense.", "bad"),
        ("bad.example", "bad"),
        ("bad.example CNAME", "bad"),
        ("bad.example A nonsense", "bad"),
        ("bad.example A 2001:db8::1", "bad"),
        ('bad.example TXT "open', "bad"),
        ("bad.example TXT ( open", "bad"),
        ("bad$.example CNAME .", "bad"),
        ("33.1.2.0.192.rpz-ip CNAME .", "bad"),
        ("24.1.2.0.192.rpz-ip CNAME .", "bad"),  # bits beyond the prefix
        ("nonsense.rpz-ip CNAME .", "bad"),
        ("33.1.2.0.192.rpz-client-ip CNAME .", "bad"),
        ("15.0.0.2.192.rpz-client-ip CNAME .", "refused"),  # a whole organisation
        ("31.zz.db8.2001.rpz-client-ip CNAME rpz-drop.", "refused"),
        ("* CNAME .", "refused"),
        ("0.0.0.0.0.rpz-ip CNAME .", "refused"),
        ("7.0.0.0.2.rpz-ip CNAME .", "refused"),
    ],
)
def test_other_lines(line, counted):
    draft, kept = read(HEAD + line)
    assert (kept, draft.ranges) == ([], [])
    counts = {"bad": draft.bad_lines, "unsupported": draft.unsupported_lines, "refused": draft.refused_lines}
    assert counts == {**dict.fromkeys(counts, 0), counted: 1}


@pytest.mark.parametrize(
    "text",
    [
        "$ORIGIN rpz.example.\n@ SOA a. b. 1 2 3 4 5\nbad.com CNAME .\n",
        "rpz.example. SOA a. b. 1 2 3 4 5\nbad.com.rpz.example. CNAME .\n",
        "rpz.example. SOA a. b. 1 2 3 4 5\nbad.com CNAME .\n",
        "$ORIGIN .\nrpz.example SOA a. b. 1 2 3 4 5\nbad.com.rpz.example CNAME .\n",
        "$ORIGIN example.\nrpz SOA a. b. 1 2 3 4 5\n$ORIGIN com.rpz.example.\nbad CNAME .\n",
        "$ORIGIN rpz.example.\n@ SOA a. b. 1 2 3 4 5\n$ORIGIN com\nbad CNAME .\n",
        "$ORIGIN rpz.example.\nbad.com CNAME .\n",
        "@ SOA a. b. 1 2 3 4 5\nbad.com CNAME .\n",
        "bad.com CNAME .\n",
    ],
)
def test_however_the_origin_is_told(text):
    draft, kept = read(text)
    assert (kept, draft.bad_lines) == ([("bad.com", "exact", "nxdomain")], 0)


def test_an_owner_outside_the_zone():
    draft, kept = read("$ORIGIN rpz.example.\n@ SOA a. b. 1 2 3 4 5\nbad.com. CNAME .\n")
    assert (kept, draft.problems) == ([], ["copy:3: 'bad.com' lies outside the zone 'rpz.example'."])


def test_an_owner_left_out_is_the_one_before():
    _, kept = read(
        HEAD
        + "ok.example CNAME rpz-passthru.\nbad.example CNAME .\n\nlocal.example A 192.0.2.1\n A 192.0.2.2\n TXT x\n"
    )
    assert [name for name, *_ in kept] == [
        "ok.example",
        "bad.example",
        "local.example",
    ]  # one entry, however many records
    _, kept = read(HEAD + "bad.example 60 CNAME .\n CNAME rpz-drop.\n")
    assert kept == [("bad.example", "exact", "nxdomain"), ("bad.example", "exact", "drop")]


LABELS = st.lists(st.sampled_from(["a", "b", "www", "x-1", "_tcp", "123"]), min_size=1, max_size=3).map(".".join)
OWNERS = st.tuples(st.sampled_from(["", "*."]), LABELS, st.sampled_from([".example", ".com"])).map("".join)
ACTIONS = {
    "CNAME .": "nxdomain", "CNAME *.": "nodata", "CNAME rpz-drop.": "drop", "CNAME rpz-passthru.": "passthru",
    "CNAME rpz-tcp-only.": "tcp-only",
    "A 192.0.2.1": "sinkhole", "CNAME garden.example.": "sinkhole", 'TXT "a;b"': "sinkhole",
}  # fmt: skip
SPELLINGS = st.sampled_from(["{} {}", "{} 60 {}", "{}  IN\t{} ; why", "{} IN 60 {}", "{} ({})", "{} {} (\n)"])


RECORDS = st.tuples(st.sampled_from(sorted(ACTIONS)), SPELLINGS, st.sampled_from(["", "full", "origin"]))


@given(st.dictionaries(OWNERS, RECORDS))
def test_as_dnspython_reads_it(zone):
    text = "$TTL 60\n$ORIGIN rpz.test.\n@ SOA a. b. 1 2 3 4 5\n@ NS localhost.\n"
    for owner, (action, spelling, how) in zone.items():
        written = f"{owner}.rpz.test." if how == "full" else owner
        if how == "origin":
            written, _, above = owner.rpartition(".")
            text += f"$ORIGIN {above}.rpz.test.\n"
        text += spelling.format(written, action) + ("\n$ORIGIN rpz.test.\n" if how == "origin" else "\n")
    theirs = {
        (owner.to_text().removeprefix("*."), "below" if owner.is_wild() else "exact", meant(rdata))
        for owner, _, rdata in dns.zone.from_text(text, "rpz.test.", check_origin=False).iterate_rdatas()
        if rdata.rdtype not in (dns.rdatatype.SOA, dns.rdatatype.NS)
    }
    draft, kept = read(text)
    assert (set(kept), len(kept), draft.bad_lines) == (theirs, len(theirs), 0)


def meant(rdata):
    return ACTIONS.get(f"CNAME {rdata.target}" if rdata.rdtype == dns.rdatatype.CNAME else "", "sinkhole")
