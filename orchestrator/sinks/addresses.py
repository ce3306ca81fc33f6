"""Where a webhook may go: never to this machine, a private network or a cloud's metadata, unless it is allowed.

What a name leads to is asked once, judged, and then connected to: a second question might be answered otherwise.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterator

from orchestrator.asking import NoAnswer

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
COMPATIBLE = ipaddress.ip_network("::/96")  # an IPv4 address in the oldest form
SITE_LOCAL = ipaddress.ip_network("fec0::/10")


async def resolved(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a host that may be connected to. NoAnswer when there is none, or when one of them is private."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoAnswer(f"{host} is not found: {error}") from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not addresses:
        raise NoAnswer(f"{host} is not found")
    if not allow_private and (odd := [each for each in addresses if not is_public(each)]):
        raise NoAnswer(
            f"{host} is {odd[0]}, an address of this machine or of a private network: if that is meant, say allow_private = true"
        )
    return addresses


def is_public(text: str) -> bool:
    """Whether an address is one of the internet, whichever way it is written into another."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return "%" not in text and all(map(_is_public, (address, *_inside(address))))


def _is_public(address: Address) -> bool:
    odd = (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or address.is_loopback
        or address.is_link_local
    )
    return address.is_global and not odd and address not in SITE_LOCAL


def _inside(address: Address) -> Iterator[Address]:
    """The IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in COMPATIBLE or any(address in each for each in NAT64):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
