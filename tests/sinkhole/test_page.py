"""The page: for everybody, in both languages, and with nothing in it that a stranger put there."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.config import Config
from blocker.sinkhole import page
from blocker.sinkhole.page import Blocked
from blocker.sinkhole.wording import wording

WHEN = 1795480000.0
VOID = {"meta", "link", "br", "hr", "img"}
BLOCKED = Blocked("www.tiktok.com", "TikTok", "It is banned.", "ca-1", "Decision 1", "tiktok-0123456789abcdef")
PLAIN = wording(Config().sinkhole, Config().answers)
CONFIG = Config.model_validate({
    "answers": {"contacts": ["mailto:help@office.example", "tel:+1-613-555-0100"], "contact": "Room 12"},
    "sinkhole": {
        "en": {"organisation": "Office", "body": "{app} & {app} <b>\n\nSecond."},
        "fr": {"organisation": "Bureau", "decisions": {"ca-1": "Décision 1"}},
    },
})  # fmt: skip
FULL = wording(CONFIG.sinkhole, CONFIG.answers)


class Seen(HTMLParser):
    """Everything that is in a page: tags with attributes and the language they are in, and what is read."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.read, self.open = [], [], []
        self.feed(text)
        assert self.open == [], "a tag is not closed"

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append((tag, found.get("lang") or (self.open[-1][1] if self.open else None)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if data.strip() and self.open[-1][0] != "style":
            self.read.append((self.open[-1][1], self.open[-1][0], data.strip()))

    def all(self, tag):
        return [found for name, found in self.tags if name == tag]

    def text(self, language=None):
        return "\n".join(text for spoken, _, text in self.read if language in (None, spoken))


@pytest.fixture(params=[(PLAIN, None), (PLAIN, BLOCKED), (FULL, None), (FULL, BLOCKED)], ids=str)
def seen(request):
    return Seen(page.html(*request.param, ("fr", "en"), WHEN))


def test_structure(seen):
    """WCAG 2.1 §1.3.1, §2.4.1, §2.4.2, §2.4.6, §3.1.1, §3.1.2."""
    assert seen.all("html") == [{"lang": "fr"}]
    assert [len(seen.all(tag)) for tag in ("title", "h1", "main", "header", "nav")] == [1, 1, 1, 1, 1]
    assert [found["lang"] for found in seen.all("section")] == ["fr", "en"]
    ids = [found["id"] for _, found in seen.tags if "id" in found]
    assert len(ids) == len(set(ids))
    assert {found["aria-labelledby"] for found in seen.all("section")} <= set(ids)
    jumps = [found["href"] for found in seen.all("a") if found["href"].startswith("#")]
    assert jumps[0] == "#main"  # past the head
    assert {jump[1:] for jump in jumps} <= set(ids)
    headings = [tag for tag, _ in seen.tags if re.fullmatch("h[1-6]", tag)]
    assert headings == ["h1", "h2", "h2", "h2", "h2"]
    assert all(len(seen.all("dt")) == len(seen.all(tag)) for tag in ("dd", "dt"))


def test_it_fetches_and_runs_nothing(seen):
    assert {tag for tag, _ in seen.tags} & {
        "script",
        "img",
        "iframe",
        "object",
        "form",
        "base",
        "svg",
        "video",
    } == set()
    for _, found in seen.tags:
        assert not any(name.startswith("on") or name in ("style", "src", "srcset") for name in found)
        assert found.get("href", "#").startswith(("#", "data:,", "mailto:", "tel:"))
    viewport = next(found["content"] for found in seen.all("meta") if found.get("name") == "viewport")
    assert "user-scalable" not in viewport  # WCAG 2.1 §1.4.4: people may enlarge it
    assert "maximum-scale" not in viewport


def test_what_the_shipped_lists_say_is_said_in_french_too():
    reason = "TikTok is banned on government devices and networks."
    decision = "European Commission: TikTok off corporate devices"
    ours = Blocked("www.tiktok.com", "TikTok", reason, "eu-1", decision, "t-1")
    seen = Seen(page.html(PLAIN, ours, ("fr", "en"), WHEN))
    french, english = seen.text("fr"), seen.text("en")
    assert "TikTok est interdit sur les appareils et les réseaux du gouvernement." in french
    assert "Commission européenne\N{NO-BREAK SPACE}: TikTok retiré des appareils professionnels" in french
    assert english.count(reason) == english.count(decision) == 1  # in the English half alone
    around = Blocked("dns.google", "Ways around the resolver", "Own words.", "ca-1", "Decision 1", "b-1")
    french = Seen(page.html(PLAIN, around, ("fr", "en"), WHEN)).text("fr")
    assert "permise sur ce réseau\N{NO-BREAK SPACE}: moyens de contourner le résolveur." in french


def test_both_languages_say_it_each_in_its_own():
    seen = Seen(page.html(FULL, BLOCKED, ("fr", "en"), WHEN))
    french, english = seen.text("fr"), seen.text("en")
    assert "L’accès à ce service est bloqué" in french
    assert "Décision 1" in french
    assert "Access to this service is blocked" in english
    assert "Decision 1" in english
    assert english.count("It is banned.") == 2  # the list's own words, in English inside the French part too
    for text in (french, english):
        assert "www.tiktok.com" in text
        assert "tiktok-0123456789abcdef" in text
        assert "help@office.example" in text
        assert "2026-11-24 00:26:40 UTC" in text
    assert seen.text().index("Bureau") < seen.text().index("Office")


def test_the_operators_words_are_words():
    seen = Seen(page.html(FULL, BLOCKED, ("en", "fr"), WHEN))
    assert "TikTok & TikTok <b>" in seen.text("en")
    assert "Second." in [text for _, tag, text in seen.read if tag == "p"]


def test_who_blocks_is_said_once_where_it_is_the_same():
    same = Config.model_validate({"answers": {"organisation": "Office Bureau"}})
    assert page.html(wording(same.sinkhole, same.answers), None, ("en", "fr"), WHEN).count("Office Bureau") == 1


def test_what_is_not_known_is_not_said():
    seen = Seen(page.html(PLAIN, None, ("en", "fr"), WHEN))
    assert len(seen.all("dt")) == 2  # the time, twice
    assert "wait a minute" in seen.text("en")
    sparse = Seen(page.html(PLAIN, Blocked("a.example", "App"), ("en", "fr"), WHEN))
    assert len(sparse.all("dt")) == 6


def test_plain_text():
    said = page.text(FULL, BLOCKED, ("fr", "en"), WHEN)
    assert said.index("L’accès") < said.index("Access")
    assert "Décision\N{NO-BREAK SPACE}: ca-1 (Décision 1)" in said
    assert "Decision: ca-1 (Decision 1)" in said
    assert "help@office.example" in said
    assert "<" not in page.text(PLAIN, BLOCKED, ("fr", "en"), WHEN)


@given(st.text(min_size=1), st.text(), st.text(), st.text())
def test_whatever_the_lists_say_is_text(app, reason, reference, decision):
    blocked = Blocked("a.example", app, reason, reference, decision, "x")
    tags = [tag for tag, _ in Seen(page.html(PLAIN, blocked, ("en", "fr"), WHEN)).tags]
    assert set(tags) <= {
        "html", "head", "meta", "title", "link", "style", "body", "a", "header", "div", "p", "span", "nav", "main",
        "h1", "h2", "section", "dl", "dt", "dd", "small",
    }  # fmt: skip
