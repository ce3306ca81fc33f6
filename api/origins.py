"""Which `Host`, `Origin` and `Sec-Fetch-Site` values belong to this server: pure functions over header text.

A page in a browser reaches a server on this machine by a foreign Origin, by a name that it rebinds to a loopback
address (then Host is that name), or from another port. Never resolves a name and never guesses at bad text.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

# `name`, `name:port`, `1.2.3.4:port`, `[v6]` or `[v6]:port`; nothing else is a Host, no userinfo, no zone, no space.
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_OWN_FETCHES = frozenset({"same-origin", "none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Authority:
    """A host (lower case, IPv6 in its brackets) and a port, None when none is written."""

    host: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """The host and port of `Host` or of an URL's authority; None for anything that is not exactly that."""
    return _parsed(text) if len(text) <= 300 else None  # no name is longer; and what is remembered stays small


@lru_cache(maxsize=256)  # the same few names come with every request
def _parsed(text: str) -> Authority | None:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and port > 65535:
        return None
    return Authority(match["host"].lower(), port)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether this host names this machine: `localhost`, `[::1]` or an address in 127/8, written in full."""
    if host == "localhost":
        return True
    try:
        if host.startswith("["):
            return ipaddress.IPv6Address(host[1:-1]) == ipaddress.IPv6Address("::1")
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Origins:
    """The names this server answers to: the loopback ones, and the one people were given."""

    public: Authority | None
    public_scheme: str

    @classmethod
    def of(cls, public_base_url: str) -> Origins:
        """From the configured base URL, e.g. `http://127.0.0.1:8083`; ValueError when it has no usable host."""
        parts = urlsplit(public_base_url)
        public = parse_authority(parts.netloc)
        if public is None or parts.scheme not in _DEFAULT_PORTS:
            raise ValueError(f"public_base_url must look like http://127.0.0.1:8083, not {public_base_url!r}")
        return cls(public, parts.scheme)

    def host(self, text: str) -> Authority | None:
        """The Host header's authority if it names this server, else None."""
        authority = parse_authority(text)
        if authority is None:
            return None
        ours = is_loopback(authority.host) or (self.public is not None and authority.host == self.public.host)
        return authority if ours else None

    def origin(self, text: str, host: Authority) -> bool:
        """Whether a page of this origin is one of ours: that of the Host it calls, or the public one.

        Another port of the same machine is another program's page, so it is foreign.
        """
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        authority = parse_authority(rest)
        if not separator or authority is None or scheme not in _DEFAULT_PORTS:
            return False
        if _same(authority, host, scheme):
            return True
        return self.public is not None and scheme == self.public_scheme and _same(authority, self.public, scheme)

    @staticmethod
    def fetch_site(text: str) -> bool:
        """Whether a browser says that the request comes from our own page or from the person's own hand."""
        return text in _OWN_FETCHES


def _same(one: Authority, other: Authority, scheme: str) -> bool:
    default = _DEFAULT_PORTS[scheme]
    return one.host == other.host and (one.port or default) == (other.port or default)
