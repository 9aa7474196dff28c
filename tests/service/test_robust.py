"""Small ways to make a service say something ugly, each found by using it."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import logging
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from foundation.errors import ConfigError, Refused
from service.app import Service
from service.commands.demo import free_port
from service.config import Config, Instance, Listen, Storage, load_config
from service.config.values import parse_origin
from service.logs import TextFormatter
from views.model import Privacy, VideoDraft
from views.stats.model import Scope

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"


def config(directory: Path) -> Config:
    port = free_port()
    return Config(
        instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}")),
        listen=Listen(port=port),
        storage=Storage(directory=directory / "data"),
    )


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    made = await Service.create(config(tmp_path))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_body_that_is_not_what_it_says_leaves_no_traceback(
    service: Service, http: aiohttp.ClientSession, encoding: str
) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(TextFormatter())
    logging.getLogger().addHandler(handler)
    try:
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        for path in ("/inbox", f"/api/v1/videos/{UUID}/views", "/nothing"):
            async with http.post(service.url + path, data=b"abcde", headers=headers) as answer:
                assert 400 <= answer.status < 500
        async with http.get(service.url + "/healthz") as answer:
            assert answer.status == 200
    finally:
        logging.getLogger().removeHandler(handler)
    assert "Traceback" not in written.getvalue()


async def test_a_channel_takes_no_accounts_name(service: Service) -> None:
    for name in ("peertube", "owner"):
        draft = VideoDraft(str(uuid.uuid4()), "A video", 60, channel=name)
        refusal = await service.views.catalog.put_local(draft)
        assert isinstance(refusal, Refused), name
        assert refusal.reason == "bad_channel"


@pytest.mark.parametrize("key", ["actor", "owner"])
def test_no_account_takes_the_default_channels_name(tmp_path: Path, key: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"instance: {{{key}: main}}\n")
    with pytest.raises(ConfigError) as refused:
        load_config(path, {})
    assert refused.value.path == f"instance.{key}"


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    unusable = dataclasses.replace(config(tmp_path), storage=Storage(directory=tmp_path / "file"))
    with pytest.raises(ConfigError) as refused:
        await Service.create(unusable)
    assert refused.value.path == "storage.directory"


@pytest.mark.parametrize("end", ["deleted", "private"])
async def test_a_stream_ends_with_its_video(service: Service, http: aiohttp.ClientSession, end: str) -> None:
    catalog = service.views.catalog
    draft = VideoDraft(UUID, "A video", 60)
    await catalog.put_local(draft)
    headers = {"Accept": "text/event-stream"}
    async with http.get(f"{service.url}/api/v1/videos/{UUID}/viewers", headers=headers) as stream:
        assert (await stream.content.readline()).startswith(b"event:")
        video = await catalog.by_uuid(UUID)
        assert video is not None
        if end == "deleted":
            await catalog.delete(video)
        else:
            await catalog.put_local(dataclasses.replace(draft, privacy=Privacy.PRIVATE))
        async with asyncio.timeout(5):
            await stream.content.read()


async def test_viewers_of_a_private_video_are_in_no_public_sum(service: Service, http: aiohttp.ClientSession) -> None:
    await service.views.catalog.put_local(VideoDraft(UUID, "A video", 60, privacy=Privacy.PRIVATE))
    video = await service.views.catalog.by_uuid(UUID)
    assert video is not None
    await service.views.viewers.watching(video, b"0123456789abcdef")
    assert (await service.views.viewers.shown(video)).viewers == 1
    async with http.get(f"{service.url}/metrics") as answer:
        told = await answer.text()
    assert 'peertube_viewers_total{videoOrigin="local",viewerOrigin="local"} 0.0' in told


async def test_who_watches_a_video_that_becomes_private_stays_in_its_statistics(service: Service) -> None:
    draft = VideoDraft(UUID, "A video", 60)
    await service.views.catalog.put_local(draft)
    video = await service.views.catalog.by_uuid(UUID)
    assert video is not None
    viewer = b"0123456789abcdef"
    await service.views.watching.watched(video, viewer, None, 0)
    await service.views.watching.watched(video, viewer, None, 4)
    await service.views.catalog.put_local(dataclasses.replace(draft, privacy=Privacy.PRIVATE))
    await service.views.watching.watched(video, viewer, None, 5, leave=True)
    await service.views.recorder.sweep()
    overall = await service.views.statistics.overall(Scope((video.number,)), None, None)
    assert (overall.total_viewers, overall.total_watch_time_s) == (1, 5)
