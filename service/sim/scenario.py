"""What happens in a simulation: people come and go over a bad network, then they stay, the network heals, and everybody
has to show the same."""

from __future__ import annotations

import asyncio
import random
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from service.sim.crowd import Crowd, Instance, seen_by
from service.sim.instance import LIFE_MS, Fediviews
from service.sim.network import Network
from service.sim.peertube import PeerTube, Version
from service.sim.timeline import VirtualClock
from views.model import Privacy, Video

SPLIT_EVERY_MS = 180_000
SPLIT_MS = (15_000, 150_000)
STEP_MS = 500
GHOSTS_MS = LIFE_MS
"""Who left without a word is counted for so long: it has to pass before numbers mean people again."""
PATIENCE_MS = 3 * LIFE_MS
"""How long is looked for the numbers to agree."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``instances`` of ours and as many PeerTubes as ``peertubes`` names, one video each; ``minutes`` of trouble.

    Wall clocks of ours are up to ``skew_ms`` wrong. The first of ours is ``off_ms`` ahead besides, and the first
    PeerTube, which holds what expires against its own clock, as much behind.
    """

    instances: int = 4
    peertubes: tuple[Version, ...] = (Version.V6_1, Version.V6_3, Version.V7_1, Version.V8_2)
    viewers: int = 120
    minutes: int = 20
    loss: float = 0.1
    split: bool = True
    skew_ms: int = 1_500
    off_ms: int = 0
    seed: int = 1


@dataclass(slots=True)
class Report:
    """Times are milliseconds from the healing; None: not within three lifetimes.

    ``agreed_ms``: all of ours show the number of people for all videos of ours. ``told_ms``: the PeerTubes were told
    it. ``shown_ms``: they show it, which takes until each has heard a total again. ``peertube_ms``: ours show the
    number of people for the videos of PeerTubes that say totals and extend viewers (7.1 and later; earlier ones count
    some viewers twice and cannot be exact, and whose clock is wrong loses viewers that others tell of). ``error`` and
    ``peertube_error`` are the mean errors while there was trouble, in viewers, of our numbers and of PeerTube's, of our
    videos.
    """

    agreed_ms: int | None = None
    told_ms: int | None = None
    shown_ms: int | None = None
    peertube_ms: int | None = None
    error: float = 0.0
    peertube_error: float = 0.0
    posts: int = 0
    peertube_posts: int = 0
    bytes: int = 0
    viewer_hours: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def converged(self) -> bool:
        """Whether all of ours agreed within one lifetime."""
        return self.agreed_ms is not None and self.agreed_ms <= LIFE_MS


def _video(number: int, host: str, account: str) -> Video:
    name = str(uuid.UUID(int=(number << 64) | (4 << 76) | (0b10 << 62)))
    return Video(
        number,
        name,
        f"https://{host}/videos/watch/{name}",
        host,
        False,
        f"of {host}",
        600,
        True,
        "main",
        Privacy.PUBLIC,
        0,
        0,
        owner=f"https://{host}/accounts/{account}",
    )


class Simulation:
    """Build it and ``run`` it once, on a virtual loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chance = chance = random.Random(plan.seed)  # noqa: S311
        loop = asyncio.get_running_loop()
        self._clock = VirtualClock(loop)
        self._network = Network(chance, self._clock, plan.loss)
        ours = [f"fediviews{number}.example" for number in range(plan.instances)]
        tubes = [(f"peertube{number}.example", version) for number, version in enumerate(plan.peertubes)]
        self._videos = [_video(number, host, "owner") for number, host in enumerate(ours, 1)]
        self._videos += [_video(number, host, "root") for number, (host, _) in enumerate(tubes, len(ours) + 1)]

        off_ms = {ours[0]: plan.off_ms} | {host: -plan.off_ms for host, _ in tubes[:1]}

        def make(host: str, version: Version | None) -> Instance:
            skew_ms = chance.randint(-plan.skew_ms, plan.skew_ms) if version is None else 0
            clock = VirtualClock(loop, skew_ms + off_ms.get(host, 0))
            videos = [seen_by(host, video) for video in self._videos]
            if version is None:
                return Fediviews(host, videos=videos, network=self._network, clock=clock, chance=chance)
            return PeerTube(host, version, videos=videos, network=self._network, clock=clock, chance=chance)

        everybody = [make(host, None) for host in ours] + [make(host, version) for host, version in tubes]
        self._everybody: list[Instance] = everybody
        self._ours = [one for one in everybody if isinstance(one, Fediviews)]
        self._tubes = [one for one in everybody if isinstance(one, PeerTube)]
        for one in everybody:
            self._network.join(one)
            others = [(other.host, other.software) for other in everybody if other is not one]
            if isinstance(one, Fediviews):
                one.meet(others)
            else:
                one.followers = [host for host, _ in others]
        self._crowd = Crowd(plan.viewers, everybody, self._videos, chance)
        self._errors: list[int] = []
        self._tube_errors: list[int] = []

    async def run(self) -> Report:
        report = Report()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._network.close)
            tasks = []
            for one in self._everybody:
                stack.push_async_callback(one.close)
                tasks.append(asyncio.create_task(one.run(), name=one.host))
            try:
                await self._trouble()
                self._network.heal()
                await self._watch(report)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        self._account(report)
        return report

    async def _trouble(self) -> None:
        end_ms = self._plan.minutes * 60_000
        split_ms, whole_ms = SPLIT_EVERY_MS, 0
        while (now_ms := self._clock.monotonic_ms()) < end_ms:
            self._crowd.staying = now_ms >= end_ms - GHOSTS_MS
            if self._plan.split and now_ms >= split_ms:
                split_ms += SPLIT_EVERY_MS
                whole_ms = now_ms + self._chance.randint(*SPLIT_MS)
                self._network.sides = {one.host: self._chance.randint(0, 1) for one in self._everybody}
            if now_ms >= whole_ms and not self._is_last_split(now_ms, end_ms):
                self._network.sides = {}
            await self._step(now_ms)
            if now_ms % 10_000 < STEP_MS and now_ms > LIFE_MS:
                await self._note_errors()
        self._crowd.staying = True

    def _is_last_split(self, now_ms: int, end_ms: int) -> bool:
        """The last one lasts until the healing."""
        return bool(self._network.sides) and now_ms + SPLIT_EVERY_MS >= end_ms

    async def _step(self, now_ms: int) -> None:
        await self._crowd.step(now_ms)
        await self._clock.sleep_ms(STEP_MS)

    async def _watch(self, report: Report) -> None:
        healed_ms = self._clock.monotonic_ms()
        while (now_ms := self._clock.monotonic_ms()) <= healed_ms + PATIENCE_MS:
            await self._step(now_ms)
            passed_ms = self._clock.monotonic_ms() - healed_ms
            # Agreement counts from when it held for good.
            report.agreed_ms = _held(report.agreed_ms, not await self._wrong_of_ours(), passed_ms)
            report.told_ms = _held(report.told_ms, self._told(), passed_ms)
            report.shown_ms = _held(report.shown_ms, await self._peertubes_show_ours(), passed_ms)
            report.peertube_ms = _held(report.peertube_ms, await self._peertubes_agree(), passed_ms)
        report.wrong = await self._wrong_of_ours()

    async def _wrong_of_ours(self) -> list[str]:
        """Numbers of our videos that are not those of the people, on our instances."""
        wrong = []
        for video in self._videos[: len(self._ours)]:
            people = self._crowd.present[video.url]
            for one in self._ours:
                shown = await one.shown(seen_by(one.host, video))
                if shown != people:
                    wrong.append(f"{one.host} shows {shown} for the video {video.name}, {people} watch it")
        return wrong

    def _told(self) -> bool:
        return all(
            tube.told.get(video.url, 0) == self._crowd.present[video.url]
            for tube in self._tubes
            for video in self._videos[: len(self._ours)]
        )

    async def _peertubes_show_ours(self) -> bool:
        for tube in self._tubes:
            for video in self._videos[: len(self._ours)]:
                if await tube.shown(seen_by(tube.host, video)) != self._crowd.present[video.url]:
                    return False
        return True

    async def _peertubes_agree(self) -> bool:
        for tube in self._tubes:
            if tube.version.appends or not tube.version.says_totals:
                continue
            video = next(video for video in self._videos if video.origin == tube.host)
            for one in self._ours:
                if await one.shown(seen_by(one.host, video)) != self._crowd.present[video.url]:
                    return False
        return True

    async def _note_errors(self) -> None:
        for video in self._videos[: len(self._ours)]:
            people = self._crowd.present[video.url]
            for one in self._everybody:
                if one.host != video.origin:
                    errors = self._errors if isinstance(one, Fediviews) else self._tube_errors
                    errors.append(abs(await one.shown(seen_by(one.host, video)) - people))

    def _account(self, report: Report) -> None:
        traffic = self._network.traffic
        report.posts = sum(traffic[one.host].posts for one in self._ours)
        report.bytes = sum(traffic[one.host].bytes for one in self._ours)
        report.peertube_posts = sum(traffic[one.host].posts for one in self._tubes)
        report.viewer_hours = self._crowd.watched_ms / 3_600_000
        report.error = sum(self._errors) / max(1, len(self._errors))
        report.peertube_error = sum(self._tube_errors) / max(1, len(self._tube_errors))


def _held(since_ms: int | None, holds: bool, passed_ms: int) -> int | None:
    if not holds:
        return None
    return passed_ms if since_ms is None else since_ms


async def simulate(plan: Plan) -> Report:
    return await Simulation(plan).run()
