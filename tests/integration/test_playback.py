"""Playback over HTTP, against a real service: what players send, what a streamer reads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from integration.house import TOKEN, UUID, Client, Reply, wait_until
from sqlalchemy import select

from service.app import Service
from service.config import load_config
from views.routes.playback_body import DOUBTFUL, OFF
from views.telemetry.tables import telemetry_records

PEERTUBE = {
    "playerMode": "p2p-media-loader",
    "resolution": 1080,
    "fps": 30,
    "p2pPeers": 3,
    "p2pEnabled": True,
    "resolutionChanges": 0,
    "errors": 1,
    "bufferStalled": 2,
    "downloadedBytesP2P": 100,
    "downloadedBytesHTTP": 200,
    "uploadedBytesP2P": 50,
    "videoId": UUID,
}
PRIVATE = "5b0e1c1a-3f53-4a2e-9a38-8a3f6c1d8d11"


async def started(tmp_path: Path, telemetry: dict[str, Any]) -> Service:
    config = {
        "instance": {"url": "http://127.0.0.1:1"},
        "listen": {"port": 0},
        "tokens": [
            {"name": "admin", "role": "admin", "value": TOKEN},
            {"name": "other", "role": "stats", "value": "a-token-of-another", "channels": ["other"]},
        ],
        "videos": [
            {"uuid": UUID, "name": "A stream", "duration": 0, "isLive": True},
            {"uuid": PRIVATE, "name": "Ours alone", "duration": 600, "privacy": "private"},
        ],
        "views": {"viewer_lifetime": "2s", "sweep_interval": "20ms"},
        "telemetry": telemetry,
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    service = await Service.create(load_config(tmp_path / "config.yaml", {}))
    await service.start()
    return service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = await started(tmp_path, {"flush_interval": "100ms", "events": {"database": True}})
    yield service
    await service.stop()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(service.url, http)


async def tell(client: Client, path: str, body: object) -> Reply:
    return await client.ask("POST", path, body, admin=False)


async def play(client: Client, *names: str) -> None:
    for name in names:
        for second in (0, 1):
            assert (await client.heartbeat(name, second)).status == 204


async def quality(client: Client, query: str = "", *, video: str = UUID) -> Any:
    reply = await client.ask("GET", f"/api/v1/videos/{video}/stats/playback{query}")
    assert reply.status == 200, reply
    return reply.body


async def test_what_players_say_becomes_what_a_streamer_reads(client: Client) -> None:
    await play(client, "anna", "bea", "cora", "dora")
    for name, more in (("anna", {}), ("bea", {"height": 1080, "stalls": 1, "stalledTime": 2_000, "latency": 5_000})):
        said = {"sessionId": name, "duration": 10_000, "height": 720, "frames": 300, **more}
        reply = await tell(client, f"/api/v1/videos/{UUID}/playback", said)
        assert reply.status == 204, reply

    async def both() -> bool:
        return bool((await quality(client))["viewers"] == 2)

    await wait_until(both)
    said = await quality(client)
    assert said["health"] == "50 % of viewers stall, mostly at 1080p."
    assert (said["stalledViewers"], said["stalledViewersPercent"]) == (1, 50.0)
    assert said["score"]["max"] == 5.0
    assert 1 <= said["score"]["min"] < 5
    assert said["latency"] == {"min": 5_000, "median": 5_000, "max": 5_000, "average": 5_000}
    assert said["startupTime"] is None
    assert said["resolutions"] == [
        {"resolution": 720, "viewers": 1, "stalledViewers": 0},
        {"resolution": 1080, "viewers": 1, "stalledViewers": 1},
    ]
    assert said["asOf"]


async def test_the_share_of_viewers_it_stands_for(client: Client) -> None:
    await play(client, "anna", "bea", "cora", "dora")
    await tell(client, f"/api/v1/videos/{UUID}/playback", {"sessionId": "anna", "duration": 10_000})

    async def is_there() -> bool:
        return bool((await quality(client))["viewers"])

    await wait_until(is_there)
    said = await quality(client)
    assert (said["totalViewers"], said["representationPercent"]) == (4, 25.0)


async def test_those_who_never_watched_do_not_write_the_sentence(client: Client) -> None:
    await play(client, "anna")
    for name in ("anna", "stranger", "other"):
        await tell(client, f"/api/v1/videos/{UUID}/playback", {"sessionId": name, "duration": 10_000, "stalls": 3})

    async def are_there() -> bool:
        return bool((await quality(client))["viewers"] == 3)

    await wait_until(are_there)
    said = await quality(client)
    assert (said["health"], said["totalViewers"]) == (DOUBTFUL, 1)
    assert (said["representationPercent"], said["stalledViewersPercent"]) == (None, None)


async def test_who_does_not_watch_is_not_asked_how_it_plays(client: Client, service: Service) -> None:
    await play(client, "anna")
    far = {"X-Forwarded-For": "192.0.2.7"}
    ours = {"sessionId": "stranger", "duration": 10_000, "stalls": 3}
    for path, body in (("/api/v1/metrics/playback", PEERTUBE), (f"/api/v1/videos/{UUID}/playback", ours)):
        assert (await client.ask("POST", path, body, headers=far, admin=False)).status == 204
    # At another video nobody of this house watches either.
    other = "3f1f9d7c-5a35-4b8c-a3a1-8f6f0a3c2b32"
    await client.put_video(other, name="Another")
    assert (await tell(client, "/api/v1/metrics/playback", {**PEERTUBE, "videoId": other})).status == 204
    # An application knows its viewers; a viewer that is counted may say it from wherever it has got to.
    await client.ask("POST", f"/api/v1/videos/{UUID}/playback", {**ours, "sessionId": "application"}, headers=far)
    await client.ask("POST", f"/api/v1/videos/{UUID}/playback", {**ours, "sessionId": "anna"}, headers=far, admin=False)

    async def two() -> bool:
        return bool((await quality(client))["viewers"] == 2)

    await wait_until(two)
    assert (await quality(client, video=other))["viewers"] == 0
    scrape = (await client.ask("GET", "/metrics")).body
    assert "fediviews_playback_unbelieved_total 3.0" in scrape
    assert "peertube_playback_buffer_stalled_count_total{" not in scrape


async def test_peertubes_metrics(client: Client) -> None:
    await play(client, "anna")
    assert (await tell(client, "/api/v1/metrics/playback", PEERTUBE)).status == 204
    config = (await client.ask("GET", "/api/v1/config")).body
    assert config["openTelemetry"]["metrics"] == {"enabled": True, "playbackStatsInterval": 15_000}
    scrape = (await client.ask("GET", "/metrics")).body
    assert f'videoUUID="{UUID}"' in scrape
    assert "peertube_playback_p2p_peers{" in scrape
    again = (await client.ask("GET", "/metrics")).body
    assert "peertube_playback_p2p_peers{" not in again
    assert "peertube_playback_buffer_stalled_count_total{" in again

    async def is_there() -> bool:
        return bool((await quality(client))["stalledViewers"])

    await wait_until(is_there)


async def test_a_player_that_says_it_in_both_ways_is_one_viewer(client: Client) -> None:
    await play(client, "anna")
    assert (await tell(client, "/api/v1/metrics/playback", {**PEERTUBE, "sampled": True})).status == 204
    await tell(client, f"/api/v1/videos/{UUID}/playback", {"sessionId": "anna", "duration": 10_000, "stalls": 2})

    async def is_there() -> bool:
        return bool((await quality(client))["viewers"])

    await wait_until(is_there)
    said = await quality(client)
    assert (said["viewers"], said["stalledViewers"], said["errorViewers"]) == (1, 1, 0)
    # Sums over all viewers have it.
    scrape = (await client.ask("GET", "/metrics")).body
    assert "peertube_playback_errors_count_total{" in scrape


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"videoId": PRIVATE}, 404),
        ({"videoId": "00000000-0000-4000-8000-000000000009"}, 404),
        ({"videoId": "not a video"}, 400),
        ({"resolution": -1}, 400),
        ({"resolution": 99_999}, 400),
        ({"playerMode": "vlc"}, 400),
    ],
)
async def test_what_peertube_refuses(client: Client, changes: dict[str, Any], status: int) -> None:
    assert (await tell(client, "/api/v1/metrics/playback", {**PEERTUBE, **changes})).status == status


async def test_a_private_video_takes_samples_from_its_viewers_alone(client: Client) -> None:
    path, sample = f"/api/v1/videos/{PRIVATE}/playback", {"duration": 1_000}
    assert (await tell(client, path, sample)).status == 404
    token = (await client.ask("POST", f"/api/v1/videos/{PRIVATE}/viewer-tokens", {"user": "anna"})).body["token"]
    assert (await tell(client, path, {**sample, "viewerToken": token})).status == 204
    assert (await tell(client, f"/api/v1/videos/{UUID}/playback", {**sample, "viewerToken": token})).status == 401


async def test_who_may_read_it(client: Client) -> None:
    path = f"/api/v1/videos/{UUID}/stats/playback"
    assert (await client.ask("GET", path, admin=False)).status == 401
    other = {"Authorization": "Bearer a-token-of-another"}
    assert (await client.ask("GET", path, headers=other)).status == 403
    assert (await client.ask("GET", path + "?startDate=never")).status == 400
    csv = await client.ask("GET", path + "?format=csv")
    assert csv.body.startswith("statistic,name,value\r\nhealth,,No player has said yet how well it plays.")


async def test_joining_leaving_and_calls_are_recorded(client: Client, service: Service) -> None:
    await client.heartbeat("anna", 0)
    await client.heartbeat("anna", 1)
    await client.leave("anna")
    await client.ask("GET", "/api/v1/videos")
    await tell(client, "/api/v1/metrics/playback", PEERTUBE)

    async def kinds() -> list[str]:
        async with service.ground.database.read() as tx:
            found = await tx.execute(select(telemetry_records.c.kind).order_by(telemetry_records.c.id))
            return [kind for kind in found.scalars() if kind != "node_rooms"]

    wanted = ["room_created", "participant_joined", "participant_active", "participant_left", "room_ended"]

    async def all_there() -> bool:
        found = await kinds()
        return {*wanted, "api_call", "report", "stat"} <= set(found)

    await wait_until(all_there)
    assert [kind for kind in await kinds() if kind in wanted] == wanted


async def test_an_open_page_holds_its_viewer(client: Client, service: Service) -> None:
    path = f"{client.url}/api/v1/videos/{UUID}/viewers?sessionId="
    events = {"Accept": "text/event-stream"}
    async with client.http.get(path + "no%20name", headers=events) as refused:
        assert refused.status == 400
    async with client.http.get(path + "anna", headers=events) as stream:
        assert stream.status == 200
        # While others watch: the end of a video ends every hold on it.
        await client.heartbeat("carl", 0)
        await client.heartbeat("anna", 0)
        await client.heartbeat("anna", 1)
        await client.leave("anna")
        await client.heartbeat("bea", 0)
        await client.leave("bea")

        async def left() -> list[str]:
            async with service.ground.database.read() as tx:
                found = await tx.execute(select(telemetry_records.c.kind))
                return [kind for kind in found.scalars() if kind.startswith("participant_") and "joined" not in kind]

        async def bea_left() -> bool:
            return "participant_connection_aborted" in await left()

        await wait_until(bea_left)
        assert "participant_left" not in await left()

    async def anna_left() -> bool:
        return "participant_left" in await left()

    await wait_until(anna_left)


async def test_where_telemetry_is_off_nothing_is_looked_at(tmp_path: Path) -> None:
    service = await started(tmp_path, {"enabled": False})
    async with aiohttp.ClientSession() as http:
        client = Client(service.url, http)
        assert (await tell(client, "/api/v1/metrics/playback", {"no": "body"})).status == 204
        assert (await tell(client, f"/api/v1/videos/{UUID}/playback", {"no": "body"})).status == 204
        config = (await client.ask("GET", "/api/v1/config")).body
        assert config["openTelemetry"]["metrics"]["enabled"] is False
        await client.heartbeat("anna", 0)
        said = await quality(client)
        assert (said["viewers"], said["health"]) == (0, OFF)
    await service.stop()
