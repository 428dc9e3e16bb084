"""`blocker explain` on a small list of its own: verdict, line, ground, and the exit status scripts rely on."""

import json

import pytest
from click.testing import CliRunner

from blocker import config
from blocker.cli import blocker
from blocker.lists import compile as compiling
from blocker.serve.generation import compiled

LIST = """\
app: tiktok
title: TikTok
vendor: ByteDance
reason: TikTok is banned here.
legal:
  - {id: ca-tbs-2023-02-27, jurisdiction: Canada, date: 2023-02-28, text: "banned", source: "example"}
owner: Network policy office
reviewed: 2026-11-23
review_by: 2027-02-23
sources:
  seen: {what: "seen", commit: none, date: 2026-11-23, licence: "own work"}
switches:
  pangle: {default: false, about: "a person decides"}
entries:
  - {value: tiktok.com, kind: suffix, role: core, sources: [seen], confidence: 3}
  - {value: help.tiktok.com, kind: exact, role: web, sources: [seen], confidence: 3, action: allow}
  - {value: pangle.example, kind: suffix, role: ads, sources: [seen], confidence: 3, switch: pangle}
  - {value: 203.0.113.0/24, kind: cidr, role: core, sources: [seen], confidence: 3, exclusive: true}
  - {value: new.example, kind: suffix, role: core, sources: [seen], confidence: 3, shadow: true}
  - {value: new.tiktok.com, kind: suffix, role: core, sources: [seen], confidence: 3, shadow: true}
"""

CONFIG = """\
lists: {built_in: false, directories: [lists]}
process: {state_dir: state}
groups:
  - {name: phones, clients: [192.0.2.0/28], action: nxdomain}
  - {name: press, clients: [192.0.2.16/28], block: [], monitor: [tiktok]}
  - {name: guests, clients: [192.0.2.32/28], block: []}
"""


@pytest.fixture
def explain(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/tiktok.yaml").write_text(LIST)
    (tmp_path / "b.yaml").write_text(CONFIG)

    def run(*arguments):
        return CliRunner().invoke(blocker, ["explain", "--config", str(tmp_path / "b.yaml"), *arguments])

    return run


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["tiktok.com"], 1, ["tiktok.com: blocked", "tiktok (TikTok)", "tiktok.com (suffix)", "tiktok.yaml:15",
                             "TikTok is banned here.", "ca-tbs-2023-02-27", "group   default",
                             "sinkhole: the client hears 0.0.0.0 and ::"]),
        (["A.b.TikTok.com."], 1, ["A.b.TikTok.com.: blocked"]),
        (["tiktok.com", "--type", "aaaa"], 1, ["the client hears ::"]),
        (["tiktok.com", "--type", "HTTPS"], 1, ["the client hears NODATA"]),
        (["tiktok.com", "--client", "192.0.2.1"], 1, ["group   phones", "nxdomain: the client hears NXDOMAIN"]),
        (["tiktok.com", "--client", "::ffff:192.0.2.1"], 1, ["group   phones"]),
        (["tiktok.com", "--client", "192.0.2.17"], 0, ["monitored", "tiktok.yaml:15", "group press only monitors"]),
        (["tiktok.com", "--client", "192.0.2.33"], 0, ["allowed", "also    tiktok: tiktok.com (suffix)",
                                                       "group guests does not block this app"]),
        (["help.tiktok.com"], 0, ["allowed", "help.tiktok.com (exact, exception)", "tiktok.yaml:16",
                                  "would block it, if"]),
        (["nottiktok.com"], 0, ["allowed", "no list entry applies to it", "may be blocked"]),
        (["pangle.example"], 0, ["allowed", "tiktok.yaml:17", "tiktok.pangle"]),  # listed, but switched off
        (["203.0.113.9"], 1, ["blocked", "203.0.113.0/24 (cidr)", "tiktok.yaml:18", "inside answers"]),
        (["a.new.example"], 0, ["a.new.example: shadow", "tiktok.yaml:19", "in shadow: answered truthfully"]),
        (["new.tiktok.com"], 1, ["tiktok.yaml:15", "tiktok.yaml:20: in shadow"]),
        (["10.0.0.1"], 0, ["allowed", "no public name may point at it"]),
        (["2001:db8::1"], 0, ["allowed"]),
        (["a b"], 2, ["blocker: error: 'a b' is not a domain name", "not a URL"]),
        (["https://tiktok.com/"], 2, ["not a URL"]),
        (["tiktok.com", "--lists", "/nowhere"], 2, ["blocker: error: ", "/nowhere"]),
    ],
)  # fmt: skip
def test_explain(explain, arguments, status, said):
    result = explain(*arguments)
    assert result.exit_code == status, result.output
    assert [part for part in said if part not in result.output] == [], result.output


ZONE = """\
$ORIGIN theirs.example.
@ 60 SOA a. b. 1 2 3 4 5
slow.net CNAME rpz-tcp-only.
24.0.100.51.198.rpz-client-ip CNAME .
32.7.100.51.198.rpz-client-ip CNAME rpz-passthru.
*.bad.net.rpz-nsdname CNAME .
24.0.113.0.203.rpz-nsip CNAME rpz-drop.
"""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["a.example", "--client", "198.51.100.1"], 1, [
            "a.example: blocked", "nxdomain: the client hears NXDOMAIN", "198.51.100.0/24 (client-ip), ", ":4",
        ]),
        (["a.example", "--client", "198.51.100.7"], 0, [
            "allowed", "198.51.100.7/32 (client-ip), ", ":5: an exception", "198.51.100.0/24 (client-ip), ",
        ]),
        (["a.example"], 0, ["allowed", "no list entry applies"]),
        (["ns.bad.net"], 0, ["allowed", "as a name server it is listed: theirs answers nxdomain for", ":6",
                             "name servers of its zone and of those above are asked for"]),
        (["203.0.113.9"], 1, ["as a name server it is listed: theirs answers drop for all zones that it serves"]),
        (["slow.net"], 0, ["slow.net: limited", "tcp-only: the client hears an empty answer cut short (TC) over UDP"]),
    ],
)  # fmt: skip
def test_a_policy_zone(explain, tmp_path, arguments, status, said):
    (tmp_path / "zone").write_text(ZONE)
    feed = f"feeds: [{{name: theirs, app: theirs, url: 'file://{tmp_path}/zone', format: rpz}}]\n"
    (tmp_path / "b.yaml").write_text(CONFIG + feed)
    assert CliRunner().invoke(blocker, ["lists", "update", "--config", str(tmp_path / "b.yaml")]).exit_code == 0
    result = explain(*arguments)
    assert result.exit_code == status, result.output
    assert [part for part in said if part not in result.output] == [], result.output


def test_json(explain):
    said = json.loads(explain("www.tiktok.com", "--json").output)
    assert said["verdict"] == "blocked"
    assert said["rule"]["source"].endswith("tiktok.yaml:15")
    assert said["rule"]["reference"] == "ca-tbs-2023-02-27"


def test_a_configuration_that_would_not_be_served_explains_nothing(explain, tmp_path):
    (tmp_path / "b.yaml").write_text(CONFIG + "unlisted: {actions: {tictoc: drop}}\n")
    result = explain("tiktok.com")
    assert result.exit_code == 2
    assert "b.yaml:7: unlisted.actions.tictoc: there is no app 'tictoc'" in result.stderr


def test_the_compiled_index_is_used_if_there_is_one(explain, tmp_path, monkeypatch):
    found = config.load(tmp_path / "b.yaml")
    (tmp_path / "state").mkdir()
    path, _ = compiled(found, tmp_path / "state")
    monkeypatch.setattr(compiling, "build", None)  # must not be needed
    assert explain("tiktok.com").exit_code == 1
    monkeypatch.undo()
    path.write_bytes(b"damaged")
    assert explain("tiktok.com").exit_code == 1
    assert path.read_bytes() == b"damaged"  # the server's to mend


def test_nothing_is_left_behind(explain, tmp_path):
    explain("tiktok.com")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.yaml", "lists"]
