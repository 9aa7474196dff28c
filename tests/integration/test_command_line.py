"""The command line beside a running service, and what it says of a configuration that cannot be used."""

from __future__ import annotations

import asyncio
import json
import signal

from integration.conftest import MakeInstance, Spawn
from integration.house import OTHER_UUID, ROOT, TOKEN, UUID, Client, command, run, wait_until


async def test_the_command_line_asks_a_running_service(spawn: Spawn, instance: MakeInstance) -> None:
    origin = await instance()
    await origin.put_video()
    process = spawn()
    nobody = await run("peers", process.config)
    assert nobody.status == 1
    assert "is `fediviews serve` running" in nobody.err

    client = await process.start()
    checked = await run("check-config", process.config)
    assert (checked.status, checked.err) == (0, "")
    assert "OK" in checked.out
    followed = await run("follow", process.config, origin.host)
    assert followed.status == 0, followed.err
    await wait_until(client.video)
    listed = await run("peers", process.config)
    assert (listed.status, listed.err) == (0, "")
    row = next(line for line in listed.out.splitlines() if origin.host in line)
    assert "accepted" in row
    assert "fediviews" in row
    ended = await run("unfollow", process.config, origin.host)
    assert ended.status == 0, ended.err
    await wait_until(lambda: _nobody_follows(origin))
    again = await run("unfollow", process.config, origin.host)
    assert again.status == 1
    assert "404" in again.err
    ourselves = await run("follow", process.config, client.host)
    assert (ourselves.status, ourselves.err) == (1, f"{client.host}: this is our own host (400)\n")
    assert "Traceback" not in nobody.err + again.err


async def test_a_host_is_blocked_and_let_speak_again_across_a_restart(spawn: Spawn) -> None:
    process = spawn()
    client = await process.start()
    blocked = await run("block", process.config, "noisy.example")
    assert (blocked.status, blocked.err) == (0, "")
    assert "nothing is known of it yet" in blocked.out
    assert "block noisy.example: by token admin over the command line" in process.log
    assert await _blocked(client) == {"noisy.example"}
    await process.end()
    client = await process.start()
    assert await _blocked(client) == {"noisy.example"}
    listed = await run("peers", process.config)
    assert "blocked (hand)" in listed.out
    unblocked = await run("unblock", process.config, "noisy.example")
    assert (unblocked.status, unblocked.err) == (0, "")
    assert await _blocked(client) == set()
    assert "(hand)" not in (await run("peers", process.config)).out
    allowed = await run("allow", process.config, "noisy.example")
    assert (allowed.status, allowed.err) == (0, "")
    assert await _blocked(client) == set()
    assert "allowed (hand)" in (await run("peers", process.config)).out
    disallowed = await run("disallow", process.config, "noisy.example")
    assert (disallowed.status, disallowed.err) == (0, "")
    assert "(hand)" not in (await run("peers", process.config)).out
    nonsense = await run("block", process.config, "https://noisy.example/")
    assert nonsense.status == 1
    assert "400" in nonsense.err


async def test_what_waits_for_nobody_is_no_success(spawn: Spawn) -> None:
    process = spawn()
    await process.start()
    for verdict in ("retry", "drop"):
        ran = await run(verdict, process.config, "typo-hots.example")
        assert (ran.status, ran.out) == (1, "")
        assert "no peer of this name is known" in ran.err
    nothing = await run("undelivered", process.config)
    assert (nothing.status, nothing.out) == (0, "nothing is undelivered\n")
    of_nobody = await run("undelivered", process.config, "typo-hots.example")
    assert of_nobody.out == "nothing is undelivered to typo-hots.example; no peer of this name is known\n"
    assert (await run("block", process.config, "noisy.example")).status == 0
    assert (await run("drop", process.config, "noisy.example")).out == "0 given up\n"
    assert "nothing is known" not in (await run("block", process.config, "noisy.example")).out


async def test_the_quarantine_is_listed_replayed_and_dropped(spawn: Spawn) -> None:
    process = spawn()
    client = await process.start()
    async with client.http.post(f"{client.url}/inbox", data=b"{}", headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415
    listed = await run("quarantine", process.config, "list")
    assert (listed.status, listed.err) == (0, "")
    assert "content_type" in listed.out
    other = await run("quarantine", process.config, "list", "--reason", "expired")
    assert "content_type" not in other.out
    replayed = await run("quarantine", process.config, "replay")
    assert "0 applied" in replayed.out
    dropped = await run("quarantine", process.config, "drop")
    assert "1 forgotten" in dropped.out


async def test_a_wrong_configuration_is_named_and_ends_with_two(spawn: Spawn) -> None:
    process = spawn()
    written = process.config.read_text()
    for name, text, named in (
        ("serve", written.replace("viewer_lifetime: 60s", "viewer_lifetime: 60"), "views.viewer_lifetime"),
        ("check-config", written + "\nsurprise: 1\n", "surprise"),
        ("serve", written.replace("role: admin", "role: king"), "tokens[0].role"),
        ("peers", "a: [b", "not valid YAML"),
    ):
        process.config.write_text(text)
        ran = await run(name, process.config)
        assert ran.status == 2, (name, ran)
        assert named in ran.err
        assert len(ran.err.strip().splitlines()) == 1, ran.err
    missing = process.config.with_name("missing.yaml")
    assert (await run("check-config", missing)).status == 2


async def _blocked(client: Client) -> set[str]:
    answer = await client.ask("GET", "/api/v1/server/peers")
    return {peer["host"] for peer in answer.body["data"] if peer["blocked"]}


async def _nobody_follows(client: Client) -> bool:
    return await client.followers() == []


async def test_videos_and_their_statistics_are_shown(spawn: Spawn, instance: MakeInstance) -> None:
    process, origin = spawn(), await instance()
    nobody = await run("videos", process.config)
    assert nobody.status == 1
    assert "is `fediviews serve` running" in nobody.err
    client = await process.start()
    await client.put_video()
    await origin.put_video(OTHER_UUID)
    await client.ask("POST", "/api/v1/videos", {"url": origin.id_of(OTHER_UUID)})
    await client.watch("anna", "bert")
    assert await client.view("anna") == "counted"
    listed = await run("videos", process.config)
    assert (listed.status, listed.err) == (0, "")
    assert [line.split()[-2:] for line in listed.out.splitlines() if " here " in line] == [["2", "1"]]
    assert origin.host in listed.out
    assert json.loads((await run("videos", process.config, "--json", "--count", "1")).out)[0]["uuid"]
    assert len((await run("videos", process.config, "--live")).out.splitlines()) == 1
    shown = await run("stats", process.config, UUID)
    assert (shown.status, shown.err) == (0, "")
    assert "2 (2 here)" in shown.out
    assert "viewers so far  1" in shown.out
    theirs = await run("stats", process.config, OTHER_UUID)
    assert (theirs.status, theirs.err) == (0, "")
    assert "viewers so far" not in theirs.out
    unknown = await run("stats", process.config, "12345")
    assert unknown.status == 1
    assert "404" in unknown.err


async def test_another_services_token_is_said(spawn: Spawn) -> None:
    process = spawn()
    await process.start()
    process.config.write_text(process.config.read_text().replace(TOKEN, "quite-another-token"))
    ran = await run("peers", process.config)
    assert ran.status == 1
    assert "does not know this token" in ran.err


async def test_the_doctor_comes_to_a_running_service(spawn: Spawn) -> None:
    process = spawn()
    await process.start()
    well = await run("doctor", process.config)
    assert (well.status, well.err) == (0, "")
    assert "webfinger" in well.out
    await process.end()
    ill = await run("doctor", process.config)
    assert ill.status == 1
    assert "is the service running" in ill.out
    assert "Traceback" not in ill.out + ill.err


async def test_ctrl_c_ends_it_without_a_word(spawn: Spawn) -> None:
    """While it waits for a service that has taken the question and does not answer."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    process = spawn()
    server = await asyncio.start_server(silent, "127.0.0.1", int(process.url.rpartition(":")[2]))
    child = await asyncio.create_subprocess_exec(
        *command("peers", process.config),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            await asked.wait()
            child.send_signal(signal.SIGINT)
            said = await child.communicate()
    finally:
        server.close()
    assert (child.returncode, said) == (130, (b"", b""))


async def test_a_token_of_another_service_and_a_stranger_on_the_port_are_told(spawn: Spawn) -> None:
    process = spawn()
    await process.start()
    process.config.write_text(process.config.read_text().replace(TOKEN, "another-token-of-an-admin"))
    refused = await run("peers", process.config)
    assert (refused.status, "does not know this token" in refused.err) == (1, True)
    await process.end()

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    server = await asyncio.start_server(stranger, "127.0.0.1", int(process.url.rpartition(":")[2]))
    other = await run("peers", process.config)
    server.close()
    assert (other.status, "does not speak as Fediviews does" in other.err) == (1, True)
    assert len(other.err.splitlines()) == 1
