"""Sittings of clients become findings; popular names do not, and memory stays bounded."""

import pytest

from blocker import names
from blocker.candidates.brand import Brands
from blocker.candidates.finding import Kind
from blocker.candidates.memory import Memory
from blocker.candidates.owned import Owners
from blocker.candidates.seen import How, Seen

WINDOW = 10.0
LEADS = {"leads.example": (0.98, [Kind.ADDRESS, Kind.ALIAS])}


def memory(**more):
    how = {"window": WINDOW, "clients": 1000, "most": 1000} | more
    return Memory(Owners().of, Brands({"tiktok": ("tiktok",)}), frozenset({"tiktok"}), **how)


def ask(found, when, client, *asked):
    """Let a client ask names within a second; `!name` is blocked, `name>via` an alias, `name@via` an address."""
    for at, text in enumerate(asked):
        how, app, via = How.NOTHING, "", ""
        if text.startswith("!"):
            how, app, text = How.LISTED, "tiktok", text[1:]
        for mark, kind in ((">", How.ALIAS), ("@", How.ADDRESS)):
            if mark in text:
                text, via = text.split(mark)
                how, app = kind, "tiktok"
        found.see(Seen(when + at / 10, bytes((10, 0, 0, client)), names.from_text(text), how, app, via))


def told(found, least=0.5):
    found.settle(1e12)
    return {each.name: (each.score, sorted(each.kinds)) for each in found.findings(least)}


def test_company():
    """The relative is found; what all ask, what comes first, and what the ever-knocking client asks is not."""
    found = memory()
    for turn in range(10):
        for client in range(5):
            when = turn * 1000.0 + client
            ask(found, when, client, "google.com", "!tiktok.com", "quiet.example")
            ask(found, when + 500, client, "google.com", "wikipedia.org")
            ask(found, when + 700, client, "wikipedia.org", "news.example")
        ask(found, turn * 1000.0, 99, "!tiktok.com", "bystander.example")
        ask(found, turn * 1000.0 + 500, 99, "!tiktok.com", "bystander.example")
    assert told(found) == {"quiet.example": (0.536, [Kind.COMPANY])}


def test_a_page_that_embeds_the_app_is_no_relative():
    found = memory()
    for turn in range(10):
        for client in range(5):
            ask(found, turn * 1000.0, client, "daily.example", "!tiktok.com")
            ask(found, turn * 1000.0 + 500, client, "google.com")
    assert told(found) == {}
    assert told(found, 0.1) == {}  # nothing new was learnt: it is told once


@pytest.mark.parametrize(("asked", "findings"), [
    (("tiktok-9.example",), {"tiktok-9.example": (0.6, [Kind.BRAND])}),
    (("a.leads.example>x.tiktokcdn.com", "b.leads.example@192.0.2.1"), LEADS),
    (("a.leads.example>x.tiktokcdn.com", "b.leads.example"), {}),
    (
        ("a.big.example>x.tiktokcdn.com", "b.big.example", "c.big.example"),
        {"a.big.example": (0.9, [Kind.ALIAS])},  # the owner has much else
    ),
    (("tiktokenizer.example",), {}),
    (("com", "."), {}),
])  # fmt: skip
def test_words_and_leads(asked, findings):
    found = memory()
    ask(found, 0.0, 1, *asked)
    assert told(found) == findings


def test_what_others_have_decided_is_passed_over():
    found = memory()
    found.see(Seen(0.0, b"1234", names.from_text("tiktok-9.example"), How.KNOWN))
    found.see(Seen(0.0, b"1234", names.from_text("tiktok-9.example"), How.LISTED, "elsewhere"))
    assert told(found) == {}


def test_clocks_that_go_back_end_a_sitting():
    found = memory()
    ask(found, 1000.0, 1, "!tiktok.com")
    ask(found, 10.0, 1, "tiktok-9.example")
    assert told(found) == {"tiktok-9.example": (0.6, [Kind.BRAND])}


def test_memory_is_bounded():
    found = memory(clients=10, most=20)
    for at in range(500):
        ask(found, float(at), at % 250, f"name{at}.example", "!tiktok.com")
    assert len(found) == 20
    assert len(found._clients) == 10


def flood(found, client, pattern, when=0.0):
    for at in range(5000):
        ask(found, when + at / 1000, client, pattern.format(at))


def test_one_client_does_not_drive_out_what_others_ask_for():
    found = memory(most=1000)
    for turn in range(10):
        for client in range(5):
            ask(found, turn * 1000.0 + client, client, "!tiktok.com", "quiet.example")
            ask(found, turn * 1000.0 + 500, client, "google.com")
            ask(found, turn * 1000.0 + 700, client, "wikipedia.org")
        flood(found, 99, "name{}.example", turn * 1000.0 + 100)
    assert "quiet.example" in told(found)


def test_one_client_does_not_fill_the_report():
    found = memory(most=10_000)
    flood(found, 99, "tiktok-{}.example")
    assert len(told(found)) == 100
    ask(found, 100.0, 1, "tiktok-200.example")  # what others ask for too is told all the same
    assert list(told(found)) == ["tiktok-200.example"]


def test_a_flood_hides_no_word():
    found = memory()
    flood(found, 99, "name{}.example")
    ask(found, 5.0, 99, "tiktok-9.example", "a.leads.example>x.tiktokcdn.com")
    assert list(told(found)) == ["tiktok-9.example", "leads.example"]


def test_what_was_counted_fades():
    found = memory()
    for turn in range(10):
        for client in range(5):
            ask(found, turn * 1000.0, client, "!tiktok.com", "quiet.example")
            ask(found, turn * 1000.0 + 500, client, "wikipedia.org")
    found.settle(1e12)
    for _ in range(8):
        found.fade()
    assert len(found._clients) == 0
    assert told(found) == {}
