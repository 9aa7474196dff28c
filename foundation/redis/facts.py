"""What a Redis says of itself, as far as it matters here: its version, whether it forgets, whether it evicts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Facts:
    """``append_fsync`` and ``eviction`` are Redis' own words (``everysec``, ``noeviction``), empty when not told."""

    software: str
    version: str
    append_only: bool
    append_fsync: str
    eviction: str
    used_bytes: int

    @property
    def version_number(self) -> tuple[int, ...]:
        """Of the Redis that it is, or is compatible with."""
        return tuple(map(int, re.findall(r"\d+", self.version)[:3]))


def facts_of(info: Mapping[str, Any], fsync: Mapping[Any, Any]) -> Facts:
    """Out of INFO and of CONFIG GET appendfsync, whose names and values may be bytes."""
    # A cluster's client names the node that answered.
    if "redis_version" not in info:
        info = next((each for each in info.values() if isinstance(each, Mapping)), {})
    said = {_text(name): _text(value) for name, value in fsync.items()}
    valkey = info.get("valkey_version")
    return Facts(
        software="Valkey" if valkey else "Redis",
        version=_text(valkey or info.get("redis_version", "0")),
        append_only=str(info.get("aof_enabled", 0)) == "1",
        append_fsync=said.get("appendfsync", ""),
        eviction=_text(info.get("maxmemory_policy", "")),
        used_bytes=int(info.get("used_memory", 0)),
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
