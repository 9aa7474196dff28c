"""What is said when a Redis Cluster or a Sentinel set-up does not answer: which node, and why; never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from integration.house import run
from support.servers import redis_cluster, redis_sentinel
from support.servers.process import free_port, short_directory
from support.servers.redis import RedisServer

from foundation.errors import StorageUnavailable
from foundation.redis.link import LinkSettings, RedisLink
from foundation.redis.script import Script

SECRET = "s3cret"


async def said(url: str, *, run: bool = False) -> str:
    link = RedisLink(url, LinkSettings(timeout_ms=5_000))
    try:
        with pytest.raises(StorageUnavailable) as problem:
            await (link.run(Script("one", "return 1"), "{a}") if run else link.ping())
    finally:
        await link.close()
    text = str(problem.value)
    assert SECRET not in text
    assert "\n" not in text
    return text


def with_password(url: str, password: str = SECRET) -> str:
    return url.replace("://", f"://:{password}@")


@pytest.mark.parametrize("kind", ["redis+cluster://{}", "redis+sentinel://{}/live/0"])
async def test_nobody_there(kind: str) -> None:
    one, two = (f"127.0.0.1:{free_port()}" for _ in range(2))
    assert (await said(with_password(kind.format(one)))).endswith("does not answer (connection refused)")
    both = await said(with_password(kind.format(f"{one},{two}")))
    assert both.endswith(
        (f"does not answer ({one}: connection refused)", f"does not answer ({two}: connection refused)")
    )
    assert "does not answer (" in (unknown := await said(with_password(kind.format("nowhere.invalid:1"))))
    assert "Error" not in unknown


async def test_a_sentinel_that_cannot_lead() -> None:
    with redis_sentinel() as (primary, url):
        assert (await said(url.replace("/live/", "/other/"))).endswith(
            "has no primary of this name that is up, say its sentinels"
        )
        primary.call("CONFIG", "SET", "requirepass", SECRET)
        assert (await said(url)).endswith("wants a password")
        assert (await said(with_password(url, "wrong"))).endswith("does not take the password")
        assert (await said(url.replace("sentinel", "cluster").removesuffix("/live/0"))).endswith(
            "wants redis:// as its address"
        )
        primary.kill()
        refused = f"does not answer (127.0.0.1:{primary.port}: connection refused)"
        assert (await said(with_password(url))).endswith(refused)


async def test_what_is_no_sentinel_and_one_that_wants_a_password() -> None:
    with short_directory() as directory:
        server = RedisServer(directory, port=free_port())
        server.start()
        try:
            url = f"redis+sentinel://127.0.0.1:{server.port}/live/0"
            assert (await said(url)).endswith("is no sentinel: it wants redis:// as its address")
            server.call("CONFIG", "SET", "requirepass", SECRET)
            assert "password of its sentinels" in await said(url)
        finally:
            server.kill()


async def test_a_cluster_that_cannot_serve() -> None:
    with redis_cluster() as cluster:
        plain = cluster.url.replace("+cluster", "")
        assert "one node of a cluster" in await said(plain.rpartition(":")[0] + f":{cluster.nodes[0].port}", run=True)
        for node in cluster.nodes:
            node.call("CONFIG", "SET", "requirepass", SECRET)
        assert (await said(cluster.url)).endswith("wants a password")
        assert (await said(with_password(cluster.url, "wrong"))).endswith("does not take the password")


async def test_a_start_says_it_in_one_line_and_fails(tmp_path: Path) -> None:
    config, port = tmp_path / "config.yaml", free_port()
    for live in (f"redis+cluster://:{SECRET}@127.0.0.1:{port}", f"redis+sentinel://:{SECRET}@127.0.0.1:{port}/live/0"):
        storage = {"directory": "data", "live": live}
        config.write_text(yaml.safe_dump({"storage": storage}))
        refused = await run("serve", config)
        assert refused.status == 1
        lines = refused.err.splitlines()
        assert lines[-1].endswith("does not answer (connection refused)"), lines
        assert SECRET not in refused.err + refused.out
        assert len(lines) == 1, lines
