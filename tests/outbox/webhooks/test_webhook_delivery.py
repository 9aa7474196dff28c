"""Webhooks from a notice to a receiver that verifies them, over real HTTP and a real database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from support.webhook_receiver import KEY, OLD_SECRET, SECRET, Receiver
from webhooks.test_webhook_gathering import joined, video

from foundation.clock import SystemClock
from foundation.database import Database
from foundation.http import HttpClient
from foundation.metrics import Metrics
from outbox.retry import RetryPolicy
from outbox.webhooks.hooks import Hook
from outbox.webhooks.notifier import Webhooks
from outbox.webhooks.queue import Settled
from outbox.webhooks.sender import WebhookSender
from views.notices import PeerDown, PeerUp, ViewCounted

EVERY_DATABASE = True
NOW_MS = int(time.time() * 1000)
QUICK = RetryPolicy(first_ms=5, max_ms=20, poison_after=3)


class House:
    """Everything that webhooks are made of; ``made`` again, it is the next start on the same database."""

    def __init__(self, database: Database, *, private: bool = True) -> None:
        self.database = database
        self.private = private
        self.metrics = Metrics()
        self.running: list[tuple[Webhooks, list[HttpClient]]] = []

    async def start(self, *hooks: Hook, may_deliver: Callable[[str], bool] = lambda _: True) -> Webhooks:
        clock, metrics = SystemClock(), Metrics()
        self.metrics = metrics
        clients = [
            HttpClient(
                clock,
                metrics,
                allow_private_addresses=private,
                allow_http=True,
                user_agent="t",
                name=name,
                timeout_ms=2_000,
            )
            for name, private in (("webhook", False), ("webhook_private", True))
        ]
        made = Webhooks(
            hooks,
            database=self.database,
            sender=WebhookSender(clients[0], clients[1], clock),
            clock=clock,
            metrics=metrics,
            random=lambda: 0.0,
            may_deliver=may_deliver,
            retry=QUICK,
        )
        self.running.append((made, clients))
        await made.start()
        return made

    async def stop(self) -> None:
        while self.running:
            made, clients = self.running.pop()
            await made.stop()
            for client in clients:
                await client.close()


@pytest.fixture
async def house(database: Database) -> AsyncIterator[House]:
    made = House(database)
    yield made
    await made.stop()


@pytest.fixture
async def receiver(aiohttp_server: Any) -> Receiver:
    return await Receiver().start(aiohttp_server)


def hook(receiver: Receiver, **settings: Any) -> Hook:
    return Hook(receiver.url, KEY, SECRET, **{"allow_private_addresses": True, **settings})


async def until(condition: Callable[[], Any], timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def settled(webhooks: Webhooks, events: int) -> list[tuple[str, str, str]]:
    """Once so many are over: (event, outcome, reason), the oldest first."""
    for _ in range(1_000):
        state, depth = await webhooks.state(webhooks.hooks[0])
        if len(state.recent) >= events and depth.waiting == 0:
            return [(one.event, one.outcome, one.reason) for one in reversed(state.recent)]
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


async def test_a_receiver_hears_what_it_wants(house: House, receiver: Receiver) -> None:
    webhooks = await house.start(hook(receiver, exclude=frozenset({"peer_up"})))
    webhooks.notify(PeerUp("other.example", NOW_MS))
    webhooks.notify(joined("a"))
    webhooks.notify(PeerDown("other.example", NOW_MS, "timeout"))
    await until(lambda: len(receiver.heard) == 2)
    assert {event["event"] for event in receiver.heard} == {"viewer_joined", "peer_down"}
    assert await settled(webhooks, 2)
    state, _ = await webhooks.state(webhooks.hooks[0])
    assert (state.sent, state.dropped, state.failures, state.error) == (2, 0, 0, None)
    assert state.success_ms is not None


async def test_events_of_one_video_come_in_order_though_one_fails_at_first(house: House, receiver: Receiver) -> None:
    """A server's error holds up that video alone, and the same event comes again, signed anew."""
    failed: list[str] = []

    def answer(said: dict[str, Any]) -> int:
        if said["event"] == "peer_down" and said["host"] == "a.example" and len(failed) < 2:
            failed.append(said["id"])
            return 500
        return 200

    receiver.answer = answer
    webhooks = await house.start(hook(receiver))
    for host in ("a.example", "b.example"):
        webhooks.notify(PeerDown(host, NOW_MS, "timeout"))
        webhooks.notify(PeerUp(host, NOW_MS))
    await until(lambda: len(receiver.heard) == 4)
    hosts = [(event["host"], event["event"]) for event in receiver.heard]
    assert hosts[:2] == [("b.example", "peer_down"), ("b.example", "peer_up")]
    assert hosts[2:] == [("a.example", "peer_down"), ("a.example", "peer_up")]
    assert set(failed) == {receiver.heard[2]["id"]}
    state, _ = await webhooks.state(webhooks.hooks[0])
    assert state.error == "status_500"


async def test_an_event_that_is_not_wanted_or_breaks_the_receiver_is_given_up(house: House, receiver: Receiver) -> None:
    answers = {"a.example": 400, "b.example": 500, "c.example": 302}
    receiver.answer = lambda said: (
        web.Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"})
        if said["host"] == "c.example"
        else answers.get(said["host"], 200)
    )
    webhooks = await house.start(hook(receiver))
    for host in answers:
        webhooks.notify(PeerDown(host, NOW_MS, "timeout"))
    await until(lambda: receiver.asked > 6)
    # Whose fault the error is shows when others are taken; the first of them says how many it was not told of so far.
    webhooks.notify(PeerDown("d.example", NOW_MS, "timeout"))
    assert sorted(await settled(webhooks, 4)) == [
        ("peer_down", "delivered", "status_200"),
        ("peer_down", "dropped", "poison"),
        ("peer_down", "dropped", "status_302"),
        ("peer_down", "dropped", "status_400"),
    ]
    webhooks.notify(PeerDown("e.example", NOW_MS))
    await until(lambda: len(receiver.heard) == 2)
    assert [event["numDropped"] for event in receiver.heard] == [2, 1]


async def test_a_receiver_that_is_broken_for_a_while_misses_nothing(house: House, receiver: Receiver) -> None:
    receiver.answer = lambda _: 500
    webhooks = await house.start(hook(receiver))
    for host in ("a.example", "b.example"):
        webhooks.notify(PeerDown(host, NOW_MS, "timeout"))
    await until(lambda: receiver.asked > 4 * QUICK.poison_after)
    receiver.answer = lambda _: 200
    await until(lambda: len(receiver.heard) == 2)
    state, _ = await webhooks.state(webhooks.hooks[0])
    assert state.dropped == 0


async def test_what_waits_survives_a_restart(house: House, receiver: Receiver) -> None:
    receiver.answer = lambda _: 503
    first = await house.start(hook(receiver))
    first.notify(PeerDown("a.example", NOW_MS, "timeout"))
    await until(lambda: receiver.asked > 1)
    first.notify(PeerUp("a.example", NOW_MS))
    await house.stop()
    receiver.answer = lambda _: 200
    await house.start(hook(receiver))
    await until(lambda: len(receiver.heard) == 2)
    assert [event["event"] for event in receiver.heard] == ["peer_down", "peer_up"]


async def test_a_counted_view_is_told_when_its_transaction_is(house: House, receiver: Receiver) -> None:
    webhooks = await house.start(hook(receiver))
    views = [ViewCounted(video(), NOW_MS, "", 7)] * 3

    async def fails(tx: Any) -> None:
        await webhooks.views_counted(tx, views)
        raise ValueError

    with pytest.raises(ValueError):
        await house.database.write(fails)
    assert (await webhooks.queue.depths()) == {}
    await house.database.write(lambda tx: webhooks.views_counted(tx, views))
    webhooks.committed()
    await until(lambda: receiver.heard)
    assert (receiver.heard[0]["count"], receiver.heard[0]["views"]) == (3, 7)


async def test_while_too_many_wait_those_that_happen_once_go_before(house: House, receiver: Receiver) -> None:
    receiver.answer = lambda _: 503
    webhooks = await house.start(hook(receiver, max_waiting=4))
    for number in range(5):
        webhooks.notify(joined("a", of=number))
    for number in range(2):
        webhooks.notify(PeerDown(f"{number}.example", NOW_MS))
    await until(lambda: receiver.asked)
    state, depth = await webhooks.state(webhooks.hooks[0])
    assert depth.waiting == 4
    assert (state.dropped, state.untold) == (3, 3)
    waiting = await webhooks.queue.waiting(webhooks.hooks[0].id, 10)
    assert [one.event for one in waiting] == ["viewer_joined"] * 3 + ["peer_down"]
    assert {(one.outcome, one.reason) for one in state.recent} == {("dropped", "full")}


async def test_views_that_find_no_room_are_within_the_bound_and_said(house: House, receiver: Receiver) -> None:
    receiver.answer = lambda _: 503
    webhooks = await house.start(hook(receiver, max_waiting=2))
    heard: list[Settled] = []
    webhooks.processed = lambda _, settled: heard.append(settled)
    for number in range(5):
        views = [ViewCounted(video(number), NOW_MS, "", 1)]
        await house.database.write(lambda tx, views=views: webhooks.views_counted(tx, views))
        webhooks.committed()
    state, depth = await webhooks.state(webhooks.hooks[0])
    assert 1 <= depth.waiting <= 2
    assert state.dropped == 5 - depth.waiting
    assert [(one.event, one.outcome, one.reason, one.resource) for one in heard] == [
        ("view_counted", "dropped", "full", video(number).uuid) for number in range(depth.waiting, 5)
    ]
    said = f'fediviews_webhooks_total{{event="view_counted",outcome="dropped"}} {len(heard)}.0'
    assert said.encode() in house.metrics.render()


@pytest.mark.parametrize("status", [302, 400])
async def test_a_receiver_that_refuses_everything_does_not_look_healthy(
    house: House, receiver: Receiver, status: int
) -> None:
    failing = b"fediviews_webhook_receivers_failing 1.0"
    receiver.answer = lambda _: web.Response(status=status, headers={"Location": "http://127.0.0.1:9/elsewhere"})
    webhooks = await house.start(hook(receiver))
    for number in range(3):
        webhooks.notify(PeerDown(f"{number}.example", NOW_MS))
    await settled(webhooks, 3)
    await until(lambda: failing in house.metrics.render())
    state, _ = await webhooks.state(webhooks.hooks[0])
    assert (state.failures, state.error) == (3, f"status_{status}")
    await house.stop()
    webhooks = await house.start(hook(receiver))
    await until(lambda: failing in house.metrics.render())
    receiver.answer = lambda _: 200
    webhooks.notify(PeerUp("a.example", NOW_MS))
    await until(lambda: failing not in house.metrics.render())
    state, _ = await webhooks.state(webhooks.hooks[0])
    assert (state.failures, state.error) == (0, f"status_{status}")


async def test_what_has_waited_too_long_is_dropped(house: House, receiver: Receiver) -> None:
    webhooks = await house.start(hook(receiver, max_age_ms=60_000))
    webhooks.notify(PeerDown("a.example", 1))
    assert await settled(webhooks, 1) == [("peer_down", "dropped", "too_old")]
    assert receiver.asked == 0


@pytest.mark.parametrize("known", [SECRET, OLD_SECRET])
async def test_a_secret_is_changed_at_both_ends_in_any_order(house: House, receiver: Receiver, known: str) -> None:
    """The receiver may know the new one already, or only the old one, and it may change over meanwhile."""
    receiver.secret = known
    webhooks = await house.start(hook(receiver, previous_secret=OLD_SECRET))
    for number, secret in enumerate((known, known, SECRET, SECRET)):
        receiver.secret = secret
        webhooks.notify(PeerDown(f"{number}.example", NOW_MS))
        await until(lambda wanted=number + 1: len(receiver.heard) == wanted)
    assert receiver.asked == (4 if known == SECRET else 6)
    state, _ = await webhooks.state(webhooks.hooks[0])
    assert state.failures == 0


async def test_whoever_does_not_believe_us_is_asked_again(house: House, receiver: Receiver) -> None:
    receiver.secret = "nothing-that-anybody-here-would-sign-with"
    webhooks = await house.start(hook(receiver))
    webhooks.notify(PeerDown("a.example", NOW_MS))
    await until(lambda: receiver.asked > 2)
    state, depth = await webhooks.state(webhooks.hooks[0])
    assert state.error == "status_401"
    assert depth.waiting == 1
    receiver.secret = SECRET
    await until(lambda: receiver.heard)
    assert len(set(receiver.tokens)) == len(receiver.tokens)


async def test_private_addresses_are_only_for_hooks_that_say_so(house: House, receiver: Receiver) -> None:
    webhooks = await house.start(hook(receiver, allow_private_addresses=False))
    tried = await webhooks.test(webhooks.hooks[0])
    assert (tried.delivered, tried.reason) == (False, "address_refused")
    assert receiver.asked == 0


async def test_a_test_goes_past_the_queue(house: House, receiver: Receiver) -> None:
    webhooks = await house.start(hook(receiver, include=frozenset({"peer_up"})))
    assert (await webhooks.test(webhooks.hooks[0])).delivered
    assert [event["event"] for event in receiver.heard] == ["test"]


async def test_other_receivers_may_take_over(house: House, receiver: Receiver, aiohttp_server: Any) -> None:
    other = await Receiver().start(aiohttp_server)
    webhooks = await house.start(hook(receiver))
    await webhooks.replace([hook(other)])
    webhooks.notify(joined("a"))
    await until(lambda: other.heard)
    assert receiver.heard == []


async def test_only_one_process_delivers(house: House, receiver: Receiver) -> None:
    """Both write into one queue; what the other wrote is found without being told."""
    await house.start(hook(receiver))
    other = await house.start(hook(receiver), may_deliver=lambda _: False)
    other.notify(joined("a"))
    await until(lambda: receiver.heard)
    assert len(receiver.heard) == 1
