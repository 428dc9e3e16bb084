"""The feeds' section: what is accepted, what is refused and in which words."""

from datetime import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from blocker import config
from blocker.config import Config
from blocker.errors import ConfigError

HERE = Path("/etc/blocker")
BASE = {"name": "f", "url": "https://lists.example/f", "app": "games"}


def parsed(text):
    return config.parse(text, "b.yaml", HERE)


def problems(text):
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return [problem.removeprefix("b.yaml:1: ") for problem in caught.value.problems]


def feed(more="", **said):
    words = ", ".join(f"{key}: {value}" for key, value in {**BASE, **said}.items() if value != "")
    return f"feeds: [{{{words}{more}}}]"


@pytest.mark.parametrize(("text", "key", "expected"), [
    (feed(), "interval", 86400),
    (feed(), "max_size", 64),
    (feed(every=300), "interval", 300),
    (feed(at="'03:30'", zone="Europe/Berlin"), "at", time(3, 30)),
    (feed(at="03:30"), "at", time(3, 30)),
    (feed(url="http://lists.example/f", insecure="true"), "url", "http://lists.example/f"),
    (feed(url="file:///srv/f.txt"), "url", "file:///srv/f.txt"),
    (feed(url="'https://[2001:db8::1]:8443/f?a=b'"), "url", "https://[2001:db8::1]:8443/f?a=b"),
    (feed(sha256="A" * 64), "sha256", "a" * 64),
    (feed(), "subject", "games"),
    (feed(app="", category="gambling"), "subject", "gambling"),
    (feed(headers_file="token"), "headers_file", HERE / "token"),
])  # fmt: skip
def test_accepted(text, key, expected):
    found = parsed(text)
    assert getattr(found.feeds[0], key) == expected
    assert Config.model_validate(found.model_dump(mode="json")) == found  # as it travels in a generation


IMPORT = "rpz: {imports: [{zone: theirs.example, primaries: [192.0.2.3], SAID}]}"
ONE = "write https://lists.example/domains.txt, or file:///srv/lists/domains.txt"


@pytest.mark.parametrize(("text", "expected"), [
    (feed(url="http://lists.example/f"), [
        "feeds.0.url: anybody on the way can change it; write https://, or say insecure: true"]),
    (feed(url="ftp://lists.example/f"), [
        "feeds.0.url: 'ftp://lists.example/f': feeds come over https, http or file, not 'ftp'"]),
    (feed(url="lists.example/f"), [
        "feeds.0.url: 'lists.example/f': feeds come over https, http or file, not 'nothing'"]),
    (feed(url="https:///f"), [
        "feeds.0.url: 'https:///f' names no host; write https://lists.example/domains.txt"]),
    (feed(url="file://srv/f"), [
        "feeds.0.url: 'file://srv/f' is not a file of this machine; write file:///srv/lists/domains.txt"]),
    (feed(url="https://lists.example/f#top"), [
        "feeds.0.url: 'https://lists.example/f#top': remove '#top', which never leaves this machine"]),
    (feed(url="https://me:s3cret@lists.example/f"), [  # what is wrong must not show the password
        "feeds.0.url: a name and password do not belong into a URL; put an Authorization line into headers_file"]),
    (feed(url="'https://lists.example/a b'"), [
        f"feeds.0.url: 'https://lists.example/a b' is not a URL; {ONE}"]),
    (feed(url="'https://lists.example:port/'"), [
        "feeds.0.url: 'https://lists.example:port/' is not a URL: Port could not be cast to integer value as 'port';"
        f" {ONE}"]),
    (feed(url=""), ["feeds.0.url: is missing"]),
    (feed(every=60), ["feeds.0.every: must be at least 300 (got 60)"]),
    (feed(every=300, at="'03:30'"), ["feeds.0.at: there is also 'every'; remove one of the two"]),
    (feed(at="'24:00'"), ["feeds.0.at: '24:00' is not a time of day; write it in quotes, '03:30' or '15:05'"]),
    (feed(zone="Berlin"), ["feeds.0.zone: 'Berlin' is not a time zone; write UTC or Europe/Berlin"]),
    (feed(zone="../../etc/passwd"), [
        "feeds.0.zone: '../../etc/passwd' is not a time zone; write UTC or Europe/Berlin"]),
    (feed(sha256="abc"), [
        "feeds.0.sha256: 'abc' is not a SHA-256; `sha256sum FILE` prints its 64 hexadecimal digits"]),
    (feed(shrink=1.5), ["feeds.0.shrink: must be at most 1 (got 1.5)"]),
    (feed(growth=0.5), ["feeds.0.growth: must be at least 1 (got 0.5)"]),
    (feed(max_size=0), ["feeds.0.max_size: must be at least 1 (got 0)"]),
    (feed(token="s3cret"), ["feeds.0.token: unknown key"]),
    (feed(app=""), [
        "feeds.0.app: is missing; name the app that the list is about, or a category: malware, gambling, ..."]),
    (feed(category="gambling"), ["feeds.0.category: there is also 'app'; remove one of the two"]),
    (feed("}, {name: g, url: file:///g, category: games"), [
        "feeds.1.category: 'games' is the app of another feed; say the same of both"]),
    (feed(app="", category="games") + "\n" + IMPORT.replace("SAID", "app: games"), [
        "b.yaml:2: rpz.imports.0.app: 'games' is the category of another feed; say the same of both"]),
    (IMPORT.replace("SAID", "key: null"), [
        "rpz.imports.0.app: is missing; name the app that the list is about, or a category: malware, gambling, ..."]),
    (feed(name="../up"), [
        "feeds.0.name: must be lower-case letters, digits and '-', at most 32 of them, starting with a letter or digit"
        " (got '../up')"]),
    (feed("}, {name: f, url: file:///f, app: games"), [
        "feeds.1.name: there are two feeds 'f'; choose another name"]),
    ("fetch: {proxy: https://proxy.example}", [
        "fetch.proxy: 'https://proxy.example' is not a proxy; write http://proxy.example:3128"]),
    ("listen: [127.0.0.1:53]\nfetch: {resolvers: [127.0.0.1]}", [
        "b.yaml:2: fetch.resolvers.0: 127.0.0.1:53 is this proxy itself: its queries would go round in a loop"]),
])  # fmt: skip
def test_refused(text, expected):
    assert [problem.split("; choose from")[0].split("; did you mean")[0] for problem in problems(text)] == expected


def test_a_feed_that_was_never_fetched_makes_its_app_known():
    text = feed() + "\ngroups: [{name: staff, clients: [10.0.0.0/8], block: [games, other]}]"
    assert config.check_apps(parsed(text), {"other": SimpleNamespace(switches=(), category="ban")}) == []


AN_APP = "b.yaml:1: feeds.0.category: 'tiktok' is an app that has a list; choose another word, or write app: tiktok"
STAFF = "groups: [{name: staff, clients: [10.0.0.0/8], block: [BLOCKED]}]"


@pytest.mark.parametrize("text", [feed(app="", category="gambling"), IMPORT.replace("SAID", "category: gambling")])
def test_a_category_is_blocked_by_its_name_though_nothing_was_fetched_yet(text):
    text += "\n" + STAFF.replace("BLOCKED", "gambling")
    assert config.check_apps(parsed(text), {}) == []
    (problem,) = config.check_apps(parsed(text.replace("block: [gambling", "block: [gamling")), {})
    assert problem == "b.yaml:2: groups.0.block.0: there is no app 'gamling'; did you mean 'gambling'?"


@pytest.mark.parametrize(("category", "problems"), [
    ("ban", [AN_APP]),
    ("protocol", [AN_APP]),
    ("bypass", []),
    ("content", []),
    ("", []),  # files of names alone: nobody says what they are
])  # fmt: skip
def test_no_category_passes_for_a_banned_app(category, problems):
    found = parsed(feed(app="", category="tiktok"))
    assert config.check_apps(found, {"tiktok": SimpleNamespace(switches=(), category=category)}) == problems


def test_the_zone_of_a_category_does_not_pass_for_a_banned_app_either():
    found = parsed(IMPORT.replace("SAID", "category: tiktok"))
    (problem,) = config.check_apps(found, {"tiktok": SimpleNamespace(switches=(), category="ban")})
    assert problem.startswith("b.yaml:1: rpz.imports.0.category: 'tiktok' is an app that has a list")
