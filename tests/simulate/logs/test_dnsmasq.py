"""dnsmasq's and Pi-hole's text log."""

import pytest
from hypothesis import given

from blocker.simulate.logs import dnsmasq
from blocker.simulate.logs.record import BadLineError, Query
from tests.simulate.logs.formats import AT, CLOCK, damaged, is_sound

LINE = "Nov 23 21:37:51 dnsmasq[812]: query[A] www.tiktok.com from 192.0.2.5"


@pytest.mark.parametrize(("line", "query"), [
    (LINE, Query(AT, "192.0.2.5", "www.tiktok.com", "A")),
    ("Nov 23 21:37:51 dnsmasq[812]: 57 192.0.2.5/53124 query[HTTPS] WWW.TikTok.com from 192.0.2.5",  # log-queries=extra
     Query(AT, "192.0.2.5", "www.tiktok.com", "HTTPS")),
    ("Nov 23 21:37:51 dns1 dnsmasq[812]: query[type=65] a.example from 2001:db8::5",  # syslog
     Query(AT, "2001:db8::5", "a.example", "TYPE65")),
    ("2026-11-23T22:37:51+01:00 dns1 dnsmasq[812]: query[AAAA] a.example from fe80::1%eth0",  # rsyslog
     Query(AT, "fe80::1", "a.example", "AAAA")),
    ("Nov 23 21:37:51 dnsmasq[812]: forwarded www.example.com to 198.51.100.1", None),
    ("Nov 23 21:37:51 dnsmasq[812]: reply www.example.com is 203.0.113.9", None),
    ("Nov 23 21:37:51 dnsmasq[812]: gravity blocked www.tiktok.com is 0.0.0.0", None),
    ("Mon Nov 23 21:37:51 2026 daemon.info dnsmasq[1]: query[A] a.example from 192.0.2.5",  # OpenWrt's logread
     Query(AT, "192.0.2.5", "a.example", "A")),
    ("Nov 23 21:37:51 dnsmasq-dhcp[812]: DHCPREQUEST(eth0) 192.0.2.5", None),  # in the same log
    ("Nov 23 21:37:51 sshd[812]: Accepted publickey for root", BadLineError),  # another log
    ("Nov 23 21:37:51 dnsmasq[812]: query[A] a name with spaces from 192.0.2.5", BadLineError),
    ("Nov 23 21:37:51 dnsmasq[812]: query[A] www.example.com from", BadLineError),  # torn
    ("Foo 23 21:37:51 dnsmasq[812]: query[A] www.example.com from 192.0.2.5", BadLineError),
])  # fmt: skip
def test_lines(line, query):
    parse = dnsmasq.parser(CLOCK)
    if query is BadLineError:
        with pytest.raises(BadLineError):
            parse(line)
    else:
        assert parse(line) == query


def test_looks():
    assert dnsmasq.looks(LINE)
    assert not dnsmasq.looks("Nov 23 21:37:51 named[812]: running")


@given(damaged(LINE))
def test_any_line(line):
    assert is_sound(dnsmasq.parser(CLOCK), line)
