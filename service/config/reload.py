"""What a changed configuration file changes in a running service (SIGHUP)."""

from __future__ import annotations

import dataclasses

from service.config.model import Config
from service.config.shape import Section, section_of

RELOADABLE = (
    "peers",
    "tokens",
    "videos",
    "webhooks",
    "livekit.keys",
    "livekit.rooms",
    "logging.level",
    "federation.open",
)
"""Keys that take effect without a restart."""


def reloadable_changes(old: Config, new: Config) -> list[str]:
    """The paths of changed keys that take effect at once, in the order of the file."""
    return [path for path in _changed(old, new) if path in RELOADABLE]


def restart_changes(old: Config, new: Config) -> list[str]:
    """The paths of changed keys that wait for a restart: name them in a warning."""
    return [path for path in _changed(old, new) if path not in RELOADABLE]


def with_reloadable(old: Config, new: Config) -> Config:
    """What runs after a reload: ``old`` with the reloadable keys of ``new``."""
    return dataclasses.replace(
        old,
        peers=new.peers,
        tokens=new.tokens,
        videos=new.videos,
        webhooks=new.webhooks,
        livekit=dataclasses.replace(old.livekit, keys=new.livekit.keys, rooms=new.livekit.rooms),
        logging=dataclasses.replace(old.logging, level=new.logging.level),
        federation=dataclasses.replace(old.federation, open=new.federation.open),
    )


def _changed(old: Config, new: Config) -> list[str]:
    return list(_differences(section_of(Config), old, new, ""))


def _differences(shape: Section, old: object, new: object, path: str) -> list[str]:
    """Lists and tables are named as a whole: their indexes mean nothing once an entry was inserted."""
    found: list[str] = []
    for key, member in shape.members.items():
        before, after = getattr(old, member.field), getattr(new, member.field)
        if before == after:
            continue
        inner = f"{path}.{key}" if path else key
        if isinstance(member.shape, Section) and before is not None and after is not None:
            found += _differences(member.shape, before, after, inner)
        else:
            found.append(inner)
    return found
