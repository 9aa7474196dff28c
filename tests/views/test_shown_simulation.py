"""The number shown on a remote video, minute by minute, beside PeerTube's rule: simulated origins, delays, leavers.

The origin has a constant number of viewers of its own; viewers of ours come and go. What should be shown is the
origin's own plus our live ones. Everything of ours is the real thing; the origin is played here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum

import pytest
from live import House, video

from views.ports import OriginTraits, Tell
from views.viewers import Lifetimes

FOREIGN = 40
MINUTES = 40
LIFE_MS = Lifetimes().viewer_ms
THEIRS = video(2, "origin.example")


class Software(Enum):
    PEERTUBE_6_3 = "appends a viewer that is told again"
    PEERTUBE_7_1 = "extends it"
    FEDIVIEWS = "extends it, and says how many of a total are ours"


TRAITS = {
    Software.PEERTUBE_6_3: OriginTraits(resend_after=0.95, appends=True),
    Software.PEERTUBE_7_1: OriginTraits(),
    Software.FEDIVIEWS: OriginTraits(says_yours=True),
}


@dataclass
class Origin:
    """Applies a View ``lag_ms`` after it has answered; its clock (after correction) is ``skew_ms`` ahead."""

    software: Software
    lag_ms: int
    skew_ms: int
    views: list[tuple[int, str, int]] = field(default_factory=list)
    last_total: tuple[int, int] = (0, -1)

    def take(self, tell: Tell, applied_ms: int) -> None:
        self.views.append((applied_ms, tell.wire_id, tell.expires_ms))

    def ours(self, now_ms: int) -> int:
        """How many viewers it believes that we have."""
        known = [(name, until) for at, name, until in self.views if at <= now_ms and until > now_ms + self.skew_ms]
        return len(known) if self.software is Software.PEERTUBE_6_3 else len({name for name, _ in known})

    def total(self, now_ms: int) -> tuple[int, int, int] | None:
        """(count, life, ours) when it sends one: PeerTube every two minutes, Fediviews when it moved, within 3 s."""
        ours = self.ours(now_ms)
        count, (sent_ms, last) = FOREIGN + ours, self.last_total
        if self.software is Software.FEDIVIEWS:
            life_ms, wait_ms = 2 * LIFE_MS, (3_000 if count != last else 90_000)
        else:
            life_ms = wait_ms = LIFE_MS
        if now_ms - sent_ms < wait_ms:
            return None
        self.last_total = (now_ms, count)
        return count, life_ms, ours


class PeerTubeRule:
    """What PeerTube 6.3 shows: a total wipes everything, and whoever of its own is heard next is added to it."""

    def __init__(self) -> None:
        self.total = (0, 0)
        self.own: dict[bytes, int] = {}

    def shown(self, now_ms: int) -> int:
        count, until = self.total
        return (count if until > now_ms else 0) + sum(end > now_ms for end in self.own.values())


@dataclass
class Errors:
    ours: float
    peertube: float
    worst: int


async def simulate(software: Software, lag_ms: int, skew_ms: int, seed: int) -> Errors:
    chance = random.Random(seed)
    house, origin, rule = House(), Origin(software, lag_ms, skew_ms), PeerTubeRule()
    house.put(THEIRS)
    house.announcer.traits = TRAITS[software]
    here: dict[bytes, int] = {}
    acks: list[tuple[int, Tell]] = []
    totals: list[tuple[int, int, int, int, int]] = []
    ours: list[int] = []
    peertubes: list[int] = []
    for second in range(MINUTES * 60):
        house.clock.advance(1_000)
        now = house.clock.now_ms()
        await house.viewers.sweep()
        if chance.random() < 1 / 12:
            here[chance.randbytes(16)] = now + int(chance.expovariate(1 / 200_000))
        for number, (viewer, until) in enumerate(list(here.items())):
            if until <= now:
                del here[viewer]
                if chance.random() < 0.5:
                    await house.viewers.left(THEIRS, viewer)
                    rule.own.pop(viewer, None)
            elif (second + number) % 5 == 0:
                await house.viewers.watching(THEIRS, viewer)
                rule.own[viewer] = now + LIFE_MS
        for tell in house.announcer.tells:
            acked_ms = now + chance.randint(50, 900)
            acks.append((acked_ms, tell))
            origin.take(tell, acked_ms + lag_ms)
        house.announcer.tells.clear()
        for acked_ms, tell in [ack for ack in acks if ack[0] <= now]:
            await house.viewers.told(tell, acked_ms)
        acks = [ack for ack in acks if ack[0] > now]
        sent = origin.total(now)
        if sent is not None:
            totals.append((now + chance.randint(50, 1_500), now, *sent))
        for _, signed, count, life, yours in [total for total in totals if total[0] <= now]:
            said = yours if TRAITS[software].says_yours else None
            signed += skew_ms
            await house.viewers.remote_total(THEIRS, "origin.example", count, signed + life, signed, signed, said, life)
            rule.total, rule.own = (count, signed + life), {}
        totals = [total for total in totals if total[0] > now]
        if second > 300:
            shown = await house.viewers.shown(THEIRS)
            truth = FOREIGN + shown.local
            ours.append(abs(shown.viewers - truth))
            peertubes.append(abs(rule.shown(now) - truth))
    return Errors(sum(ours) / len(ours), sum(peertubes) / len(peertubes), max(ours))


@pytest.mark.parametrize("software", Software, ids=lambda software: software.name)
@pytest.mark.parametrize("skew_ms", [-2_000, 0, 2_000])
async def test_the_number_is_right_within_one_viewer_on_average(software: Software, skew_ms: int) -> None:
    errors = [await simulate(software, 1_500, skew_ms, seed) for seed in range(3)]
    mean = sum(error.ours for error in errors) / len(errors)
    peertube = sum(error.peertube for error in errors) / len(errors)
    assert mean < 1
    assert mean < peertube / 5
    assert max(error.worst for error in errors) <= 6


async def test_it_stays_better_when_the_inbox_of_the_origin_lags() -> None:
    error = await simulate(Software.PEERTUBE_7_1, 10_000, 0, 1)
    assert error.ours < 2
    assert error.ours < error.peertube / 3
