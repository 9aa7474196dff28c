"""Which IP addresses belong to the public Internet, and how an address is folded into a key.

The tables restate IANA's special-purpose registries (RFC 6890 and what was registered since) in our own, explicit form:
what the ``ipaddress`` module calls private or global changes between Python releases, and it calls some translation
prefixes global although they reach whatever IPv4 address they embed.
"""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv4 blocks that no other instance lives in.
_REFUSED_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "169.254.0.0/16",  # link-local, RFC 3927; clouds serve machine credentials here
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # TEST-NET-1, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # TEST-NET-2, RFC 5737
        "203.0.113.0/24",  # TEST-NET-3, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, and broadcast, RFC 1112 and 919
    )
)

#: The only IPv6 space IANA hands out as global unicast (RFC 4291 section 2.4). Outside it lie ``::``, ``::1``, the
#: IPv4-mapped and IPv4-compatible forms, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), 100::/64, 5f00::/16, fc00::/7,
#: fe80::/10, fec0::/10 and ff00::/8.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")

#: Exceptions inside global unicast.
_REFUSED_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, RFC 2928: Teredo, benchmarking, AMT, ORCHID, drone ids
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056: embeds any IPv4 address
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3ffe::/16",  # 6bone, given back, RFC 3701
        "3fff::/20",  # documentation, RFC 9637
    )
)

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII | re.IGNORECASE)
_DOTTED_QUAD = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}", re.ASCII)


def parse_address(text: str) -> Address | None:
    """An address out of its canonical text, IPv4-mapped IPv6 folded to IPv4; None for anything else.

    Zone ids (``fe80::1%eth0``), leading zeros and short forms (``127.1``) are not canonical.
    """
    if len(text) > 45 or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: str) -> bool:
    """Whether the text is the address of a machine on the public Internet: global unicast and nothing else.

    Whatever embeds an IPv4 address (mapped, NAT64, 6to4, Teredo) is refused as a whole, and so is text that is no
    canonical address.
    """
    if len(address) > 45 or "%" in address:
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in block for block in _REFUSED_V4)
    return parsed in _GLOBAL_V6 and not any(parsed in block for block in _REFUSED_V6)


def is_dotted_quad(host: str) -> bool:
    """Whether the host is an IPv4 address in the one spelling that every parser reads alike."""
    return _DOTTED_QUAD.fullmatch(host) is not None


def is_odd_spelling(host: str) -> bool:
    """Whether some resolvers would read the host as an IPv4 address although it is no dotted quad.

    ``2130706433``, ``0x7f.1``, ``127.1``, ``0177.0.0.1``: names whose last label is a number (WHATWG URL, "ends in a
    number"). No public name looks like that, so nothing is lost by refusing them.
    """
    labels = host.removesuffix(".").rsplit(".", 1)
    return _NUMBER.fullmatch(labels[-1]) is not None and not is_dotted_quad(host)


def network_key(address: str) -> str:
    """What to limit by: the IPv4 address itself, the /64 of an IPv6 address (one customer has at least that much).

    Text that is no address is returned as it is, cut to 64 characters.
    """
    parsed = parse_address(address)
    if parsed is None:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64)) + "/64"


def neighbourhood_key(address: str) -> str:
    """What several addresses of one hand mostly have in common: the /24 of an IPv4 address, the /48 of an IPv6 one.

    Text that is no address is returned as it is, cut to 64 characters.
    """
    parsed = parse_address(address)
    if parsed is None:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(ipaddress.IPv4Address(int(parsed) >> 8 << 8)) + "/24"
    return str(ipaddress.IPv6Address(int(parsed) >> 80 << 80)) + "/48"
