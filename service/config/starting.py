"""What a start meets beyond the keys themselves: what it would refuse, and what it should say. No store is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from foundation.errors import ConfigError
from service.config.model import Config


def check_start(config: Config) -> None:
    """Raises ConfigError for what every start would refuse here, as this user."""
    # They bring drivers along, which nobody else who reads a configuration has to load.
    from foundation.database_urls import driver_url
    from foundation.redis.link import RedisLink

    storage = config.storage
    _check_directory(storage.directory)
    if storage.database.url is not None:
        driver_url(storage.database.url)
    if storage.live.url is not None:
        RedisLink(storage.live.url)


def _check_directory(directory: Path) -> None:
    there = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise ConfigError("storage.directory", f"cannot be made: {there} is no directory")
    if not os.access(there, os.W_OK | os.X_OK):
        what = "is not writable" if there == directory else f"cannot be made in {there}"
        raise ConfigError("storage.directory", f"{what} for this user")


def doubts(config: Config) -> Iterator[str]:
    """What can be used, but hardly as it was meant; for the log of a start."""
    url, listen = config.instance.url, config.listen
    # Without TLS on loopback nothing has to stand in front; port 0 is chosen by whoever knows what it does.
    if url.is_loopback and url.scheme == "http" and listen.port not in (0, url.port):
        yield (
            f"instance.url says port {url.port}, listen.port is {listen.port}: every id leads to {url}, where"
            " this service answers only if a proxy hands over. Both belong together: change instance.url as well"
        )


def missing_files(config: Config) -> Iterator[str]:
    """Files that a start can do without, and says so when it looks for them."""
    for name, source in (("country", config.geoip.country), ("city", config.geoip.city)):
        if source is not None and source.path is not None and not source.path.is_file():
            yield f"geoip.{name}: there is no file {source.path}; places stay unknown until there is one"
