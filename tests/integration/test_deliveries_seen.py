"""How deliveries to each peer stand, as administrators see it: over REST, on the command line, in the metrics."""

from __future__ import annotations

import json

from integration.conftest import MakeInstance, Spawn
from integration.house import Client, Instance, run, wait_until
from integration.peertube import PeerTube, is_busy, refuses

from service.config import Peer


async def delivery(client: Client, peertube: PeerTube) -> dict[str, object]:
    known = await client.peer(peertube.host) or {}
    return known.get("delivery", {}) | {"breaker": known.get("breaker")}


async def is_waiting(client: Client, peertube: PeerTube) -> bool:
    return bool((await delivery(client, peertube)).get("waiting"))


async def followed(client: Client, peertube: PeerTube) -> None:
    await client.put_video()
    await peertube.follow(client.url)
    await wait_until(lambda: peertube.of_type("Announce"))


async def metric(ours: Instance, start: str) -> list[str]:
    text = (await ours.ask("GET", "/metrics")).body
    return [line for line in str(text).splitlines() if line.startswith(start)]


async def test_a_peer_that_takes_everything(instance: MakeInstance, peertube: PeerTube) -> None:
    ours = await instance(peers=(Peer(host=peertube.host),))
    await followed(ours, peertube)
    await wait_until(lambda: _has_taken_all(ours, peertube))
    shown = await delivery(ours, peertube)
    assert (shown["waiting"], shown["setAside"], shown["breaker"]) == (0, 0, "closed")
    assert (shown["oldest"], shown["lastError"], shown["nextTry"]) == (None, None, None)
    assert (shown["batch"], shown["batchReason"]) == ("views", "software")
    assert int(str(shown["postsPerHour"])) >= 2
    assert int(str(shown["bytesPerHour"])) > 500
    [line] = await metric(ours, f'fediviews_peer_posts_per_hour{{peer="{peertube.host}"}}')
    assert float(line.rpartition(" ")[2]) >= 2


async def test_a_peer_that_does_not_answer(instance: MakeInstance, peertube: PeerTube) -> None:
    ours = await instance(peers=(Peer(host=peertube.host),))
    await followed(ours, peertube)
    peertube.trouble = is_busy
    assert await ours.view("anna") == "counted"
    await wait_until(lambda: peertube.turned_away)
    await wait_until(lambda: is_waiting(ours, peertube))
    shown = await delivery(ours, peertube)
    assert shown["lastError"] == "status_429"
    assert None not in (shown["oldest"], shown["lastErrorAt"], shown["nextTry"], shown["lastSuccess"])
    [line] = await metric(ours, f'fediviews_peer_queue{{peer="{peertube.host}",what="activities"}}')
    assert line.endswith(" 1.0")


async def test_metrics_of_peers_are_bounded_and_can_be_left_out(instance: MakeInstance, peertube: PeerTube) -> None:
    listed = tuple(Peer(host=f"peer{number}.example") for number in range(3))
    few = await instance(federation={"peer_metrics": 2}, peers=listed)
    hosts = {line.partition('peer="')[2].partition('"')[0] for line in await metric(few, "fediviews_peer_queue{")}
    assert hosts == {"peer0.example", "peer1.example"}
    none = await instance(federation={"peer_metrics": 0}, peers=listed)
    assert await metric(none, "fediviews_peer_queue{") == []


async def test_the_command_line_shows_what_is_not_taken_and_has_it_tried_again(
    spawn: Spawn, peertube: PeerTube
) -> None:
    process = spawn(federation={"retry_first": "10ms", "retry_max": "20ms"})
    client = await process.start()
    await followed(client, peertube)
    peertube.trouble = refuses
    assert await client.view("anna") == "counted"
    await wait_until(lambda: _is_set_aside(client, peertube))

    table = await run("peers", process.config)
    assert (table.status, table.err) == (0, "")
    title, row = (line.split() for line in table.out.splitlines()[:2])
    assert title[0] == "HOST"
    assert row[0] == peertube.host
    assert "views (software)" in table.out
    as_json = json.loads((await run("peers", process.config, "--json")).out)
    assert as_json[0]["delivery"]["setAside"] == 1
    undelivered = await run("undelivered", process.config, peertube.host)
    assert "status_422" in undelivered.out
    assert "set aside" in undelivered.out
    [entry] = json.loads((await run("undelivered", process.config, "--json")).out)
    assert (entry["host"], entry["type"], entry["setAside"]) == (peertube.host, "view", True)

    client = await process.restart()
    assert await _is_set_aside(client, peertube)
    peertube.trouble = None
    again = await run("retry", process.config, peertube.host, entry["id"])
    assert (again.status, again.out) == (0, "1 taken up again; what waits is tried now\n")
    await wait_until(lambda: peertube.counted(client.id_of()))
    dropped = await run("drop", process.config, peertube.host)
    assert (dropped.status, dropped.out) == (0, "0 given up\n")


async def test_what_is_not_taken_is_for_admins_and_hosts_have_names(instance: MakeInstance) -> None:
    ours = await instance()
    for method, path in (
        ("GET", "/api/v1/server/undelivered"),
        ("POST", "/api/v1/server/peers/peer.example/undelivered/retry"),
    ):
        assert (await ours.ask(method, path, admin=False)).status == 401
    assert (await ours.ask("POST", "/api/v1/server/peers/a%20b/undelivered/drop")).status == 400
    nobody = await ours.ask("POST", "/api/v1/server/peers/peer.example/undelivered/drop")
    assert (nobody.status, nobody.body["code"]) == (404, "unknown_host")
    assert (await ours.ask("GET", "/api/v1/server/undelivered?host=x")).body == {"total": 0, "data": []}


async def _has_taken_all(client: Client, peertube: PeerTube) -> bool:
    shown = await delivery(client, peertube)
    return bool(shown.get("lastSuccess")) and not shown["waiting"]


async def _is_set_aside(client: Client, peertube: PeerTube) -> bool:
    return (await delivery(client, peertube)).get("setAside") == 1
