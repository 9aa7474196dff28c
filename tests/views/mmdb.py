"""Writes small databases in MaxMind's format 2.0: ``from mmdb import write_mmdb``."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

MARKER = b"\xab\xcd\xefMaxMind.com"
_STRING, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11


class _Unsigned(int):
    kind = _UINT32


class _Short(_Unsigned):
    kind = _UINT16


class _Long(_Unsigned):
    kind = _UINT64


def write_mmdb(
    networks: Mapping[str, Any],
    *,
    database_type: str = "Test",
    description: str = "",
    built_s: int = 1_790_000_000,
    ip_version: int = 6,
) -> bytes:
    """A database that maps networks (CIDR) to records of dicts, lists and strings. IPv4 stands at ``::/96``."""
    nodes: list[list[int | None]] = [[None, None]]
    data, offsets = bytearray(), []
    for text, record in networks.items():
        offsets.append(len(data))
        data += _encode(record)
        _insert(nodes, _bits(text, ip_version), -len(offsets))
    count = len(nodes)
    tree = bytearray()
    for node in nodes:
        for value in node:
            number = count if value is None else value if value >= 0 else count + 16 + offsets[-value - 1]
            tree += struct.pack(">I", number)
    metadata = {
        "binary_format_major_version": _Short(2),
        "binary_format_minor_version": _Short(0),
        "build_epoch": _Long(built_s),
        "database_type": database_type,
        "description": {"en": description} if description else {},
        "ip_version": _Short(ip_version),
        "languages": ["en"],
        "node_count": _Unsigned(count),
        "record_size": _Short(32),
    }
    return bytes(tree) + bytes(16) + bytes(data) + MARKER + _encode(metadata)


def _bits(text: str, ip_version: int) -> str:
    network = ipaddress.ip_network(text)
    bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
    return "0" * 96 + bits if ip_version == 6 and network.version == 4 else bits


def _insert(nodes: list[list[int | None]], bits: str, value: int) -> None:
    at = 0
    for bit in bits[:-1]:
        following = nodes[at][int(bit)]
        if following is None:
            nodes.append([None, None])
            following = nodes[at][int(bit)] = len(nodes) - 1
        at = following
    nodes[at][int(bits[-1])] = value


def _encode(value: Any) -> bytes:
    if isinstance(value, str):
        raw = value.encode()
        return _control(_STRING, len(raw)) + raw
    if isinstance(value, Mapping):
        return _control(_MAP, len(value)) + b"".join(_encode(key) + _encode(each) for key, each in value.items())
    if isinstance(value, list):
        return _control(_ARRAY, len(value)) + b"".join(map(_encode, value))
    number = value if isinstance(value, _Unsigned) else _Unsigned(value)
    raw = int(number).to_bytes(8, "big").lstrip(b"\0")
    return _control(number.kind, len(raw)) + raw


def _control(kind: int, size: int) -> bytes:
    extended = b"" if kind < 8 else bytes([kind - 7])
    first = (kind << 5) if kind < 8 else 0
    if size < 29:
        return bytes([first | size]) + extended
    assert size < 285
    return bytes([first | 29]) + extended + bytes([size - 29])
