"""More than can be done: what peers are told, and that what is known stays right."""

from __future__ import annotations

import asyncio

from hostile.scene import Build, Scene
from support.wire import Answer

from service.health.load import LagMean, LoadGauge


def turned_away(answer: Answer) -> bool:
    return answer.status == 503 and 1 <= int(answer.headers["retry-after"]) <= 10


async def shed(scene: Scene) -> dict[str, float]:
    samples = [
        sample
        for metric in scene.service.ground.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "fediviews_overload_shed_total"
    ]
    return {sample.labels["load"]: sample.value for sample in samples}


async def test_new_viewers_are_turned_away_unverified_and_known_ones_extended(build: Build) -> None:
    scene = await build()
    before = await scene.numbers()
    assert (await scene.say(scene.view("known"))).status == 204
    scene.service.ground.shedder.level = 4
    assert turned_away(await scene.say(scene.view("unknown")))
    assert (await scene.say(scene.view("known"))).status == 204
    assert (await scene.say(scene.total(9))).status == 204, "totals go last"
    assert await scene.numbers() == before.moved(ours=1, theirs=4)
    assert (await shed(scene))["new_viewer"] == 1


async def test_at_the_last_level_nothing_is_read(build: Build) -> None:
    scene = await build()
    before = await scene.numbers()
    scene.service.ground.shedder.level = 5
    for activity in (scene.view("anybody"), scene.total(9)):
        assert turned_away(await scene.say(activity))
    assert await scene.numbers() == before
    assert await scene.is_well(), "whoever looks after the service still gets an answer"
    scene.service.ground.shedder.level = 0
    assert (await scene.say(scene.total(9))).status == 204


async def test_a_loop_that_comes_late_is_pressure(build: Build) -> None:
    scene = await build()
    shedder = scene.service.ground.shedder
    gauge = LoadGauge(shedder, scene.clock, 1)

    def block_the_loop() -> None:
        """Something that does not let others work for a while: 80 ms of the loop's own time."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + 0.08
        while loop.time() < until_s:
            pass

    for _ in range(3):
        asyncio.get_running_loop().call_soon(block_the_loop)
        await gauge.measure()
        scene.clock.advance(1_000)
    assert shedder.pressure > 1
    assert shedder.level > 0


async def test_queues_that_fill_are_pressure_too(build: Build) -> None:
    scene = await build()
    gauge = LoadGauge(scene.service.ground.shedder, scene.clock, 3_600_000, [lambda: 0.2, lambda: 1.5])
    await gauge.measure()
    assert scene.service.ground.shedder.pressure == 1.5


def test_what_is_measured_rarely_weighs_as_much_as_the_time_for_which_it_stands() -> None:
    often, rarely = LagMean(), LagMean()
    for mean in (often, rarely):
        mean.add(0, 0.0)
    for tenth in range(1, 17):
        often.add(800, tenth / 10)
    rarely.add(800, 1.6)
    assert round(often.lag_ms) == round(rarely.lag_ms) > 700


def test_one_slow_moment_is_no_overload() -> None:
    mean = LagMean()
    for tenth in range(10):
        mean.add(0, tenth / 10)
    assert mean.add(1_000, 1.0) < 300
    assert mean.add(0, 1.1) < 200
