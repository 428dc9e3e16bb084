"""Which format a list is in, by its content."""

import pytest

from blocker.lists.formats.detect import detect, refusal


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("a.example\nb.example\n", "domains"),
        ("# hosts\n127.0.0.1 localhost\n0.0.0.0 a.example\n", "hosts"),
        ("::1 localhost\n:: a.example\n", "hosts"),
        ("*.a.example\n*.b.example\nc.example\n", "wildcard"),
        ("! Title: x\na.example\n", "adblock"),
        ("[Adblock Plus]\na.example\n", "adblock"),
        ("a.example\nb.example\n||c.example^\n", "adblock"),
        ("@@||c.example^\n", "adblock"),
        ("address=/a.example/0.0.0.0\nlocal=/b.example/\n", "dnsmasq"),
        ("$TTL 60\n@ IN SOA a. b. 1 2 3 4 5\n", "rpz"),
        ("; zone\n@ SOA a. b. 1 2 3 4 5\n", "rpz"),
        ("a.example CNAME .\nb.example IN CNAME .\n", "rpz"),
        ("a.example 60 IN CNAME .\n", "rpz"),
        ("spiel-ö.example\n", "domains"),
        ("\ufeff0.0.0.0 a.example\n", "hosts"),
        ("what is this\n", "domains"),
        ("not a name\na.example\n", "domains"),
    ],
)
def test_detect(written, known):
    assert detect(written.encode()) == known


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"  \n", "empty"),
        (b"\n <HTML lang=en>", "web page"),
        (b"<!-- x --><!doctype html>", "web page"),
        (b'<?xml version="1.0"?><Error>', "web page"),
        (b'{"message": "not found"}', "JSON"),
        (b'[{"a": 1}]', "JSON"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"a.example\0", "binary"),
        ("a.example\n".encode("utf-16"), "UTF-16"),
        (b"[Adblock Plus 2.0]\n||a.example^", ""),
        (b"a.example\n<html>", ""),  # one bad line, not a page
    ],
)
def test_refusal(written, why):
    assert (why in refusal(written)) if why else refusal(written) == ""
