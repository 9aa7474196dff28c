"""From an address to a client of redis-py, for every kind of set-up."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.exceptions import RedisError


def place_of(url: str) -> str:
    """``url`` without user, password and options: for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def connect(url: str, timeout_s: float) -> tuple[Any, list[Any]]:
    """The client, and those of the sentinels that lead it."""
    # Exchanges have a time limit of their own; one per answer would cost more than the answer.
    options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": timeout_s}
    once = Retry(NoBackoff(), 0)
    scheme, _, rest = url.partition("://")
    base, _, kind = scheme.partition("+")
    if not kind:
        return Redis.from_url(url, **options, retry=once), []
    parts = urlsplit(f"{base}://{rest}")
    user, _, hosts = parts.netloc.rpartition("@")
    nodes = [_node(host) for host in hosts.split(",")]
    first = parts._replace(netloc=(f"{user}@" if user else "") + hosts.split(",")[0])
    if kind == "cluster":
        kwargs: dict[str, Any] = {**parse_url(urlunsplit(first._replace(path=""))), **options}
        for unused in ("host", "port", "db"):
            kwargs.pop(unused, None)
        if kwargs.pop("connection_class", None) is not None:
            kwargs["ssl"] = True
        startup = [ClusterNode(host, port) for host, port in nodes]
        return RedisCluster(startup_nodes=startup, **kwargs, retry=Retry(NoBackoff(), 2)), []
    return _sentinel(first, nodes, options, once)


def _sentinel(first: Any, nodes: list[tuple[str, int]], options: dict[str, Any], once: Retry) -> tuple[Any, list[Any]]:
    """``/service/db``; ``sentinel_password`` in the query is for the sentinels, all else for the servers."""
    service, _, database = first.path.lstrip("/").partition("/")
    query = dict(parse_qsl(first.query))
    sentinels: dict[str, Any] = {**options, "retry": once}
    if "sentinel_password" in query:
        sentinels["password"] = query.pop("sentinel_password")
    kwargs = parse_url(urlunsplit(first._replace(path=f"/{database}" if database else "", query=urlencode(query))))
    servers: dict[str, Any] = {**kwargs, **options, "retry": once}
    for unused in ("host", "port"):
        servers.pop(unused, None)
    if servers.pop("connection_class", None) is not None:
        servers["ssl"] = True
    sentinel: Any = _Sentinels(nodes, sentinel_kwargs=sentinels, **servers)  # type: ignore[no-untyped-call]
    return sentinel.master_for(service), sentinel.sentinels


class _Sentinels(Sentinel):
    """Says, where no primary is found, what went wrong with a sentinel that could have known it."""

    async def discover_master(self, service_name: str) -> Any:
        """Raises MasterNotFoundError, with a cause unless the sentinels answer."""
        try:
            return await super().discover_master(service_name)
        except MasterNotFoundError as problem:
            for sentinel in self.sentinels:
                try:
                    await sentinel.sentinel_get_master_addr_by_name(service_name)
                except RedisError as cause:
                    raise MasterNotFoundError(str(problem)) from cause
            raise


def _node(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("names no host")
    return parts.hostname, parts.port or 6379
