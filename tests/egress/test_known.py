"""What learning is told of the lists."""

from ipaddress import ip_address

import pytest

from blocker import config as configuration
from blocker import names
from blocker.config import Config
from blocker.egress.known import Known
from blocker.lists import compile as lists
from blocker.lists.index import Index

LIST = """\
app: tiktok
title: TikTok
vendor: Somebody
reason: It is banned.
category: ban
legal: [{id: d, jurisdiction: Here, date: 2026-01-02, text: Decision, source: gazette}]
entries:
  - {value: tiktok.example, kind: suffix}
  - {value: only.example, kind: exact}
  - {value: ok.tiktok.example, kind: suffix, action: allow, note: an exception}
  - {value: "*bytedance*.example", kind: pattern}
"""
BYPASS = (
    LIST.replace("app: tiktok", "app: bypass").replace("tiktok.example", "doh.example").split("  - {value: only")[0]
)


def name(text):
    return names.from_text(text)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    (folder / "tiktok.yaml").write_text(LIST)
    (folder / "bypass.yaml").write_text(BYPASS)
    config = Config.model_validate({
        "listen": ["192.0.2.1:53"],
        "lists": {"built_in": False, "directories": [str(folder)]},
        "groups": [{"name": "staff", "clients": ["10.0.0.0/8"]}],
        "upstream": {"servers": ["192.0.2.2"], "forward": [{"zones": ["intern"], "servers": ["192.0.2.3"]}]},
        "egress": {"exempt": ["192.0.2.4"], "groups": [{"name": "staff", "static": ["198.51.100.0/24"]}]},
    })  # fmt: skip
    target = folder / "lists.index"
    lists.build(lists.gather(config.lists), target)
    servers = configuration.servers(config)
    needed, shared = [name("must.example")], [name("cdn.example")]
    return Known(config, Index.open(target), servers, needed, shared)


@pytest.mark.parametrize(
    ("asked", "app"),
    [
        ("tiktok.example", "tiktok"),
        ("a.b.tiktok.example", "tiktok"),
        ("ok.tiktok.example", None),
        ("only.example", "tiktok"),
        ("www.only.example", None),
        ("mybytedance1.example", "tiktok"),
        ("doh.example", None),  # other resolvers have rules of their own
        ("other.example", None),
    ],
)
def test_whose_a_name_is(known, asked, app):
    assert known.banned(name(asked)) == app
    assert known.wants(name(asked)) is (app is not None)


def test_what_is_asked_for(known):
    found = [names.to_text(each) for each in known.names()]
    assert found[0] == "must.example"
    assert sorted(found[1:]) == ["only.example", "tiktok.example", "www.tiktok.example"]
    assert known.wants(name("must.example"))
    assert known.needed(name("must.example"))
    assert known.apps == {"tiktok"}


@pytest.mark.parametrize(
    ("chain", "shared"),
    [
        (["tiktok.example"], None),
        (["tiktok.example", "x.cdn.example"], "cdn.example"),
        (["tiktok.example", "cdn.example"], "cdn.example"),
        (["tiktok.example", "notcdn.example"], None),
    ],
)
def test_what_strangers_share(known, chain, shared):
    assert known.shared_at(map(name, chain)) == (name(shared) if shared else None)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("192.0.2.1", True),  # where we listen
        ("192.0.2.2", True),  # whom we ask
        ("192.0.2.3", True),
        ("192.0.2.4", True),  # exempt
        ("198.51.100.77", True),  # static
        ("198.51.101.1", False),
        ("2001:db8::1", False),
    ],
)
def test_what_is_ours(known, address, own):
    assert known.is_own(ip_address(address).packed) is own
