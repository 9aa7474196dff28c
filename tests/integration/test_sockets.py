"""Socket.IO as PeerTube's client speaks it: namespace ``/live-videos``, numbers as they move."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest
import socketio
from integration.conftest import MakeInstance
from integration.house import OTHER_UUID, Instance, holds, wait_until

from views.model import Video
from views.routes.engine import MAX_QUEUED
from views.shown import Shown

NAMESPACE = "/live-videos"


class Listener:
    """A page with PeerTube's client."""

    def __init__(self) -> None:
        self.client: Any = socketio.AsyncClient(reconnection=False)
        self.numbers: list[int] = []
        self.ended = 0
        self.client.on("views-change", self._heard, namespace=NAMESPACE)
        self.client.on("force-end", self._end, namespace=NAMESPACE)

    async def _heard(self, said: dict[str, int]) -> None:
        self.numbers.append(said["viewers"])

    async def _end(self, *_: object) -> None:
        self.ended += 1

    async def connect(self, url: str, transports: list[str]) -> None:
        await self.client.connect(url, namespaces=[NAMESPACE], transports=transports, wait_timeout=10)

    async def says(self, event: str, body: object) -> None:
        await self.client.emit(event, body, namespace=NAMESPACE)


@pytest.fixture
async def listeners() -> AsyncIterator[list[Listener]]:
    made: list[Listener] = []
    yield made
    for each in made:
        await each.client.disconnect()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
async def test_whoever_subscribed_hears_numbers_as_they_move(
    instance: MakeInstance, listeners: list[Listener], transports: list[str]
) -> None:
    ours = await instance()
    number = (await ours.put_video())["id"]
    other = (await ours.put_video(OTHER_UUID, name="Another video"))["id"]
    page, elsewhere = Listener(), Listener()
    listeners += [page, elsewhere]
    for each, video in ((page, number), (elsewhere, other)):
        await each.connect(ours.url, transports)
        await each.says("subscribe", {"videoId": video})
    await wait_until(lambda: len(ours.service.push.sockets.listened_to()) == 2)
    await ours.watch("anna")
    await wait_until(lambda: page.numbers[-1:] == [1])
    await ours.watch("bert", "carl")
    await wait_until(lambda: page.numbers[-1:] == [3])
    await ours.leave("bert")
    await wait_until(lambda: page.numbers[-1:] == [2])
    assert elsewhere.numbers == []
    await page.says("unsubscribe", {"videoId": number})
    await wait_until(lambda: list(ours.service.push.sockets.listened_to()) == [other])
    heard = len(page.numbers)
    await ours.leave("carl")
    await holds(lambda: _same(page, heard), 0.5)


async def _same(page: Listener, heard: int) -> bool:
    return len(page.numbers) == heard


async def test_a_crowd_that_comes_at_once_is_one_event_a_second(
    instance: MakeInstance, listeners: list[Listener]
) -> None:
    ours = await instance()
    number = (await ours.put_video())["id"]
    page = Listener()
    listeners.append(page)
    await page.connect(ours.url, ["websocket"])
    await page.says("subscribe", {"videoId": number})
    await wait_until(lambda: ours.service.push.sockets.listened_to())
    await ours.watch(*(f"viewer-{each}" for each in range(60)))
    await wait_until(lambda: page.numbers[-1:] == [60])
    assert len(page.numbers) <= 4


async def test_a_private_video_has_no_socket_and_one_that_becomes_private_ends(
    instance: MakeInstance, listeners: list[Listener]
) -> None:
    ours = await instance()
    number = (await ours.put_video())["id"]
    secret = (await ours.put_video(OTHER_UUID, privacy="private", name="Secret"))["id"]
    page = Listener()
    listeners.append(page)
    await page.connect(ours.url, ["websocket"])
    for video in (secret, number):
        await page.says("subscribe", {"videoId": video})
    await wait_until(lambda: list(ours.service.push.sockets.listened_to()) == [number])
    await ours.put_video(privacy="private")
    await wait_until(lambda: page.ended == 1)
    assert list(ours.service.push.sockets.listened_to()) == []
    assert page.numbers == []


@pytest.mark.parametrize(
    "said",
    [None, 7, "7", [], {}, {"videoId": "1"}, {"videoId": True}, {"videoId": -1}, {"videoId": 1e300}, {"videoId": 999}],
)
async def test_what_makes_no_sense_is_ignored(instance: MakeInstance, listeners: list[Listener], said: object) -> None:
    ours = await instance()
    number = (await ours.put_video())["id"]
    page = Listener()
    listeners.append(page)
    await page.connect(ours.url, ["websocket"])
    await page.says("subscribe", said)
    await page.says("no such event", said)
    await page.says("subscribe", {"videoId": number})
    await wait_until(lambda: list(ours.service.push.sockets.listened_to()) == [number])


async def test_bad_requests_get_an_answer_and_nothing_breaks(instance: MakeInstance) -> None:
    ours: Instance = await instance()
    async with aiohttp.ClientSession() as http:
        for query in (
            "",
            "EIO=4",
            "EIO=3&transport=polling",
            "EIO=4&transport=x",
            "EIO=4&transport=polling&sid=0.nobody",
        ):
            async with http.get(f"{ours.url}/socket.io/?{query}") as answer:
                assert answer.status in (200, 400), (query, answer.status)
        async with http.post(f"{ours.url}/socket.io/?EIO=4&transport=polling&sid=x", data=b"x" * 20_000) as answer:
            assert answer.status in (400, 413)
        async with http.get(f"{ours.url}/healthz") as answer:
            assert answer.status == 200


async def test_a_poll_is_answered_when_its_client_closes(instance: MakeInstance) -> None:
    ours = await instance()
    polling = f"{ours.url}/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        async with http.get(polling) as answer:
            session = json.loads((await answer.text())[1:])["sid"]
        async with http.post(f"{polling}&sid={session}", data="40/live-videos,") as answer:
            assert answer.status == 200
        async with http.get(f"{polling}&sid={session}") as answer:
            assert answer.status == 200
        waiting = asyncio.create_task(http.get(f"{polling}&sid={session}"))
        await wait_until(lambda: ours.service.push.sockets._server.eio.sockets[session].queue._getters)
        async with http.post(f"{polling}&sid={session}", data="1") as answer:
            assert answer.status == 200
        async with await waiting as answer:
            assert answer.status == 200


async def test_connections_are_bounded(instance: MakeInstance, listeners: list[Listener]) -> None:
    ours = await instance(listen={"max_sockets": 2})
    for _ in range(2):
        page = Listener()
        listeners.append(page)
        await page.connect(ours.url, ["websocket"])
    await refused_with(503, ours)
    await listeners[0].client.disconnect()
    await wait_until(lambda: len(ours.service.push.sockets._engine) == 1)
    another = Listener()
    listeners.append(another)
    await another.connect(ours.url, ["polling"])


async def test_one_address_does_not_take_every_connection(instance: MakeInstance, listeners: list[Listener]) -> None:
    ours = await instance(listen={"max_listeners_per_address": 1})
    page = Listener()
    listeners.append(page)
    await page.connect(ours.url, ["websocket"])
    await refused_with(429, ours)


async def refused_with(status: int, ours: Instance) -> None:
    """Before a session begins, and with an instant to come again: by polling as by WebSocket."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{ours.url}/socket.io/?EIO=4&transport=polling") as answer:
            assert answer.status == status
            assert answer.headers["Retry-After"]
            assert (await answer.json())["code"] == "too_many_sockets"
        with pytest.raises(aiohttp.WSServerHandshakeError) as problem:
            await http.ws_connect(f"{ours.url}/socket.io/?EIO=4&transport=websocket")
        assert problem.value.status == status


async def test_websockets_are_not_compressed(instance: MakeInstance) -> None:
    ours = await instance()
    url = f"{ours.url}/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, compress=15) as wire:
        assert wire.compress == 0


async def test_who_answers_pings_but_never_polls_is_cut_off(instance: MakeInstance) -> None:
    ours = await instance()
    number = (await ours.put_video())["id"]
    live = ours.service.push.sockets
    async with aiohttp.ClientSession() as http:
        url = f"{ours.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(url) as answer:
            session = json.loads((await answer.text())[1:])["sid"]
        for said in ("40/live-videos,", f'42/live-videos,["subscribe",{{"videoId":{number}}}]'):
            async with http.post(f"{url}&sid={session}", data=said) as answer:
                assert answer.status == 200
        await wait_until(lambda: live.listened_to())
        (listener,) = live._rooms[number]
        for _ in range(2 * MAX_QUEUED):
            await live._tell([listener], "views-change", {"viewers": 1})
    await wait_until(lambda: len(live._engine) == 0)
    assert live.listened_to() == ()


async def test_a_video_that_is_hidden_while_its_number_is_read_is_told_of_no_more(
    instance: MakeInstance, listeners: list[Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = await instance()
    number = (await ours.put_video())["id"]
    other = (await ours.put_video(OTHER_UUID, name="Another video"))["id"]
    page = Listener()
    listeners.append(page)
    await page.connect(ours.url, ["websocket"])
    for video in (number, other):
        await page.says("subscribe", {"videoId": video})
    await wait_until(lambda: len(ours.service.push.sockets.listened_to()) == 2)
    viewers = ours.service.views.viewers
    asked, go, read = asyncio.Event(), asyncio.Event(), viewers.shown_many

    async def slowly(videos: Sequence[Video]) -> Sequence[Shown]:
        if not asked.is_set():
            asked.set()
            await go.wait()
        return await read(videos)

    monkeypatch.setattr(viewers, "shown_many", slowly)
    monkeypatch.setattr(ours.service.push.sockets, "look_again", _later)
    await ours.watch("anna")
    async with asyncio.timeout(5):
        await asked.wait()
    await ours.put_video(privacy="private")
    go.set()
    monkeypatch.undo()
    await ours.watch("bert", video=OTHER_UUID)
    await wait_until(lambda: page.numbers)
    assert page.numbers == [1]
    await ours.service.push.look_again(number)
    await wait_until(lambda: page.ended == 1)


async def _later(_: int | None) -> None:
    """Listeners are told a moment later that there is nothing more to hear."""
