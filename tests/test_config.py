"""The configuration: what is accepted, what is refused and in which words, and what is made from it."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blocker import config
from blocker.config import Config, Endpoint, reference
from blocker.errors import ConfigError
from blocker.policy import Action

ROOT = Path(__file__).parent.parent
HERE = Path("/etc/blocker")
PROBLEM = re.compile(r"\Ab\.yaml:[0-9]+: \S.*\Z")
JARGON = re.compile(r"Input should|validation error|Value error|Extra inputs|type=|pydantic")


def problems(text, overrides=None):
    """Return the problems of the configuration written as `text`, the file's name left out."""
    with pytest.raises(ConfigError) as caught:
        config.parse(text, "b.yaml", HERE, overrides or {})
    return [problem.removeprefix("b.yaml:") for problem in caught.value.problems]


def parsed(text, overrides=None):
    return config.parse(text, "b.yaml", HERE, overrides or {})


def end(text):
    return config.endpoint(text)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n", "{}"])
def test_every_field_has_a_default(text):
    assert parsed(text) == Config() == config.load(None)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("listen: ['[2001:db8::1]:53', '192.0.2.1:5353']", "listen", (end("[2001:db8::1]:53"), end("192.0.2.1:5353"))),
        ("listen: [127.0.0.1:0]", "listen", (end("127.0.0.1:0"),)),  # any free port
        ("upstream: {servers: [192.0.2.1, '2001:db8::1', '[2001:db8::2]:54']}", "upstream.servers",
         (end("192.0.2.1:53"), end("[2001:db8::1]:53"), end("[2001:db8::2]:54"))),
        ("upstream: {timeout: 2}", "upstream.timeout", 2.0),
        ("upstream: {forward: [{zones: [CORP.example., .], servers: [192.0.2.1]}]}", "upstream.forward.0.zones",
         ("corp.example", ".")),
        ("groups: [{name: staff, clients: [10.0.0.0/8, 192.0.2.7, '2001:db8::/32']}]", "groups.0.clients",
         (ip_network("10.0.0.0/8"), ip_network("192.0.2.7"), ip_network("2001:db8::/32"))),
        ("groups: [{name: staff, clients: [10.0.0.0/8]}]", "groups.0.block", None),  # all apps
        ("groups: [{name: staff, clients: [10.0.0.0/8], block: []}]", "groups.0.block", ()),  # none
        ("groups: [{name: no, clients: [10.0.0.0/8]}]", "groups.0.name", "no"),  # not YAML 1.1's false
        ("unlisted: {actions: {bypass: nxdomain}}", "unlisted.actions", {"bypass": Action.NXDOMAIN}),
        ("log: {attempts: off}", "log.attempts", "off"),
        ("log: {attempts: false}", "log.attempts", "off"),
        ("log: {attempts: logs/a.jsonl}", "log.attempts", HERE / "logs/a.jsonl"),  # beside the file
        ("log: {attempts: /var/log/a.jsonl}", "log.attempts", Path("/var/log/a.jsonl")),
        ("lists: {directories: [lists, ../more]}", "lists.directories", (HERE / "lists", HERE / "../more")),
        ("lists: {watch: off}", "lists.watch", False),
        ("lists: {switches: {wechat.keep-wecom: yes}}", "lists.switches", {"wechat.keep-wecom": True}),
        ("metrics: {listen: null}", "metrics.listen", None),
    ],
)  # fmt: skip
def test_accepted(text, value, expected):
    found = parsed(text)
    for part in value.split("."):
        found = found[int(part)] if part.isdigit() else getattr(found, part)
    assert found == expected


GROUP = "groups:\n  - name: staff\n    clients: [10.0.0.0/8]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # keys
        ("upstraem: {}", ["1: upstraem: unknown key; did you mean 'upstream'?"]),
        ("cache:\n  min_tll: 5", ["2: cache.min_tll: unknown key; did you mean 'min_ttl'?"]),
        ("ttl: 5", ["1: ttl: unknown key here; did you mean answers.ttl?"]),
        ("cache:\n  colour: red", [
            "2: cache.colour: unknown key; choose from size, min_ttl, max_ttl, max_negative_ttl, failure_ttl,"
            " stale_for,"
            " stale_ttl, stale_after, prefetch"]),
        ("groups:\n  - name: staff\n", ["2: groups.0.clients: is missing"]),
        ("cache:\n  size: 1\n  size: 2", ["3: 'size' is said twice, first in line 2. Remove one."]),
        # shapes
        ("- a", ["1: the file must hold 'key: value' lines (got ['a'])"]),
        ("cache: 7", ["1: cache: must hold keys; write 'key: value' lines below it (got 7)"]),
        ("cache:", ["1: cache: must hold keys; write 'key: value' lines below it (got null)"]),
        ("listen: 127.0.0.1:53", [
            "1: listen: must be a list; write one item a line, each after '- ' (got '127.0.0.1:53')"]),
        ("listen: []", ["1: listen: must have at least 1 item"]),
        ("unlisted: {actions: tiktok}", [
            "1: unlisted.actions: must hold keys; write 'key: value' lines below it (got 'tiktok')"]),
        ("answers: {sinkhole_v6: ['::', '::1', '::2', '::3', '::4']}", [
            "1: answers.sinkhole_v6: must have at most 4 items (got ['::', '::1', '::2', '::3', '::4'])"]),
        # numbers, words, switches
        ("cache:\n\n  size: big", ["3: cache.size: must be a whole number (got 'big')"]),
        ("cache: {size: 2.5}", ["1: cache.size: must be a whole number (got 2.5)"]),
        ("cache: {size: 0}", ["1: cache.size: must be at least 1 (got 0)"]),
        ("cache: {size: 65537}", ["1: cache.size: must be at most 65536 (got 65537)"]),
        ("cache: {size: true}", ["1: cache.size: must be a number (got true)"]),
        ("upstream: {timeout: 0}", ["1: upstream.timeout: must be more than 0 (got 0)"]),
        ("upstream: {timeout: 11}", ["1: upstream.timeout: must be at most 10 (got 11)"]),
        ("upstream: {timeout: .inf}", ["1: upstream.timeout: must be a number (got '.inf')"]),
        ("upstream: {timeout: 2s}", ["1: upstream.timeout: must be a number (got '2s')"]),
        ("process: {workers: true}", ["1: process.workers: must be a number (got true)"]),
        ("lists: {watch: perhaps}", ["1: lists.watch: must be true or false (got 'perhaps')"]),
        (
            "answers: {contacts: ['https://x.example']}",
            [
                "1: answers.contacts.0: 'https://x.example' is not a contact for machines;"
                " write mailto:dns@office.example or tel:+1-613-555-0100"
            ],
        ),
        (
            "answers: {language: english!}",
            ["1: answers.language: 'english!' is not a language tag; write en, fr-CA or zh-Hant (RFC 5646)"],
        ),
        ("answers: {contact: 5}", ["1: answers.contact: must be text; put it in quotes if it is meant so (got 5)"]),
        (f"answers: {{version: {'x' * 101}}}", [
            f"1: answers.version: must be at most 100 characters long (got '{'x' * 56}...)"]),
        # choices
        ("unlisted: {action: blok}", [
            "1: unlisted.action: must be sinkhole, nxdomain, nodata, refused or drop (got 'blok')"]),
        ("unlisted: {action: passthru}", [
            "1: unlisted.action: must be sinkhole, nxdomain, nodata, refused or drop (got 'passthru')"]),
        ("unlisted: {action: NXDOMAN}", [
            "1: unlisted.action: must be sinkhole, nxdomain, nodata, refused or drop (got 'NXDOMAN');"
            " did you mean 'nxdomain'?"]),
        ("upstream: {strategy: fast}", [
            "1: upstream.strategy: must be fastest, ordered or round-robin (got 'fast'); did you mean 'fastest'?"]),
        # addresses
        ("listen:\n  - 127.0.0.1", ["2: listen.0: '127.0.0.1' has no port; write 192.0.2.1:53 or '[2001:db8::1]:53'"]),
        ("listen: [localhost:53]", [
            "1: listen.0: 'localhost:53': 'localhost' is not an IP address; write 192.0.2.1:53 or '[2001:db8::1]:53'"]),
        ("listen: [127.0.0.1:65536]", [
            "1: listen.0: '127.0.0.1:65536': '65536' is not a port number; write 192.0.2.1:53 or '[2001:db8::1]:53'"]),
        ("listen: [53]", ["1: listen.0: 53 is not an address and port; write 192.0.2.1:53 or '[2001:db8::1]:53'"]),
        ("upstream: {servers: [192.0.2.1:0]}", [
            "1: upstream.servers.0: '192.0.2.1:0': nobody can be asked at port 0; leave the port out for 53"]),
        ("upstream: {servers: [0.0.0.0]}", [
            "1: upstream.servers.0: '0.0.0.0' is not the address of a resolver; for this machine write 127.0.0.1"]),
        ("answers: {sinkhole_v4: [192.0.2.300]}", ["1: answers.sinkhole_v4.0: '192.0.2.300' is not an IPv4 address"]),
        ("answers: {sinkhole_v4: [1]}", [
            "1: answers.sinkhole_v4.0: 1 is not an IPv4 address; put it in quotes if it is meant as text"]),
        ("answers: {sinkhole_v6: [192.0.2.1]}", ["1: answers.sinkhole_v6.0: '192.0.2.1' is not an IPv6 address"]),
        ("answers: {sinkhole_v6: ['fe80::1%eth0']}", [
            "1: answers.sinkhole_v6.0: 'fe80::1%eth0' has a scope, which cannot travel in an answer; remove '%eth0'"]),
        ("groups:\n- name: a\n  clients:\n  - 10.1.2.3/8", [
            "4: groups.0.clients.0: '10.1.2.3/8' has bits set beyond its length;"
            " write 10.0.0.0/8, or 10.1.2.3 for the one address"]),
        ("groups: [{name: a, clients: [10]}]", [
            "1: groups.0.clients.0: 10 is not an address or prefix; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"]),
        ("groups: [{name: a, clients: [staff]}]", [
            "1: groups.0.clients.0: 'staff' is not an address or prefix; write 192.0.2.7, 192.0.2.0/24 or"
            " 2001:db8::/32"]),
        ("groups: [{name: a, clients: ['::ffff:10.0.0.0/104']}]", [
            "1: groups.0.clients.0: '::ffff:10.0.0.0/104' is IPv4 in IPv6 dress; such clients are known by IPv4,"
            " so write it as IPv4"]),
        # names and paths
        ("groups: [{name: Staff 1, clients: [10.0.0.0/8]}]", [
            "1: groups.0.name: must be lower-case letters, digits and '-', at most 32 of them, starting with a letter"
            " or digit (got 'Staff 1')"]),
        ("unlisted:\n  actions:\n    T T: drop", [
            "3: unlisted.actions.T T: must be lower-case letters, digits and '-', at most 32 of them, starting with a"
            " letter or digit (got 'T T')"]),
        ("protection: {rebinding_exceptions: ['*.a.example']}", [
            "1: protection.rebinding_exceptions.0: '*.a.example': everything below a zone is meant anyway;"
            " write 'a.example'"]),
        ("protection: {rebinding_exceptions: [a b]}", [
            "1: protection.rebinding_exceptions.0: 'a b' is not a domain name: it contains a space"]),
        ("protection: {rebinding_exceptions: [a..b]}", [
            "1: protection.rebinding_exceptions.0: 'a..b' is not a domain name: it has an empty label (two dots"
            " in a row)"]),
        ("process: {state_dir: ''}", ["1: process.state_dir: '' is not a path"]),
        ('process: {state_dir: "\\0"}', ["1: process.state_dir: '\\x00' is not a path"]),
        ("log: {attempts: 5}", ["1: log.attempts: 5 is not a destination; write stdout, off, or the path of a file"]),
        # what must fit together
        ("groups: [{name: default, clients: [10.0.0.0/8]}]", [
            "1: groups.0.name: 'default' is kept for clients in no group; choose another name"]),
        ("groups: [{name: selftest, clients: [10.0.0.0/8]}]", [
            "1: groups.0.name: 'selftest' is kept for queries that we ask ourselves; choose another name"]),
        ("candidates: {folder: /nowhere}", [
            "1: candidates.folder: /nowhere is none of lists.directories: nothing in it would be in force"]),
        (GROUP + "    block: [tiktok]\n    monitor:\n      - wechat\n      - tiktok\n", [
            "7: groups.0.monitor.1: 'tiktok' is both blocked and monitored; remove one of the two"]),
        (GROUP + "  - name: staff\n    clients:\n      - 10.0.0.0/8\n", [
            "4: groups.1.name: there are two groups 'staff'; choose another name",
            "6: groups.1.clients.0: 10.0.0.0/8 is already in group 'staff'; a client can have one policy"]),
        ("log:\n  level: info\n  clients: hash", [
            "3: log.clients: 'hash' needs hash_key_file, a file with at least 16 random bytes"]),
        ("cache: {min_ttl: 60, max_ttl: 30}", ["1: cache.min_ttl: 60 is more than max_ttl, 30"]),
        (f"upstream: {{servers: [{', '.join(f'192.0.2.{each}' for each in range(101))}]}}", [
            "1: upstream: names 101 servers, and 100 are the most; remove some"]),
        ("upstream: {timeout: 5, deadline: 2}", ["1: upstream.timeout: 5.0 is more than deadline, 2.0"]),
        ("listen:\n- 127.0.0.1:53\n- 127.0.0.1:53", [
            "3: listen.1: 127.0.0.1:53 is written twice; remove one of the two"]),
        ("metrics: {listen: 127.0.0.1:5353}", [
            "1: metrics.listen: 127.0.0.1:5353 serves DNS already; choose another port"]),
        ("upstream: {servers: ['[::1]:5353']}", [
            "1: upstream.servers.0: [::1]:5353 is this proxy itself: its queries would go round in a loop"]),
        ("listen: [0.0.0.0:53]\nupstream:\n  forward:\n  - zones: [a.example]\n    servers: [127.0.0.1]", [
            "5: upstream.forward.0.servers.0: 127.0.0.1:53 is this proxy itself: its queries would go round in"
            " a loop"]),
        ("upstream:\n  forward:\n  - {zones: [a.example], servers: [192.0.2.1]}\n"
         "  - {zones: [A.example.], servers: [192.0.2.2]}", [
            "4: upstream.forward.1.zones.0: 'a.example' is already in upstream.forward.0; remove one of the two"]),
    ],
)  # fmt: skip
def test_refused(text, expected):
    assert problems(text) == expected


def test_all_mistakes_at_once_sorted_by_line():
    found = problems("log: {level: loud}\ncahce: {}\nlisten: [nowhere:53, '::1']\n", {"process.workers": 0})
    assert [problem.partition(":")[0] for problem in found] == ["--workers", "1", "2", "3", "3"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"listen": ["x"]}, ["--listen: 'x' is not an IP address; write 192.0.2.1:53 or '[2001:db8::1]:53'"]),
        ({"upstream.servers": ["x:53"]}, [
            "--upstream: 'x:53': 'x' is not an IP address; write 192.0.2.1:53 or '[2001:db8::1]:53'"]),
        ({"upstream.servers": ["127.0.0.1:5353"]}, [
            "--upstream: 127.0.0.1:5353 is this proxy itself: its queries would go round in a loop"]),
        ({"metrics.listen": "9353"},
         ["--metrics: '9353' is not an IP address; write 192.0.2.1:53 or '[2001:db8::1]:53'"]),
        ({"process.workers": 1000}, ["--workers: must be at most 256 (got 1000)"]),
        ({"cache.size": "x"}, ["--cache.size: must be a whole number (got 'x')"]),
    ],
)  # fmt: skip
def test_a_mistake_on_the_command_line_names_its_option(overrides, expected):
    assert problems("cache: {size: 1}", overrides) == expected


def test_the_command_line_beats_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = {"listen": ["127.0.0.1:1"], "metrics.listen": None, "lists.directories": [Path("mine")]}
    found = parsed("listen: [garbage]\nlists: {directories: [theirs], watch: false}\nmetrics:", overrides)
    assert found.listen == (end("127.0.0.1:1"),)
    assert found.metrics.listen is None
    assert found.lists.directories == (tmp_path / "mine",)  # not beside the file
    assert not found.lists.watch


def test_an_option_below_a_broken_section_leaves_the_mistake_to_the_file():
    assert problems("process: 5", {"process.workers": 2}) == [
        "1: process: must hold keys; write 'key: value' lines below it (got 5)"
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ": cannot be read: No such file or directory. Check the path and its permissions."),
        (b"cache:\n  size: \xff", ":2: this is not UTF-8 text. Save the file as UTF-8."),
        (b"cache: {\n", ":2: this is not YAML:"),
        (b"a: &x 1\nb: *x\n", ":2: *x is an alias"),
    ],
)
def test_an_unreadable_file(tmp_path, content, expected):
    path = tmp_path / "b.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert caught.value.problems[0].startswith(f"{path}{expected}")


KEYS = st.sampled_from(
    [
        *Config.model_fields,
        *(key for part in Config().model_dump().values() if isinstance(part, dict) for key in part),
    ]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(
    ["off", "10.0.0.0/8", "127.0.0.1:53", "192.0.2.1", "a.example", "tiktok", "hash", "%", "[", "::1%0"]
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5) | st.integers(), below, max_size=4)
    ),
    max_leaves=12,
)


def accepted_or_refused(text):
    try:
        assert isinstance(parsed(text), Config)
        found = ()
    except ConfigError as error:
        found = error.problems or ("silent",)
    assert [problem for problem in found if not PROBLEM.match(problem) or JARGON.search(problem)] == []


@given(st.text())
def test_any_text_is_a_configuration_or_refused(text):
    accepted_or_refused(text)


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_any_yaml_is_a_configuration_or_refused(tree):
    accepted_or_refused(yaml.safe_dump(tree, allow_unicode=True))


def known(**more):
    switches = {"tiktok": ["pangle"], "wechat": ["keep-wecom"], "bypass": []} | more
    return {app: SimpleNamespace(switches=each, category="ban") for app, each in switches.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unlisted: {actions: {bypass: nxdomain}}", []),
        ("lists:\n  switches:\n    wechat.keep-wecom: true", []),
        (GROUP + "    block: [tiktok, bypass]\n    monitor: [wechat]", []),
        ("unlisted:\n  actions:\n    bypas: drop", [
            "3: unlisted.actions.bypas: there is no app 'bypas'; did you mean 'bypass'?"]),
        (GROUP + "    block:\n    - tiktok\n    - tikok\n", [
            "6: groups.0.block.1: there is no app 'tikok'; did you mean 'tiktok'?"]),
        (GROUP + "    monitor: [zoom]", [
            "4: groups.0.monitor.0: there is no app 'zoom'; choose from bypass, tiktok, wechat"]),
        (GROUP + "    actions: {zoom: drop}", [
            "4: groups.0.actions.zoom: there is no app 'zoom'; choose from bypass, tiktok, wechat"]),
        ("lists: {switches: {pangle: true}}", [
            "1: lists.switches.pangle: 'pangle' is not a switch; write 'app.switch: true'"]),
        ("lists: {switches: {tiktok.pangel: true}}", [
            "1: lists.switches.tiktok.pangel: app 'tiktok' has no switch 'pangel'; did you mean 'pangle'?"]),
        ("lists: {switches: {tictok.pangle: true}}", [
            "1: lists.switches.tictok.pangle: there is no app 'tictok'; did you mean 'tiktok'?"]),
        ("lists: {disable: [tikok]}", ["1: lists.disable.0: there is no app 'tikok'; did you mean 'tiktok'?"]),
        (GROUP + "    block: [tiktok]\nlists: {disable: [tiktok]}", [
            "4: groups.0.block.0: app 'tiktok' is not loaded, because lists.disable names it; remove it from"
            " one of the two"]),
    ],
)  # fmt: skip
def test_apps_and_switches_that_the_lists_do_not_have(text, expected):
    assert [problem.removeprefix("b.yaml:") for problem in config.check_apps(parsed(text), known())] == expected


def test_an_unknown_app_without_a_file_has_a_path_only():
    assert config.check_apps(Config(lists={"disable": ["zoom"]}), known()) == [
        "lists.disable.0: there is no app 'zoom'; choose from bypass, tiktok, wechat"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", ["192.0.2.1:53", "[2001:db8::1]:53"]),
        ("# nameserver 192.0.2.1\n;nameserver 192.0.2.2\nsearch a.example\noptions edns0", []),
        ("nameserver 192.0.2.1 # comment\nnameserver\t192.0.2.1\n", ["192.0.2.1:53"]),  # once
        ("nameserver\nnameserver dns.example\nnameserver 192.0.2\nnameserver 192.0.2.1", ["192.0.2.1:53"]),
        ("nameserver fe80::1%eth0\nnameserver fe80::2", ["[fe80::1%eth0]:53"]),  # useless without its scope
        ("nameserver 2001:db8::1%eth0\n", ["[2001:db8::1]:53"]),  # useless with one
        ("nameserver 0.0.0.0\nnameserver ::\n", ["127.0.0.1:53", "[::1]:53"]),
        ("\xff\x00\n", []),
        ("".join(f"nameserver 192.0.2.{each}\n" for each in range(20)), [f"192.0.2.{each}:53" for each in range(16)]),
    ],
)
def test_resolv_conf(tmp_path, text, expected):
    path = tmp_path / "resolv.conf"
    path.write_text(text, encoding="latin-1")
    assert [str(server) for server in config.resolv_conf(path)] == expected


def test_resolv_conf_that_cannot_be_read(tmp_path):
    assert config.resolv_conf(tmp_path / "missing") == ()
    with pytest.raises(ConfigError, match="cannot be read"):
        config.resolv_conf(tmp_path)


@given(st.binary())
def test_any_resolv_conf_names_endpoints(tmp_path_factory, octets):
    path = tmp_path_factory.getbasetemp() / "resolv.conf"
    path.write_bytes(b"nameserver " + octets)
    assert all(isinstance(server, Endpoint) for server in config.resolv_conf(path))


@pytest.mark.parametrize(
    ("resolv_conf", "expected"),
    [
        ("nameserver 192.0.2.1", ["192.0.2.1:53"]),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.1", ["192.0.2.1:53"]),  # 127.0.0.1:53 is ourselves
    ],
)
def test_servers_from_resolv_conf(tmp_path, resolv_conf, expected):
    path = tmp_path / "resolv.conf"
    path.write_text(resolv_conf)
    found = Config(listen=["0.0.0.0:53"], upstream={"resolv_conf": path})
    assert [str(server) for server in config.servers(found)] == expected


@pytest.mark.parametrize(
    ("resolv_conf", "why"),
    [("", "it names none"), ("nameserver 127.0.0.1", "it names only this proxy itself")],
)
def test_nobody_to_ask(tmp_path, resolv_conf, why):
    path = tmp_path / "resolv.conf"
    path.write_text(resolv_conf)
    with pytest.raises(ConfigError, match=f"{why}.*--upstream"):
        config.servers(Config(listen=["127.0.0.1:53"], upstream={"resolv_conf": path}))


@pytest.mark.parametrize(
    ("said", "environment", "expected"),
    [
        ("/a", {"STATE_DIRECTORY": "/b", "XDG_CACHE_HOME": "/c"}, "/a"),
        (None, {"STATE_DIRECTORY": "/b:/b2", "XDG_CACHE_HOME": "/c"}, "/b"),
        (None, {"XDG_CACHE_HOME": "/c"}, "/c/blocker"),
        (None, {"XDG_CACHE_HOME": "relative"}, str(Path.home() / ".cache/blocker")),
        (None, {}, str(Path.home() / ".cache/blocker")),
    ],
)
def test_state_dir(said, environment, expected):
    found = Config(process={"state_dir": said})
    assert config.state_dir(found, environment) == Path(expected)
    assert config.control_socket(found, environment) == Path(expected) / "control.sock"


def test_control_socket_of_its_own():
    assert config.control_socket(Config(process={"control": "/run/b.sock"}), {}) == Path("/run/b.sock")


EXAMPLES = sorted((ROOT / "deploy/examples").glob("*.yaml"))
DOCUMENTATION = [
    ip_network(text)
    for text in (
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"),  # RFC 5737, RFC 3849
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918, for clients
        *("127.0.0.0/8", "::1/128"),
    )
]


def test_the_examples_are_there():
    assert [path.stem for path in EXAMPLES] == ["department", "gateway", "load-balanced", "small-office"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads(path):
    assert config.servers(config.load(path))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_names_only_addresses_of_nobody(path):
    text = "\n".join(line for line in path.read_text().splitlines() if not line.endswith(".arpa"))
    found = [ip_address(each) for each in re.findall(r"[0-9]+(?:\.[0-9]+){3}|[0-9a-f]+(?::[0-9a-f]*){2,7}", text)]
    assert found
    assert [address for address in found if not any(address in network for network in DOCUMENTATION)] == []


def test_what_show_prints_means_the_same():
    for path in EXAMPLES:
        first = config.load(path)
        assert parsed(yaml.safe_dump(first.model_dump(mode="json"))) == first


def test_the_reference_page_is_up_to_date():
    page = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    assert page == reference.page(), "run: blocker config reference > docs/reference/configuration.md"


def test_the_reference_page_names_every_key():
    page = reference.page()
    for key, section in Config().model_dump().items():
        assert f"`{key}`" in page
        for below in section if isinstance(section, dict) else ():
            assert f"| `{below}` |" in page or f"## `{key}.{below}`" in page


def test_no_key_is_without_a_meaning():
    for line in reference.page().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line


def test_the_schema_shows_defaults_as_people_write_them():
    properties = reference.schema()["properties"]
    assert properties["listen"]["default"] == ["127.0.0.1:5353", "[::1]:5353"]
