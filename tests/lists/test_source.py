"""One app's YAML: what is read, and every mistake told with its line."""

from datetime import date
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.errors import ListError
from blocker.lists import marked, must_resolve, source
from blocker.lists.gather import BUILT_IN, SHARED
from blocker.lists.pattern import Pattern
from blocker.policy import Action, Scope

LIST = """\
app: tiktok
title: TikTok
vendor: ByteDance
reason: TikTok is banned here.
legal:
  - {id: ca-1, jurisdiction: Canada, date: 2023-02-28, text: "banned", source: "example"}
owner: Office
reviewed: 2026-11-23
review_by: 2027-02-23
sources:
  seen: {what: "seen", commit: 24795191, date: 2026-11-23, licence: MIT}
switches:
  pangle: {default: false, about: "a person decides"}
entries:
  - {value: TikTok.com, kind: suffix, role: core, sources: [seen], confidence: 3, note: "why"}
  - {value: no, kind: exact, role: core, sources: [seen], confidence: 1, action: allow, switch: pangle}
  - {value: "**.tiktok.*", kind: pattern, role: core, sources: [seen], confidence: 2, answer: nodata}
  - {value: 192.0.2.0/24, kind: cidr, role: core, sources: [seen], confidence: 2, exclusive: true}
"""


def interpret(text, *, built_in=True):
    return source.interpret(marked.parse(text, "f"), built_in=built_in)


def test_a_whole_list():
    found = interpret(LIST)
    assert (found.app, found.title, found.vendor, found.owner) == ("tiktok", "TikTok", "ByteDance", "Office")
    assert (found.reviewed, found.review_by) == (date(2026, 11, 23), date(2027, 2, 23))
    assert found.legal[0].date == date(2023, 2, 28)
    assert not found.switches["pangle"].default
    suffix, exact, pattern, cidr = found.entries
    assert (suffix.line, suffix.value, suffix.target) == (15, "TikTok.com", names.from_text("tiktok.com"))
    assert (exact.target, exact.allow, exact.switch) == (names.from_text("no"), True, "pangle")
    assert (exact.scope, pattern.scope, pattern.answer) == (Scope.EXACT, Scope.PATTERN, Action.NODATA)
    assert isinstance(pattern.target, Pattern)
    assert (cidr.target, cidr.exclusive) == (ip_network("192.0.2.0/24"), True)


@pytest.mark.parametrize(
    ("top", "entry", "shadow"),
    [
        ("", "", False),
        ("", ", shadow: true", True),
        ("shadow: true\n", "", True),
        ("shadow: true\n", ", shadow: false", False),  # the entry's own word is nearer
    ],
)
def test_a_list_or_an_entry_may_be_in_shadow(top, entry, shadow):
    text = f"app: games\n{top}entries:\n  - {{value: game.example, kind: suffix{entry}}}\n"
    assert interpret(text, built_in=False).entries[0].shadow is shadow


@pytest.mark.parametrize(("said", "why"), [
    ("[tiktok, tt-dns]", ""),
    ("[abc]", "brand 'abc' must be 4 to 32"),  # stands in everybody's names
    ("[-abcd]", "must be 4 to 32"),
    ("[TikTok]", "must be 4 to 32"),
    ("tiktok", "must be a sequence"),
    (f"[{', '.join(f'word{at}' for at in range(33))}]", "at most 32 are allowed"),
])  # fmt: skip
def test_brand(said, why):
    text = f"{LIST}brand: {said}\n"
    if why:
        with pytest.raises(ListError, match=why):
            interpret(text)
    else:
        assert interpret(text).brand == ("tiktok", "tt-dns")


def test_an_operator_may_leave_most_out():
    found = interpret("app: games\nentries: [{value: game.example, kind: suffix}]", built_in=False)
    assert (found.title, found.reason) == ("games", source.REASON)
    assert found.entries[0].sources == ()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("app: tiktok", "app: Tik Tok", "f:1: app: 'Tik Tok' must be 1 to 32 small letters"),
        ("title: TikTok\n", "", "f:1: the field 'title' is missing"),
        ("vendor:", "vendr:", "f:3: there is no field 'vendr'; did you mean 'vendor'"),
        ("reason: TikTok", f"reason: {'x' * 120}", "f:4: 'reason' has 136 characters; at most 120"),
        ("2027-02-23", "soon", "f:9: review_by: 'soon' is not a date; write YYYY-MM-DD"),
        ("owner: Office", "quiet: maybe\nowner: Office", "f:7: 'quiet' must be true or false"),
        ("owner: Office", "category: bann\nowner: Office", "f:7: category: 'bann' is not one of ban, bypass, content,"),
        ("{what: \"seen\", ", "{", "f:11: the field 'what' is missing"),
        ("default: false", "default: no", "f:13: 'default' must be true or false"),
        ("TikTok.com", "tik tok.com", "f:15: 'tik tok.com' is not a domain name: it contains ' '"),
        ("TikTok.com", "192.0.2.1", "f:15: '192.0.2.1' is not a domain name: no top-level domain is a number"),
        ("TikTok.com", "'*.tiktok.com'", "f:15: '*.tiktok.com' is not a domain name: it contains '*'"),
        ("kind: suffix", "kind: sufix", "f:15: kind: 'sufix' is not one of suffix, below, exact, pattern, cidr; did"),
        ("confidence: 3", "confidence: 4", "f:15: 'confidence' must be a whole number from 1 to 3"),
        ("confidence: 3", "confidence: true", "f:15: 'confidence' must be a whole number"),
        ("role: core, sources: [seen], confidence: 3", "confidence: 3", "f:15: the field 'role' is missing"),
        ("sources: [seen], confidence: 3", "sources: [sen], confidence: 3", "f:15: source 'sen' is not declared above"),
        ("sources: [seen], confidence: 3", "sources: [], confidence: 3", "f:15: 'sources' is empty"),
        ("switch: pangle", "switch: pangel", "f:16: switch 'pangel' is not declared above; did you mean 'pangle'"),
        ("action: allow", "action: permit", "f:16: action: 'permit' is not one of block, allow"),
        ("action: allow", "action: allow, answer: nodata", "f:16: 'answer' is for blocked names only"),
        ("**.tiktok.*", "**.tik.*", "f:17: '**.tik.*' is not a pattern: no label spells out 4"),
        ("answer: nodata", "exclusive: true", "f:17: 'exclusive' is for kind: cidr only"),
        ("192.0.2.0/24", "192.0.2.1/24", "f:18: '192.0.2.1/24' is not an address range: 192.0.2.1/24 has host bits"),
        ("legal:\n  - {", "legal: []\nx:\n  - {", "f:5: 'legal' is empty; a ban names the decision"),
    ],
)  # fmt: skip
def test_refused(old, new, problem):
    assert old in LIST
    with pytest.raises(ListError) as refused:
        interpret(LIST.replace(old, new, 1))
    assert [said for said in refused.value.problems if said.startswith(problem)]


def test_an_empty_list_is_a_mistake():
    with pytest.raises(ListError, match="f:2: 'entries' is empty"):
        interpret("app: games\nentries: []", built_in=False)


def test_all_mistakes_at_once():
    with pytest.raises(ListError) as refused:
        interpret(LIST.replace("TikTok.com", "a b").replace("kind: exact", "kind: exat").replace("title:", "titel:"))
    assert [said.split(":")[1] for said in refused.value.problems] == ["2", "1", "15", "16"]


@pytest.mark.parametrize("path", sorted(BUILT_IN.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_lists_that_ship(path):
    if path.name not in (SHARED, must_resolve.FILE):
        assert source.read(path, built_in=True).app == path.stem


PIECES = st.sampled_from(LIST.splitlines(keepends=True)) | st.text(max_size=20)


@given(st.lists(PIECES).map("".join) | st.recursive(
    st.text(max_size=5), lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
).map(lambda text: f"app: a\nentries: {text}\nswitches: {text}\nlegal: {text}\nsources: {text}\n"))  # fmt: skip
def test_any_text_is_read_or_refused(text):
    try:
        assert interpret(text, built_in=False).entries
    except ListError as refused:
        assert refused.problems  # noqa: PT017 (refusing is allowed, silence is not)
