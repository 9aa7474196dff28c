"""Delivers what waits for one receiver: in order per resource, several at once, until it is there or given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from outbox.retry import Meaning, RetryPolicy, may_be_poison
from outbox.waiting import wait_for
from outbox.webhooks.bodies import with_dropped
from outbox.webhooks.hooks import Hook
from outbox.webhooks.queue import Settled, Waiting, WebhookQueue
from outbox.webhooks.sender import Tried, WebhookSender

RETRY = RetryPolicy(first_ms=1_000, max_ms=300_000, poison_after=5)
"""How long a receiver that does not answer is left alone; after how many tries an event that breaks it is given up."""

ALONE_MS = 3_600_000
"""How long such an event is tried at least, while nothing else is taken either: the receiver may be what is broken."""

WINDOW = 200
"""Events read at once."""
LANES = 8
"""Resources told about at once."""
MAX_HELD = 50
"""Resources that may wait behind an event that failed; beyond it the receiver itself is in trouble."""
LOOK_EVERY_MS = 2_000
"""How often the queue is looked at unasked: other processes write into it too."""
STORE_WAIT_MS = 5_000

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Trouble:
    """Of one event that the receiver answers with a server's error: since when (``taken`` events ago), until when its
    resource waits."""

    first_ms: int
    taken: int
    failures: int = 0
    until_ms: int = 0


@dataclass(slots=True)
class _Round:
    settled: list[Settled] = field(default_factory=list)
    failure: Tried | None = None
    """The receiver is not there or does not let us in: nothing else is tried now."""
    stumbled: Tried | None = None
    refused: list[Tried] = field(default_factory=list)


class HookDelivery:
    """One receiver's task; ``start`` and ``stop`` once. ``settled`` hears of every outcome.

    While ``may_deliver`` says no of ``hook.id``, another process does it.
    """

    def __init__(
        self,
        hook: Hook,
        *,
        queue: WebhookQueue,
        sender: WebhookSender,
        clock: Clock,
        random: Callable[[], float],
        may_deliver: Callable[[str], bool],
        settled: Callable[[Hook, Settled], None],
        retry: RetryPolicy = RETRY,
        alone_ms: int = ALONE_MS,
    ) -> None:
        self.hook = hook
        self._queue = queue
        self._sender = sender
        self._clock = clock
        self._random = random
        self._may_deliver = may_deliver
        self._settled = settled
        self._retry = retry
        self._alone_ms = alone_ms
        self._taken = 0
        self._failures = 0
        self._failing: bool | None = None
        self._not_before_ms = 0
        self._troubles: dict[str, _Trouble] = {}
        self._attempts: dict[int, int] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def failing(self) -> bool:
        """It has taken nothing since it last failed or refused something, before a restart too."""
        return bool(self._failing)

    def wake(self) -> None:
        """There may be something new."""
        self._wake.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """What is under way is broken off and sent again after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                wait_ms = await self._serve() if self._may_deliver(self.hook.id) else LOOK_EVERY_MS
            except StorageUnavailable:
                wait_ms = STORE_WAIT_MS
            except Exception:
                _logger.exception("delivering webhooks met a bug; it goes on")
                wait_ms = STORE_WAIT_MS
            if wait_ms:
                await wait_for(self._wake, self._clock, wait_ms)

    async def _serve(self) -> int:
        """One round; how long until the next one, in milliseconds."""
        now_ms = self._clock.monotonic_ms()
        if now_ms < self._not_before_ms:
            await self._clock.sleep_ms(self._not_before_ms - now_ms)
            return 0
        held = [resource for resource, trouble in self._troubles.items() if trouble.until_ms > now_ms]
        if self._failing is None:
            self._failing = await self._queue.failures(self.hook.id) > 0
        items = await self._queue.waiting(self.hook.id, WINDOW, held)
        if not items:
            return self._until_next(held, now_ms)
        untold = await self._queue.untold(self.hook.id)
        done = await self._round(items, untold)
        if done.settled:
            await self._queue.settle(self.hook.id, done.settled, told=untold)
        for one in done.settled:
            self._attempts.pop(one.seq, None)
            self._settled(self.hook, one)
        await self._judge(done, len(held))
        return 0

    def _until_next(self, held: Sequence[str], now_ms: int) -> int:
        """Nothing to do but what is held: until then, or until somebody wrote something."""
        waits = [self._troubles[resource].until_ms - now_ms for resource in held]
        return max(1, min([LOOK_EVERY_MS, *waits]))

    async def _round(self, items: Sequence[Waiting], untold: int) -> _Round:
        lanes: dict[str, list[Waiting]] = {}
        for item in items:
            lanes.setdefault(item.resource, []).append(item)
        done, gate = _Round(), asyncio.Semaphore(LANES)
        rows = list(lanes.values())
        if self._failures or untold:
            # A receiver in trouble is asked with one event, not with eight; and one event tells what was dropped.
            await self._lane(rows[0][:1], done, gate, untold)
            return done
        await asyncio.gather(*(self._lane(row, done, gate, 0) for row in rows))
        return done

    async def _lane(self, items: Sequence[Waiting], done: _Round, gate: asyncio.Semaphore, untold: int) -> None:
        for item in items:
            async with gate:
                if done.failure is not None or not self._may_deliver(self.hook.id):
                    return
                if self._clock.now_ms() - item.created_ms > self.hook.max_age_ms:
                    self._troubles.pop(item.resource, None)
                    done.settled.append(self._over(item, "dropped", "too_old"))
                    continue
                self._attempts[item.seq] = self._attempts.get(item.seq, 0) + 1
                tried = await self._sender.send(self.hook, with_dropped(item.body, untold))
            if tried.delivered:
                self._taken += 1
                self._troubles.pop(item.resource, None)
                done.settled.append(self._over(item, "delivered", tried.reason, tried.status))
            elif tried.meaning is Meaning.REFUSED:
                done.refused.append(tried)
                done.settled.append(self._over(item, "dropped", tried.reason, tried.status))
            elif not may_be_poison(tried.status):
                done.failure = done.failure or tried
                return
            elif self._given_up(item, tried):
                done.settled.append(self._over(item, "dropped", "poison", tried.status))
            else:
                done.stumbled = tried
                return

    def _given_up(self, item: Waiting, tried: Tried) -> bool:
        """The receiver's own error at this event: its resource waits, the others do not. It is given up when the
        receiver stumbles over it again and again and takes others meanwhile."""
        now_ms = self._clock.monotonic_ms()
        trouble = self._troubles.setdefault(item.resource, _Trouble(now_ms, self._taken))
        trouble.failures += 1
        to_blame = self._taken > trouble.taken or now_ms - trouble.first_ms > self._alone_ms
        if trouble.failures >= self._retry.poison_after and to_blame:
            del self._troubles[item.resource]
            return True
        trouble.until_ms = now_ms + self._retry.wait_ms(trouble.failures, self._random, tried.retry_after_s)
        return False

    async def _judge(self, done: _Round, held: int) -> None:
        """What the round says of the receiver as a whole."""
        if done.failure is None and held > MAX_HELD:
            done.failure = done.stumbled
        took = any(one.delivered for one in done.settled)
        failed = done.failure or done.stumbled or (done.refused[-1] if done.refused else None)
        if failed is not None:
            times = (done.failure is not None) + (0 if took else (done.stumbled is not None) + len(done.refused))
            await self._queue.failed(self.hook.id, failed.reason, self._clock.now_ms(), times=times)
            self._failing = times > 0
        elif took:
            self._failing = False
        if done.failure is not None:
            self._failures += 1
            wait_ms = self._retry.wait_ms(self._failures, self._random, done.failure.retry_after_s)
            self._not_before_ms = self._clock.monotonic_ms() + wait_ms
        elif done.settled or done.stumbled is not None:
            # It answers: that it does not like an event is no trouble of its own.
            self._failures = 0

    def _over(self, item: Waiting, outcome: str, reason: str, status: int | None = None) -> Settled:
        attempts = self._attempts.get(item.seq, 0)
        return Settled(
            item.seq,
            item.event,
            item.event_id,
            outcome,
            reason,
            attempts,
            item.created_ms,
            self._clock.now_ms(),
            status,
            item.resource,
        )
