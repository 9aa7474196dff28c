"""The address guard: nothing is dialled but public addresses, whatever a name resolves to.

Three nets, because names lie and answers change: `HttpClient` refuses literal addresses and special names before
anything happens; `GuardedResolver` drops the non-public part of every answer, and what it leaves is what gets dialled,
so a name that rebinds between two look-ups gains nothing; `guarded_socket` looks once more at the very address of
every connection attempt.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

from foundation.addresses import is_public, parse_address

#: Names that never mean a host of the public Internet: RFC 6761, 6762, 7686, 8375, and .internal, reserved by ICANN.
SPECIAL_NAMES = ("localhost", "local", "internal", "onion", "home.arpa")

_SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
_AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, _SocketAddress]


class NotPublicError(OSError):
    """A name resolves to no public address, or a non-public address was about to be dialled."""


def is_dialable(host: str) -> bool:
    """Whether a host in canonical form may be looked up or dialled at all: a public literal or an ordinary name."""
    if parse_address(host) is not None:
        return is_public(host)
    return not any(host == name or host.endswith("." + name) for name in SPECIAL_NAMES)


class SystemResolver(AbstractResolver):
    """getaddrinfo in threads of its own: knows every source of names that the system knows, in plugins of NSS too.

    A name that hangs holds a thread until the system gives up, ten seconds mostly, and the process's end with it.
    """

    def __init__(self, threads: int = 32) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        infos = await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG),
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, proto, _, address in infos
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """Another resolver's answers without their non-public addresses; `NotPublicError` when nothing is left.

    Only dropping, not refusing the name as a whole, keeps hosts reachable from networks whose name server adds NAT64
    addresses to every answer.
    """

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if found and not public:
            raise NotPublicError("the name resolves to no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def guarded_socket(info: _AddressInfo) -> socket.socket:
    """aiohttp's ``socket_factory``: a socket for this address, `NotPublicError` when the address is not public."""
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise NotPublicError("not a public address")
    return socket.socket(family, kind, protocol)
