"""The section on the sinkhole: where it listens, what is written twice, what is taken already."""

from ipaddress import ip_address

import pytest

from blocker import config
from blocker.errors import ConfigError

GOOD = """\
answers: {sinkhole_v4: [192.0.2.80], sinkhole_v6: ['2001:db8::80']}
metrics: {listen: '192.0.2.80:9353'}
sinkhole: {serve: true, reset: [5222]}
"""


def parsed(tmp_path, text):
    return config.parse(text, "b.yaml", tmp_path)


def test_it_listens_where_blocked_names_are_answered_with(tmp_path):
    found = parsed(tmp_path, GOOD)
    ends = config.ends(found.sinkhole, found.answers, found.sinkhole.ports)
    assert [str(end) for end in ends] == [
        "192.0.2.80:80", "192.0.2.80:443", "[2001:db8::80]:80", "[2001:db8::80]:443",
    ]  # fmt: skip


def test_nobody_listens_unless_told():
    found = config.Config()
    assert config.ends(found.sinkhole, found.answers, found.sinkhole.ports) == ()


@pytest.mark.parametrize(("served", "strays"), [
    (["192.0.2.80", "2001:db8::80"], ()),
    (["10.0.0.1"], ("192.0.2.80", "2001:db8::80")),  # behind a router that translates, perhaps
    (["0.0.0.0"], ("2001:db8::80",)),
    (["::", "0.0.0.0"], ()),
])  # fmt: skip
def test_addresses_that_get_no_page(tmp_path, served, strays):
    assert config.strays({ip_address(each) for each in served}, parsed(tmp_path, GOOD).answers) == strays


def test_nobodys_addresses_are_no_strays():
    assert config.strays((), config.Config().answers) == ()


@pytest.mark.parametrize(("old", "new", "problem"), [
    ("reset: [5222]", "reset: [9353]", "reset.0: 192.0.2.80:9353 is taken already by this proxy, as 192.0.2.80:9353"),
    ("serve: true", "serve: true, listen: [0.0.0.0], ports: [5353]", "0.0.0.0:5353 is taken already by this proxy"),
    ("reset: [5222]", "reset: [443]", "reset.0: 443 is written twice"),
    ("serve: true", "serve: true, listen: [192.0.2.80, 192.0.2.80]", "listen.1: 192.0.2.80 is written twice"),
    ("serve: true", "serve: true, listen: ['fe80::1%eth0']", "has a scope"),
    ("serve: true", "serve: true, listen: [sinkhole]", "'sinkhole' is not an IPv4 address"),
    ("serve: true", "serve: true, blocked_by: 'javascript:alert(1)'", "is not the address of a web page"),
    ("reset: [5222]", "reset: [0]", "must be at least 1"),
    ("sinkhole_v4: [192.0.2.80], sinkhole_v6: ['2001:db8::80']", "ttl: 60", "are nobody's addresses"),
    ("serve: true", "serve: true, en: {titel: x}", "unknown key"),
])  # fmt: skip
def test_refused(tmp_path, old, new, problem):
    with pytest.raises(ConfigError) as caught:
        parsed(tmp_path, GOOD.replace(old, new, 1))
    assert any(problem in each for each in caught.value.problems), caught.value.problems


def test_switched_off_it_is_in_nobodys_way(tmp_path):
    assert not parsed(tmp_path, "sinkhole: {ports: [9353]}").sinkhole.serve
