"""Servers that are there already, named by environment variables, for the contract suites.

They have to be empty, and are emptied between tests: whatever is in one when the tests begin is an error, not lost.
Several test processes at once would empty it for each other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from redis import Redis, RedisCluster

from .postgresql import empty_database, is_empty_database

REDIS_VARIABLE = "FEDIVIEWS_REDIS_URL"
CLUSTER_VARIABLE = "FEDIVIEWS_REDIS_CLUSTER_URL"
POSTGRESQL_VARIABLE = "FEDIVIEWS_POSTGRESQL_URL"


class LiveServer(Protocol):
    """A Redis, or a cluster of them: where, and how to empty it."""

    @property
    def url(self) -> str: ...

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ExistingRedis:
    url: str

    def flush(self) -> None:
        with _client(self.url) as client:
            client.flushdb()


@dataclass(frozen=True, slots=True)
class ExistingPostgreSQL:
    address: str

    def url(self, _: str = "") -> str:
        return self.address

    def empty(self) -> None:
        empty_database(self.address)


def existing_redis(variable: str) -> ExistingRedis | None:
    """The one that the environment variable names, if any."""
    url = _named(variable)
    if url is None:
        return None
    with _client(url) as client:
        if client.dbsize():
            raise pytest.UsageError(f"{variable} names a Redis that is not empty: the tests would empty it")
    return ExistingRedis(url)


def existing_postgresql() -> ExistingPostgreSQL | None:
    """Likewise, of ``FEDIVIEWS_POSTGRESQL_URL``."""
    url = _named(POSTGRESQL_VARIABLE)
    if url is not None and not is_empty_database(url):
        raise pytest.UsageError(f"{POSTGRESQL_VARIABLE} names a database that is not empty: the tests would empty it")
    return None if url is None else ExistingPostgreSQL(url)


def _named(variable: str) -> str | None:
    url = os.environ.get(variable)
    if url and int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        raise pytest.UsageError(f"{variable} is for one test process at a time: add -n 0")
    return url or None


def _client(url: str) -> Redis | RedisCluster:
    if "+cluster" not in url:
        return Redis.from_url(url)
    first = urlsplit(url.replace("+cluster", "").split(",")[0])
    return RedisCluster.from_url(first.geturl())
