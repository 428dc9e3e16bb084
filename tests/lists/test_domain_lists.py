"""The lists that ship, compiled: what they must block, and what they must leave alone."""

import pytest

from blocker import names
from blocker.config import Lists
from blocker.lists import compile as compiling
from blocker.lists.gather import gather
from blocker.lists.index import Index
from blocker.policy import Action


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = tmp_path_factory.mktemp("shipped") / "index"
    compiling.build(gather(Lists()), path)
    return Index.open(path)


@pytest.mark.parametrize(
    ("text", "app", "answer"),
    [
        ("localhost", "special", Action.LOOPBACK),
        ("a.localhost", "special", Action.LOOPBACK),
        ("printer.local", "special", Action.NXDOMAIN),
        ("1.0.168.192.in-addr.arpa", "special", Action.NXDOMAIN),
        ("1.1.31.172.in-addr.arpa", "special", Action.NXDOMAIN),
        ("1.1.127.100.in-addr.arpa", "special", Action.NXDOMAIN),
        (f"1{'.0' * 31}.ip6.arpa", "special", Action.NXDOMAIN),
        ("8.b.d.0.1.0.0.2.ip6.arpa", "special", Action.NXDOMAIN),
        ("use-application-dns.net", "canary", Action.NXDOMAIN),
        ("mask.icloud.com", "canary", Action.NXDOMAIN),
        ("_dns.resolver.arpa", "canary", Action.NODATA),
        ("www.tiktok.com", "tiktok", None),
        ("dns.google", "bypass", None),
    ],
)
def test_listed(index, text, app, answer):
    rule = index.find(names.from_text(text))[0][0]
    assert (rule.app, rule.answer) == (app, answer)
    assert rule.quiet is (app in ("special", "canary"))


@pytest.mark.parametrize(
    "text",
    [
        "example", "example.com", "ipv4only.arpa", "arpa", "in-addr.arpa", "8.8.8.8.in-addr.arpa",
        "32.172.in-addr.arpa", "15.172.in-addr.arpa", "63.100.in-addr.arpa", "128.100.in-addr.arpa", "icloud.com",
        "www.qq.com", "google.com", "akamaized.net", "home", "lan",
    ],
)  # fmt: skip
def test_left_alone(index, text):
    assert index.find(names.from_text(text)) == ()


def test_no_shipped_rule_lies_at_a_shared_parent():
    sources = gather(Lists())
    guards = {upper for shared in sources.shared for upper in names.parents(shared)}
    assert [
        entry.value
        for each in sources.lists
        for entry in each.entries
        if not entry.allow and sources.on(each.app, entry.switch) and entry.target in guards
    ] == []


def test_only_the_banned_are_a_ban(index):
    """So that a feed of VPNs may say `category: bypass`, but none `category: tiktok`."""
    found = {app: about.category for app, about in index.apps.items()}
    assert found == {
        "tiktok": "ban", "wechat": "ban", "kaspersky": "ban", "bypass": "bypass", "canary": "protocol",
        "special": "protocol",
    }  # fmt: skip
