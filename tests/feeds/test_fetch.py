"""Fetching from a source that is well, and from one that is not: slow, huge, cut short, somebody else, gone."""

import gzip
import hashlib
import os
import socket
import time

import pytest
import stamina

from blocker.config import Feed, Fetch, endpoint
from blocker.errors import FeedError
from blocker.feeds import fetch as fetching
from blocker.feeds.facts import Edition
from blocker.feeds.fetch import Fetched, source_of
from tests.feeds.server import HOST, Publisher
from tests.feeds.test_bootstrap import Resolver

LIST = b"one.example\ntwo.example\n"
DIGEST = hashlib.sha256(LIST).hexdigest()


@pytest.fixture(autouse=True)
def no_pauses():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def target(tmp_path):
    return tmp_path / "draft"


@pytest.fixture
def fetch(publisher, authority, target):
    """Fetch a path of the publisher's, or a whole URL."""

    def fetch(path="/list", *, known=None, how=None, **said):
        url = path if ":" in path else publisher.url(path)
        feed = Feed(**{"name": "f", "app": "games", "url": url, "max_size": 1, **said})
        limits = Fetch(**{"ca_file": authority.file, "timeout": 5, "deadline": 20, **(how or {})})
        return fetching.fetch(feed, limits, known, target)

    return fetch


def test_a_list(fetch, publisher, target):
    publisher.pages["/list"] = lambda page: page.say(
        200, LIST, ETag='"v1"', Last_Modified="Tue, 24 Nov 2026 00:00:00 GMT"
    )
    assert fetch() == Fetched(DIGEST, len(LIST), '"v1"', "Tue, 24 Nov 2026 00:00:00 GMT")
    assert target.read_bytes() == LIST
    ((_, headers),) = publisher.asked
    assert (headers["Accept-Encoding"], headers["User-Agent"].startswith("blocker/")) == ("gzip", True)


@pytest.mark.parametrize("headers", [{"Content_Encoding": "gzip"}, {"Content_Type": "application/gzip"}])
def test_a_packed_list(fetch, publisher, target, headers):
    publisher.pages["/list"] = lambda page: page.say(200, gzip.compress(LIST), **headers)
    assert fetch().sha256 == DIGEST
    assert target.read_bytes() == LIST


def known(publisher, **said):
    feed = Feed(name="f", app="games", url=publisher.url("/list"))
    return Edition(DIGEST, 1, 1, **{"etag": '"v1"', "modified": "yesterday", "source": source_of(feed), **said})


def test_not_modified(fetch, publisher):
    publisher.pages["/list"] = lambda page: page.say(304)
    assert fetch(known=known(publisher)) is None
    ((_, headers),) = publisher.asked
    assert (headers["If-None-Match"], headers["If-Modified-Since"]) == ('"v1"', "yesterday")


def test_validators_of_another_source_are_not_sent(fetch, publisher):
    publisher.pages["/list"] = LIST
    assert fetch(known=known(publisher, source="of another")).sha256 == DIGEST
    assert "If-None-Match" not in publisher.asked[0][1]


def test_not_modified_without_having_been_asked(fetch, publisher):
    publisher.pages["/list"] = lambda page: page.say(304)
    with pytest.raises(FeedError, match="304"):
        fetch()


def slowly(page):
    page.send_response(200)
    page.end_headers()
    for _ in range(100):
        page.wfile.write(b"slow.example\n")
        time.sleep(0.1)


def silent(page):
    time.sleep(1.5)


def cut_short(page):
    page.send_response(200)
    page.send_header("Content-Length", "1000")
    page.end_headers()
    page.wfile.write(LIST)


def cut_short_in_chunks(page):
    page.send_response(200)
    page.send_header("Transfer-Encoding", "chunked")
    page.end_headers()
    page.wfile.write(b"%x\r\n%s\r\n" % (len(LIST), LIST))


def endless(page):
    page.send_response(200)
    page.end_headers()
    while True:
        page.wfile.write(b"name.example\n" * 5000)


BOMB = gzip.compress(b"\0" * (64 << 20))


def bomb(page):
    page.say(200, BOMB, Content_Encoding="gzip")


def to(where):
    return lambda page: page.say(302, Location=where)


@pytest.mark.parametrize(("page", "why", "asked"), [
    (slowly, "not complete within 1 s", 1),
    (silent, "silent for too long|not complete within", None),
    (cut_short, "peer closed connection", 3),
    (cut_short_in_chunks, "peer closed connection", 3),
    (endless, "more than 1 MiB", 1),
    (bomb, "more than 1 MiB", 1),
    (lambda page: page.say(200, gzip.compress(LIST)[:-9], Content_Encoding="gzip"), "ends in the middle", 3),
    (lambda page: page.say(200, LIST, Content_Encoding="br"), "although only gzip was offered", 1),
    (lambda page: page.say(200, LIST, Content_Type="text/html; charset=utf-8"), "a web page, not a list", 1),
    (lambda page: page.say(200, b"\n<!DOCTYPE html><title>Log in</title>"), "a web page, not a list", 1),
    (lambda page: page.say(500, b"oops"), "answers 500 'Internal Server Error'", 3),
    (lambda page: page.say(503), "answers 503", 3),
    (lambda page: page.say(401), "Check the token", 1),
    (lambda page: page.say(404), "find its new URL", 1),
    (lambda page: page.say(206, LIST), "answers 206", 1),
    (to("file:///etc/passwd"), "redirected to file:///etc/passwd, but redirects are followed over https only", 1),
    (to("http://127.0.0.1/list"), "over https only", 1),
    (to("ftp://127.0.0.1/list"), "over https only", 1),
    (to("https://user:secret@127.0.0.1/list"), "over https only", 1),
    (to("https://127.0.0.1:x/"), "no URL", 1),
    (to("/list"), "redirected more than 5 times", 6),
    (lambda page: page.wfile.write(b"\0\1\2 not HTTP at all\r\n\r\n"), "127.0.0.1", 3),
])  # fmt: skip
def test_a_source_that_is_not_well(fetch, publisher, page, why, asked):
    publisher.pages["/list"] = page
    began = time.monotonic()
    with pytest.raises(FeedError, match=why) as caught:
        fetch(how={slowly: {"deadline": 1}, silent: {"timeout": 0.5, "deadline": 1}}.get(page))
    assert time.monotonic() - began < 10
    assert publisher.url("/list") in str(caught.value)
    assert "secret" not in str(caught.value)
    if asked is not None:
        assert len(publisher.asked) == asked


def test_a_source_that_is_well_again(fetch, publisher):
    pages = [lambda page: page.say(503), cut_short, lambda page: page.say(200, LIST)]
    publisher.pages["/list"] = lambda page: pages.pop(0)(page)
    assert fetch().sha256 == DIGEST


def test_redirects_are_followed(fetch, publisher):
    publisher.pages |= {"/list": to("/a/"), "/a/": to(publisher.url("/b")), "/b": LIST}
    assert fetch().sha256 == DIGEST


@pytest.mark.parametrize("where", [
    "https://169.254.169.254/latest/meta-data", "https://[::1]/", "https://10.0.0.1:8443/", "https://localhost/",
    "https://[::ffff:127.0.0.1]/",
])  # fmt: skip
def test_nobody_outside_sends_us_inside(fetch, publisher, where):
    resolver = Resolver()
    resolver.records[HOST, "A"] = ["127.0.0.1"]
    publisher.pages["/list"] = to(where)
    with pytest.raises(FeedError, match="which is no host of the Internet's"):
        fetch(publisher.url("/list", HOST), how={"resolvers": [str(resolver.end)]})
    resolver.close()


def test_tokens_go_to_the_source_alone(fetch, publisher, chain, tmp_path):
    other = Publisher(chain)
    try:
        other.pages["/list"] = LIST
        publisher.pages |= {"/list": to("/again"), "/again": to(other.url("/list"))}
        (tmp_path / "token").write_text("# ours\nAuthorization: Bearer s3cret\n\n")
        assert fetch(headers_file=tmp_path / "token").sha256 == DIGEST
        assert [headers.get("Authorization") for _, headers in publisher.asked] == ["Bearer s3cret"] * 2
        assert [headers.get("Authorization") for _, headers in other.asked] == [None]
    finally:
        other.close()


@pytest.mark.parametrize("content", ["Bearer s3cret", "A b: s3cret", "X: s3cr\x00et", "X: s3cr\u00e9t"])
def test_a_headers_file_that_is_none_is_not_quoted(fetch, publisher, tmp_path, content):
    (tmp_path / "token").write_text(content)
    with pytest.raises(FeedError, match=r"token:1: not a header") as caught:
        fetch(headers_file=tmp_path / "token")
    assert "s3cr" not in str(caught.value)
    with pytest.raises(FeedError, match=r"headers_file: .*cannot be read"):
        fetch(headers_file=tmp_path / "none")
    assert publisher.asked == []


def test_a_query_is_never_told(fetch, publisher):
    with pytest.raises(FeedError) as caught:
        fetch("/none?key=s3cret")
    assert publisher.asked[0][0] == "/none?key=s3cret"
    assert "s3cret" not in str(caught.value)


def test_nothing_is_logged(fetch, publisher, capfd):
    publisher.pages["/list"] = lambda page: page.say(503)
    with pytest.raises(FeedError):
        fetch("/list?key=s3cret")
    assert capfd.readouterr() == ("", "")


# Whom we talk to.


def test_a_certificate_of_another_host(fetch, publisher, authority):
    other = Publisher(authority.chain("other.example"))
    try:
        other.pages["/list"] = LIST
        with pytest.raises(FeedError, match=r"its certificate is refused: .*127\.0\.0\.1"):
            fetch(other.url("/list"))
        assert other.asked == []
    finally:
        other.close()


def test_a_certificate_that_nobody_we_know_has_signed(fetch, publisher):
    publisher.pages["/list"] = LIST
    with pytest.raises(FeedError, match="its certificate is refused: unable to get"):
        fetch(how={"ca_file": None})
    assert publisher.asked == []


def test_certificates_that_cannot_be_read(fetch, tmp_path):
    with pytest.raises(FeedError, match=r"fetch\.ca_file"):
        fetch(how={"ca_file": tmp_path / "none.pem"})


def test_the_host_is_found_by_the_bootstrap_resolver(fetch, publisher):
    resolver = Resolver()
    resolver.records[HOST, "A"] = ["127.0.0.1"]
    publisher.pages["/list"] = LIST
    assert fetch(publisher.url("/list", HOST), how={"resolvers": [str(resolver.end)]}).sha256 == DIGEST
    assert publisher.asked[0][1]["Host"] == f"{HOST}:{publisher.port}"
    resolver.close()


def test_a_lie_of_the_resolver_meets_the_certificate(fetch, publisher):
    resolver = Resolver()
    resolver.records["bank.example", "A"] = ["127.0.0.1"]
    with pytest.raises(FeedError, match=r"its certificate is refused: .*bank\.example"):
        fetch(publisher.url("/list", "bank.example"), how={"resolvers": [str(resolver.end)]})
    resolver.close()


def test_no_network(fetch):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(FeedError, match=f"https://127.0.0.1:{port}/list") as caught:
        fetch(f"https://127.0.0.1:{port}/list")
    assert caught.value.passing


def test_no_resolver(fetch):
    resolver = Resolver()
    resolver.close()
    with pytest.raises(FeedError, match=r"Check fetch\.resolvers"):
        fetch("https://lists.example/list", how={"resolvers": [str(resolver.end)]})


def test_through_a_proxy(fetch, publisher):
    """The proxy is asked for the whole URL; it looks the host up, and no resolver of ours is asked."""
    proxy = Publisher()
    try:
        proxy.pages["http://lists.example/list"] = LIST
        nobody = endpoint("127.0.0.1:1")
        said = {"proxy": proxy.url(""), "resolvers": [str(nobody)]}
        assert fetch("http://lists.example/list", insecure=True, how=said).sha256 == DIGEST
    finally:
        proxy.close()


# Files of this machine.


def test_a_file(fetch, tmp_path, target):
    (tmp_path / "list.txt").write_bytes(LIST)
    assert fetch(f"file://{tmp_path}/list.txt") == Fetched(DIGEST, len(LIST))
    assert target.read_bytes() == LIST


def test_a_file_whose_name_must_be_written_otherwise_in_a_url(fetch, tmp_path):
    (tmp_path / "a list.txt").write_bytes(LIST)
    assert fetch(f"file://{tmp_path}/a%20list.txt").sha256 == DIGEST


def test_a_pipe_keeps_nobody_waiting(fetch, tmp_path):
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(FeedError, match="is no regular file"):
        fetch(f"file://{tmp_path}/list.txt")


@pytest.mark.parametrize(("content", "why"), [
    (None, "cannot be read: No such file"),
    (b"x" * ((1 << 20) + 1), "more than 1 MiB"),
    (b"<html>", "a web page"),
])  # fmt: skip
def test_a_file_that_is_no_list(fetch, tmp_path, content, why):
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(FeedError, match=why):
        fetch(f"file://{tmp_path}/list.txt")


def test_progress(publisher, authority, target):
    publisher.pages["/list"] = LIST
    heard = []
    feed = Feed(name="f", app="games", url=publisher.url("/list"))
    fetching.fetch(feed, Fetch(ca_file=authority.file), None, target, lambda *said: heard.append(said))
    assert heard == [(len(LIST), len(LIST))]
