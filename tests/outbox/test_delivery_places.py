"""Who gets a place next: by turns the best and the one that waits longest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from outbox.places import Places


class Queue:
    """Waiters that write down who was served, and leave when they are told to."""

    def __init__(self, count: int) -> None:
        self.places = Places(count)
        self.served: list[str] = []
        self.leave: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, rank: int) -> None:
        self.leave[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, rank))
        await settle()

    async def _stay(self, name: str, rank: int) -> None:
        async with self.places.place(rank):
            self.served.append(name)
            await self.leave[name].wait()

    async def go(self, name: str) -> None:
        self.leave[name].set()
        await settle()

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def served(ranks: Sequence[int], count: int = 1) -> list[str]:
    """In which order waiters called by their ranks and arrival are served, one after the other."""
    queue = Queue(count)
    for number, rank in enumerate(ranks):
        await queue.come(f"{rank}.{number}", rank)
    done = 0
    while done < len(queue.served):
        await queue.go(queue.served[done])
        done += 1
    await queue.end()
    return queue.served


async def test_the_best_and_the_longest_waiting_get_places_by_turns() -> None:
    assert await served([0, 5, 5, 5, 1, 5, 2]) == ["0.0", "1.4", "5.1", "2.6", "5.2", "5.3", "5.5"]


async def test_equals_are_served_as_they_came() -> None:
    assert await served([3] * 6, count=2) == [f"3.{number}" for number in range(6)]


async def test_who_gives_up_waiting_takes_no_place_with_him() -> None:
    queue = Queue(1)
    for name in ("first", "gone", "broken", "last"):
        await queue.come(name, 0)
    queue.tasks["gone"].cancel()
    await settle()
    assert queue.places.waiting == 2
    # The place is given to one in the same moment in which it is broken off.
    queue.leave["first"].set()
    await asyncio.sleep(0)
    queue.tasks["broken"].cancel()
    await settle()
    assert queue.served == ["first", "last"]
    await queue.go("last")
    await queue.come("next", 0)
    assert queue.served[-1] == "next"
    await queue.end()


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 4))
def test_everybody_is_served_once(ranks: list[int], count: int) -> None:
    async def play() -> None:
        names = await served(ranks, count)
        assert sorted(names) == sorted(f"{rank}.{number}" for number, rank in enumerate(ranks))

    asyncio.run(play())
