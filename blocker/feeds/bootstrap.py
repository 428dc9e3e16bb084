"""Finds the addresses of feed hosts by asking resolvers directly, so that a node that is its own DNS can fetch.

Connections then go to an address; TLS still asks for and checks the host's name, so a lie about the address can
stop a fetch and nothing more.
"""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
import httpx2

from blocker.config import Endpoint
from blocker.errors import FeedError

_UDP_SIZE: Final = 1232  # octets: fits any path without fragments (DNS flag day 2020)
_MOST: Final = 8  # addresses tried for one host

LookUp = Callable[[str], Awaitable[Sequence[str]]]
"""A host's name -> its addresses. Raises FeedError."""


async def addresses(host: str, resolvers: Sequence[Endpoint], timeout: float) -> tuple[str, ...]:
    """Return the addresses of `host`, asking `resolvers` one after the other for `timeout` seconds altogether.

    IPv4 comes first: where IPv6 leads nowhere, each attempt would have to time out. Raises FeedError.
    """
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(str(each.address), each.port) for each in resolvers]
    resolver.lifetime = timeout
    resolver.use_edns(0, 0, _UDP_SIZE)
    asked = ", ".join(map(str, resolvers))
    try:
        found = await resolver.resolve_name(f"{host}.", search=False)
    except dns.resolver.NoAnswer as error:
        raise FeedError(f"{host} has no address (asked {asked}). Check the feed's URL.") from error
    except dns.exception.DNSException as error:
        passing = not isinstance(error, dns.resolver.NXDOMAIN)
        raise FeedError(
            f"the address of {host} cannot be found ({type(error).__name__}; asked {asked}). Check fetch.resolvers.",
            passing=passing,
        ) from error
    return tuple(sorted(set(found.addresses()), key=lambda each: ":" in each)[:_MOST])


class Directed(httpx2.AsyncBaseTransport):
    """Connects to the addresses that `look_up` tells; everything else stays as requested."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, look_up: LookUp) -> None:
        self._inner = inner
        self._look_up = look_up

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request` to the first address of its host that takes the connection."""
        host = request.url.raw_host.decode()
        if _is_address(host):
            return await self._inner.handle_async_request(request)
        *others, last = await self._look_up(host)
        for address in others:
            try:
                return await self._inner.handle_async_request(_to(address, host, request))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_to(last, host, request))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _to(address: str, host: str, request: httpx2.Request) -> httpx2.Request:
    """Return `request` on its way to `address`: the Host header and the name that TLS checks stay those of `host`."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        extensions={**request.extensions, "sni_hostname": host},
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
