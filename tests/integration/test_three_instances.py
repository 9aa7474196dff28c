"""The demo's three instances agree on every number, up to the last farewell."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
from integration.house import Client, wait_until

from service.commands.demo import numbers_of, register_videos, three_instances


async def test_three_instances_converge_on_every_number_and_on_nobody(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with three_instances(tmp_path) as services:
        clients = [Client(service.url, http) for service in services]
        videos = await register_videos(services)
        wanted = {video: 1 + at % 4 for at, video in enumerate(videos)}
        everybody = [
            (clients[number % 3], f"viewer-{number}", video)
            for video, count in wanted.items()
            for number in range(count)
        ]

        async def say_the_same(number_of: dict[str, int]) -> bool:
            shown = [await numbers_of(services, video) for video in videos]
            return shown == [[number_of[video]] * 3 for video in videos]

        await asyncio.gather(*(client.watch(name, video=video) for client, name, video in everybody))
        await wait_until(lambda: say_the_same(wanted), 8, "they do not agree while people watch")

        await asyncio.gather(*(client.leave(name, video=video) for client, name, video in everybody))
        nobody = dict.fromkeys(videos, 0)
        await wait_until(lambda: say_the_same(nobody), 15, "they do not agree that nobody watches")
