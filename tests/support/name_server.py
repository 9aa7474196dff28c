"""A name server on loopback: some names lead somewhere, some nowhere, and on some it keeps silent."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import cast

_HEADER = 12
_ANSWER, _NO_SUCH_NAME = 0x8180, 0x8183
_TYPES = {4: 1, 6: 28}


class NameServer(asyncio.DatagramProtocol):
    """``address_of``: where a name leads; "" nowhere, None: it is never answered. Ends with its loop's transport."""

    def __init__(self, address_of: Callable[[str], str | None]) -> None:
        self._address_of = address_of
        self._transport: asyncio.DatagramTransport | None = None
        self.asked: list[str] = []
        self.heard = asyncio.Event()

    @property
    def authority(self) -> str:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        name, end = _question(data)
        self.asked.append(name)
        self.heard.set()
        address = self._address_of(name)
        if address is not None:
            self._transport.sendto(_answer(data, end, address), addr)


@asynccontextmanager
async def name_server(address_of: Callable[[str], str | None]) -> AsyncIterator[NameServer]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(address_of), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


def _question(data: bytes) -> tuple[str, int]:
    """The name that is asked for, in lower case, and where the question ends."""
    labels, at = [], _HEADER
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    return ".".join(labels), at + 5


def _answer(query: bytes, end: int, address: str) -> bytes:
    (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
    records = []
    if address and _TYPES[ip_address(address).version] == kind:
        packed = ip_address(address).packed
        # The name: a pointer to the question's. Class IN, kept for a minute.
        records.append(struct.pack("!HHHIH", 0xC000 | _HEADER, kind, 1, 60, len(packed)) + packed)
    flags = _ANSWER if address else _NO_SUCH_NAME
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[_HEADER:end] + b"".join(records)
