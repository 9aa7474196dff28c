"""The network between simulated instances: late, lossy, out of order, parted. No sockets; bodies are real."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Protocol

from foundation.clock import Clock

TIMEOUT_MS = 7_000
"""After so long a sender gives up, as the service's client does."""
LATENCY_MS = (10, 400)
LATE_MS = (8_000, 30_000)
"""What arrives after its sender gave up: behind what was sent later."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A signed POST as its receiver sees it. ``actor`` signed it, at ``signed_ms`` of its clock in whole seconds."""

    sender: str
    actor: str
    signed_ms: int
    body: bytes


class Instance(Protocol):
    """Takes part in the network under its host."""

    host: str
    clock: Clock

    async def receive(self, letter: Letter) -> int:
        """What the inbox answers: an HTTP status."""


@dataclass(slots=True)
class Traffic:
    posts: int = 0
    bytes: int = 0


class Network:
    """``loss`` is the share of exchanges that go wrong: a third of them lost on the way there, a third on the way
    back, a third arriving late. Hosts of different ``sides`` do not reach each other."""

    def __init__(self, chance: random.Random, clock: Clock, loss: float = 0.0) -> None:
        self._chance = chance
        self._clock = clock
        self.loss = loss
        self.sides: dict[str, int] = {}
        self.traffic: dict[str, Traffic] = {}
        self._instances: dict[str, Instance] = {}
        self._late: set[asyncio.Task[None]] = set()

    def join(self, instance: Instance) -> None:
        self._instances[instance.host] = instance
        self.traffic[instance.host] = Traffic()

    def heal(self) -> None:
        """From now on everything arrives; what is under way late still does."""
        self.loss = 0.0
        self.sides = {}

    async def post(self, to: str, letter: Letter) -> tuple[int, int] | None:
        """Status and the receiver's clock in whole seconds (Unix ms), or None when no answer came in time."""
        traffic = self.traffic[letter.sender]
        traffic.posts += 1
        traffic.bytes += len(letter.body)
        receiver = self._instances[to]
        fate = self._chance.random() / self.loss if self.loss else 1.0
        if self._parted(letter.sender, to) or fate < 1 / 3:
            await self._clock.sleep_ms(TIMEOUT_MS)
            return None
        if fate < 2 / 3:
            self._send_late(receiver, letter)
            await self._clock.sleep_ms(TIMEOUT_MS)
            return None
        await self._clock.sleep_ms(self._chance.randint(*LATENCY_MS))
        status = await receiver.receive(letter)
        date_ms = receiver.clock.now_ms() // 1_000 * 1_000
        if fate < 1:
            await self._clock.sleep_ms(TIMEOUT_MS)
            return None
        await self._clock.sleep_ms(self._chance.randint(*LATENCY_MS))
        return status, date_ms

    def _parted(self, one: str, other: str) -> bool:
        return self.sides.get(one, 0) != self.sides.get(other, 0)

    def _send_late(self, receiver: Instance, letter: Letter) -> None:
        async def arrive() -> None:
            await self._clock.sleep_ms(self._chance.randint(*LATE_MS))
            if not self._parted(letter.sender, receiver.host):
                await receiver.receive(letter)

        task = asyncio.create_task(arrive(), name="late letter")
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def close(self) -> None:
        tasks = list(self._late)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
