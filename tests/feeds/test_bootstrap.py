"""Addresses of feed hosts from resolvers that are asked directly, and connections to them under the host's name."""

import asyncio
import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import httpx2
import pytest

from blocker.config import endpoint
from blocker.errors import FeedError
from blocker.feeds import bootstrap

PATIENCE = 5.0


class Resolver:
    """A resolver on loopback that tells what a test has put into `records`, (name, type) -> values."""

    def __init__(self):
        self.records = {}
        self.rcode = dns.rcode.NOERROR
        self.silent = False
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.02)
        self._open = True
        self.end = endpoint(f"127.0.0.1:{self._socket.getsockname()[1]}")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while self._open:
            try:
                wire, who = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            query = dns.message.from_wire(wire)
            question = query.question[0]
            asked = (question.name.to_text(omit_final_dot=True), question.rdtype.name)
            self.asked.append(asked)
            if self.silent:
                continue
            response = dns.message.make_response(query)
            response.flags |= dns.flags.RA
            response.set_rcode(self.rcode)
            if values := self.records.get(asked):
                response.answer.append(dns.rrset.from_text(question.name, 60, "IN", asked[1], *values))
            self._socket.sendto(response.to_wire(), who)

    def close(self):
        self._open = False
        self._thread.join()
        self._socket.close()


@pytest.fixture
def resolver():
    made = Resolver()
    yield made
    made.close()


def addresses(host, *resolvers, timeout=PATIENCE):
    return asyncio.run(bootstrap.addresses(host, [each.end for each in resolvers], timeout))


def test_ipv4_comes_first(resolver):
    resolver.records["lists.example", "AAAA"] = ["2001:db8::1"]
    resolver.records["lists.example", "A"] = ["192.0.2.1"]
    assert addresses("lists.example", resolver) == ("192.0.2.1", "2001:db8::1")


def test_one_family_is_enough(resolver):
    resolver.records["lists.example", "AAAA"] = ["2001:db8::1"]
    assert addresses("lists.example", resolver) == ("2001:db8::1",)


def test_another_resolver_is_asked(resolver):
    broken = Resolver()
    broken.rcode = dns.rcode.SERVFAIL
    resolver.records["lists.example", "A"] = ["192.0.2.1"]
    assert addresses("lists.example", broken, resolver) == ("192.0.2.1",)
    broken.close()


@pytest.mark.parametrize(("state", "passing", "why"), [
    ({"rcode": dns.rcode.NXDOMAIN}, False, "NXDOMAIN"),
    ({"rcode": dns.rcode.SERVFAIL}, True, "cannot be found"),
    ({"silent": True}, True, "LifetimeTimeout"),
    ({}, False, "has no address"),
])  # fmt: skip
def test_no_address(resolver, state, passing, why):
    vars(resolver).update(state)
    with pytest.raises(FeedError, match=why) as caught:
        addresses("lists.example", resolver, timeout=0.5 if resolver.silent else PATIENCE)
    assert caught.value.passing is passing
    assert str(resolver.end) in str(caught.value)


class Seen(httpx2.AsyncBaseTransport):
    """Takes connections to some addresses only, and remembers all."""

    def __init__(self, *reachable):
        self.reachable = reachable
        self.requests = []

    async def handle_async_request(self, request):
        self.requests.append(request)
        if request.url.host not in self.reachable:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200)


def sent(inner, url, *told):
    async def look_up(host):
        assert host == "lists.example"
        return told

    async def send():
        async with httpx2.AsyncClient(transport=bootstrap.Directed(inner, look_up)) as client:
            return await client.get(url, headers={"X-Own": "1"})

    return asyncio.run(send())


def test_the_connection_goes_to_the_address_under_the_name_of_the_host():
    seen = Seen("192.0.2.1")
    assert sent(seen, "https://lists.example:8443/a?b=c", "192.0.2.1").status_code == 200
    (request,) = seen.requests
    assert str(request.url) == "https://192.0.2.1:8443/a?b=c"
    assert (request.headers["Host"], request.headers["X-Own"]) == ("lists.example:8443", "1")
    assert request.extensions["sni_hostname"] == "lists.example"


def test_the_next_address_is_tried():
    seen = Seen("2001:db8::1")
    assert sent(seen, "https://lists.example/", "192.0.2.1", "2001:db8::1").status_code == 200
    assert [str(request.url) for request in seen.requests] == ["https://192.0.2.1/", "https://[2001:db8::1]/"]


def test_no_address_takes_the_connection():
    with pytest.raises(httpx2.ConnectError):
        sent(Seen(), "https://lists.example/", "192.0.2.1", "192.0.2.2")


@pytest.mark.parametrize("url", ["https://192.0.2.9/", "https://[2001:db8::9]/"])
def test_an_address_is_not_looked_up(url):
    assert sent(Seen("192.0.2.9", "2001:db8::9"), url).status_code == 200
