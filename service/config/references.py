"""``env:NAME`` and ``file:PATH``: values that stand somewhere else."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from foundation.errors import ConfigError
from service.config.tree import LARGEST_TEXT, Plain, Scalar

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class References:
    """Follows references out of a configuration file in ``directory``, where relative paths begin."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._directory = directory
        self._env = env

    @staticmethod
    def is_reference(node: Scalar) -> bool:
        return node.plain is Plain.TEXT and node.text.startswith(("env:", "file:"))

    def follow(self, reference: str, path: str, *, secret: bool) -> str:
        """The text behind a reference, without white space around it. Raises ConfigError for the key ``path``.

        For a ``secret`` the file must not be readable by every user of the machine.
        """
        where, _, name = reference.partition(":")
        return self._variable(name, path) if where == "env" else self._file(name, path, secret=secret)

    def _variable(self, name: str, path: str) -> str:
        if _NAME.fullmatch(name) is None:
            raise ConfigError(path, "env: wants the name of an environment variable, as in env:FEDIVIEWS_TOKEN")
        value = self._env.get(name)
        if value is None:
            raise ConfigError(path, f"the environment variable {name} is not set")
        return value.strip()

    def _file(self, name: str, path: str, *, secret: bool) -> str:
        if not name or "\0" in name:
            raise ConfigError(path, "file: wants the path of a file")
        file_path = self._directory / name
        try:
            # Without waiting: opening a pipe that nobody writes to would hang the start.
            descriptor = os.open(file_path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise ConfigError(path, f"the file {file_path} cannot be read: {error.strerror}") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(path, f"{file_path} is not a regular file")
            if secret and status.st_mode & stat.S_IROTH:
                raise ConfigError(path, f"the file {file_path} can be read by every user: chmod 600 it")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(LARGEST_TEXT + 1)
        finally:
            os.close(descriptor)
        if len(data) > LARGEST_TEXT:
            raise ConfigError(path, f"the file {file_path} is larger than {LARGEST_TEXT} bytes")
        try:
            return data.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            raise ConfigError(path, f"the file {file_path} is not UTF-8 text") from None
