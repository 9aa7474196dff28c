"""PeerTube's debug commands on a service as it ships."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from foundation.metrics import Metrics
from foundation.principal import Role
from service.app import Service
from service.config import Config, Listen, Secret, Storage, Token

COMMANDS = (
    "process-video-views-buffer",
    "process-video-stats-buffer",
    "process-video-viewers",
    "process-remove-old-stats",
)
"""6.3's names and 8.2's, as far as they are about views."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    tokens = tuple(Token(name=role.value, role=role, value=Secret(f"{role.value}-token-1")) for role in Role)
    config = Config(listen=Listen(port=0), storage=Storage(directory=tmp_path), tokens=tokens)
    running = await Service.create(config, metrics=Metrics())
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


async def test_every_command_runs_and_only_for_admins(service: Service) -> None:
    url = f"{service.url}/api/v1/server/debug/run-command"
    async with aiohttp.ClientSession() as client:
        for command in COMMANDS:
            for role, status in ((Role.ADMIN, 204), (Role.HOST, 403), (Role.STATS, 403), (None, 401)):
                headers = {} if role is None else {"Authorization": f"Bearer {role.value}-token-1"}
                async with client.post(url, json={"command": command}, headers=headers) as response:
                    assert response.status == status, (command, role)
        admin = {"Authorization": "Bearer admin-token-1"}
        async with client.post(url, json={"command": "remove-everything"}, headers=admin) as response:
            assert response.status == 400


async def test_statistics_and_resume_positions_are_served(service: Service) -> None:
    uuid = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
    host, stats = ({"Authorization": f"Bearer {role}-token-1"} for role in ("host", "stats"))
    async with aiohttp.ClientSession(f"{service.url}/api/v1/videos/") as client:
        video = {"name": "A video", "duration": 60}
        async with client.put(uuid, json=video, headers=host) as response:
            assert response.status == 201
        async with client.post(f"{uuid}/viewer-tokens", json={"user": "anna"}, headers=host) as response:
            token = (await response.json())["token"]
        report = {"currentTime": 7, "viewerToken": token}
        async with client.post(f"{uuid}/views", json=report) as response:
            assert response.status == 204
        async with client.get(f"{uuid}/resume", params={"viewerToken": token}) as response:
            assert (await response.json())["currentTime"] == 7
        async with client.get(f"{uuid}/stats/overall", headers=stats) as response:
            assert response.status == 200
            assert (await response.json())["totalViewers"] == 0
