"""Instances of real parts agree after whatever the network did to them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from foundation.clock import Clock
from outbox.routing import PeerRoutes
from service.cli import main
from service.sim.command import MAX_INSTANCES, plan_of
from service.sim.instance import LIFE_MS, Fediviews
from service.sim.network import LATE_MS, TIMEOUT_MS, Letter, Network
from service.sim.peertube import Version
from service.sim.scenario import PATIENCE_MS, Plan, Report, Simulation, simulate
from service.sim.timeline import Stuck, VirtualClock, run

SMALL = Plan(viewers=40, minutes=10)


@pytest.mark.parametrize(
    "plan",
    [
        replace(SMALL, seed=11, loss=0.0, split=False),
        replace(SMALL, seed=12, loss=0.3),
        replace(SMALL, seed=13, loss=0.1, instances=2, peertubes=()),
        replace(SMALL, seed=14, loss=0.1, instances=8, peertubes=(Version.V8_2,)),
        replace(SMALL, seed=15, loss=0.1, skew_ms=600_000),
        replace(SMALL, seed=16, loss=0.1, off_ms=600_000),
        replace(SMALL, seed=17, loss=0.1, off_ms=-600_000),
        *(replace(SMALL, seed=seed, loss=0.15, peertubes=(version, version)) for seed, version in enumerate(Version)),
    ],
    ids=str,
)
def test_all_of_ours_show_the_number_of_people_within_one_lifetime(plan: Plan) -> None:
    report = run(simulate(plan))
    assert report.wrong == []
    assert report.agreed_ms is not None
    assert report.agreed_ms <= LIFE_MS
    assert report.told_ms is not None
    assert report.told_ms <= LIFE_MS
    assert report.shown_ms is not None
    assert report.shown_ms <= LIFE_MS


@pytest.mark.parametrize("version", [Version.V7_1, Version.V8_2])
def test_videos_of_a_peertube_that_extends_viewers_are_exact_as_well(version: Version) -> None:
    """Its sweep takes two minutes, and it tells once: two lifetimes and what a letter takes."""
    report = run(simulate(replace(SMALL, seed=21, loss=0.2, peertubes=(version,))))
    assert report.peertube_ms is not None
    assert report.peertube_ms <= 2 * LIFE_MS + 5_000


def test_a_peertube_whose_clock_is_ahead_shows_nothing_unless_it_is_told_in_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = replace(SMALL, seed=22, off_ms=-600_000)
    assert run(simulate(plan)).shown_ms is not None
    monkeypatch.setattr(PeerRoutes, "_clock_ahead_ms", lambda self, host: 0)
    assert (run(simulate(plan)).shown_ms or PATIENCE_MS) > 2 * LIFE_MS


def test_the_same_seed_is_the_same_course_and_another_is_not() -> None:
    plan = Plan(seed=31, viewers=20, minutes=6)
    first = run(simulate(plan))
    assert run(simulate(plan)) == first
    assert run(simulate(Plan(seed=32, viewers=20, minutes=6))) != first


def test_we_need_a_fraction_of_the_messages() -> None:
    """As many videos and viewers on either side."""
    report = run(simulate(replace(SMALL, seed=41, viewers=160, loss=0.0, split=False)))
    assert report.posts < report.peertube_posts / 2
    assert 0 < report.error < report.peertube_error


def test_a_network_that_never_heals_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "heal", lambda self: setattr(self, "loss", 0.9))
    report = run(simulate(replace(SMALL, seed=51, loss=0.9, peertubes=(), instances=4)))
    assert not report.converged


def test_who_is_never_told_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def deaf(self: Fediviews, letter: Letter) -> int:
        return 204

    monkeypatch.setattr(Fediviews, "receive", deaf)
    report = run(simulate(replace(SMALL, seed=52)))
    assert not report.converged
    assert report.wrong


def test_what_peertubes_forward_is_dropped_by_ours() -> None:
    async def work() -> set[str]:
        simulation = Simulation(replace(SMALL, seed=61, instances=2))
        await simulation.run()
        return {entry.reason for one in simulation._ours for entry in one.quarantine.newest(1_000)}

    assert "forwarded" in run(work())


# The network and the clock


class Ear:
    """Keeps what it hears."""

    def __init__(self, host: str, clock: VirtualClock) -> None:
        self.host = host
        self.clock: Clock = clock
        self.heard: list[bytes] = []

    async def receive(self, letter: Letter) -> int:
        self.heard.append(letter.body)
        return 204


def letters(loss: float, count: int, *, parted: bool = False) -> tuple[list[object], list[bytes], int]:
    async def work() -> tuple[list[object], list[bytes], int]:
        clock = VirtualClock(asyncio.get_running_loop())
        network = Network(random.Random(1), clock, loss)
        ears = [Ear(host, clock) for host in ("a", "b")]
        for ear in ears:
            network.join(ear)
        network.sides = {"a": int(parted)}
        posts = (network.post("b", Letter("a", "", 0, b"%d" % number)) for number in range(count))
        answers = await asyncio.gather(*posts)
        took_ms = clock.monotonic_ms()
        await clock.sleep_ms(LATE_MS[1])
        await network.close()
        return list(answers), ears[1].heard, took_ms

    return run(work())


def test_letters_arrive_out_of_order() -> None:
    answers, heard, took_ms = letters(0.0, 50)
    assert all(answers)
    assert sorted(heard) == sorted(b"%d" % number for number in range(50))
    assert heard != [b"%d" % number for number in range(50)]
    assert took_ms < TIMEOUT_MS


def test_lost_letters_include_some_that_arrive() -> None:
    answers, heard, took_ms = letters(1.0, 60)
    assert not any(answers)
    assert 20 < len(heard) < 55
    assert took_ms >= TIMEOUT_MS


def test_nothing_crosses_a_split() -> None:
    answers, heard, _ = letters(0.0, 5, parted=True)
    assert (answers, heard) == ([None] * 5, [])


def test_a_clock_that_nothing_moves_is_an_error() -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck):
        run(forever())


# The command


def test_the_command_reports_and_its_status_says_whether_they_agreed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["sim", "--instances", "2", "--peertubes", "1", "--viewers", "10", "--minutes", "5", "--seed", "3"]
    assert main(options) == 0
    said = capsys.readouterr().out
    assert "per viewer-hour" in said
    assert "DIFFER" not in said

    async def apart(plan: Plan) -> Report:
        return Report(wrong=["one shows 1"])

    monkeypatch.setattr("service.sim.command.simulate", apart)
    assert main(options) == 1
    assert "one shows 1\nTHE NUMBERS DIFFER" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "nearest"),
    [
        ("loss", "2.0", "0.9"),
        ("loss", "-1.0", "0.0"),
        ("instances", "0", "1"),
        ("minutes", "1", "5"),
        ("viewers", "0", "1"),
    ],
)
def test_what_cannot_be_simulated_is_said(
    capsys: pytest.CaptureFixture[str], option: str, value: str, nearest: str
) -> None:
    assert main(["sim", f"--{option}", value]) == 2
    assert capsys.readouterr().err == f"--{option} {value} cannot be simulated: the nearest is {nearest}\n"


def test_options_are_brought_within_bounds() -> None:
    plan = plan_of(instances=10**9, peertubes=-1, viewers=0, minutes=0, loss=7.0, seed=1)
    assert (plan.instances, plan.peertubes, plan.viewers, plan.minutes, plan.loss) == (MAX_INSTANCES, (), 1, 5, 0.9)
