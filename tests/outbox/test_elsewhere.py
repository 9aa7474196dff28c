"""What one process hears of a host reaches the one that serves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from foundation.leases import Alone
from foundation.news import Hear
from outbox.elsewhere import Elsewhere

MINE, THEIRS = "mine.example", "theirs.example"


class Line:
    """News that arrive at once, at everybody but the teller."""

    def __init__(self, wire: list[Line]) -> None:
        self._wire, self._ears = wire, dict[str, Hear]()
        self.told: list[tuple[str, str]] = []
        wire.append(self)

    def tell(self, topic: str, key: str) -> None:
        self.told.append((topic, key))

    def hear(self, topic: str, listener: Hear) -> None:
        self._ears[topic] = listener

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    async def arrive(self) -> None:
        for topic, key in self.told:
            for other in self._wire:
                if other is not self:
                    await other._ears[topic](key)
        self.told.clear()


class Holding(Alone):
    def __init__(self, *hosts: str) -> None:
        self._hosts = hosts

    def holds(self, name: str) -> bool:
        return name in self._hosts


class Process:
    def __init__(self, wire: list[Line], *hosts: str, troubled: Sequence[str] = ()) -> None:
        self.done: list[str] = []
        self.news = Line(wire)

        async def read() -> Iterable[str]:
            return troubled

        self.elsewhere = Elsewhere(deliverer=self, leases=Holding(*hosts), news=self.news, troubled=read)

    def spoke(self, host: str) -> None:
        self.done.append(f"spoke {host}")

    def hurry(self, host: str) -> None:
        self.done.append(f"hurry {host}")


async def test_the_word_of_a_host_in_trouble_is_passed_on_once_to_whom_it_concerns() -> None:
    wire: list[Line] = []
    here = Process(wire, MINE, troubled=(MINE, THEIRS))
    there, third = Process(wire, THEIRS), Process(wire)
    here.elsewhere.spoke(THEIRS)
    assert here.news.told == []
    await here.elsewhere.look()
    for host in (THEIRS, THEIRS, MINE, "well.example"):
        here.elsewhere.spoke(host)
    await here.news.arrive()
    assert (here.done, there.done, third.done) == ([], [f"spoke {THEIRS}"], [])


async def test_an_administrator_reaches_the_process_that_serves() -> None:
    wire: list[Line] = []
    here, there = Process(wire, MINE), Process(wire, THEIRS)
    here.elsewhere.hurry(MINE)
    here.elsewhere.hurry(THEIRS)
    await here.news.arrive()
    assert (here.done, there.done) == ([f"hurry {MINE}"], [f"hurry {THEIRS}"])


async def test_news_that_were_missed_mean_nothing() -> None:
    wire: list[Line] = []
    here, there = Process(wire, MINE), Process(wire, THEIRS, "")
    for topic in ("peer spoke", "hurry to peer"):
        here.news.tell(topic, "")
    await here.news.arrive()
    assert there.done == []
