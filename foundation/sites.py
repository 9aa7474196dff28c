"""Which hosts are of one owner as far as anybody can tell: those under one domain that somebody registered.

The public suffix list says where registering begins (https://publicsuffix.org, private part included, so that the
customers of a hosting provider stay apart). It comes with the package and is never fetched.
"""

from __future__ import annotations

from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

from foundation.addresses import network_key, parse_address

REMEMBERED = 32_768
"""Hosts whose site is remembered."""


@lru_cache(maxsize=REMEMBERED)
def site_of(authority: str) -> str:
    """The registrable domain of an authority; of an address itself, whatever its port (IPv6: its /64).

    A public suffix that is a host, and a name of one label, are sites of their own.
    """
    host = authority if authority.endswith("]") else _without_port(authority)
    if parse_address(host.strip("[]")) is not None:
        return network_key(host.strip("[]"))
    return _suffixes().privatesuffix(host) or host


@lru_cache(maxsize=REMEMBERED)
def provider_of(authority: str) -> str:
    """What was registered below a suffix that a registry runs: whose customers the sites below it are, where there are
    any. For most hosts it is their site."""
    site = site_of(authority)
    if "." not in site or site.endswith("/64") or parse_address(site) is not None:
        return site
    return _registries().privatesuffix(site) or site


def _without_port(authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdecimal() else authority


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@cache
def _registries() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)
