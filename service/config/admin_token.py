"""The admin token of a service whose configuration names none."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path

from foundation.errors import ConfigError

FILE_NAME = "admin-token"


def generate_admin_token(directory: Path) -> tuple[str, Path]:
    """The token in ``directory/admin-token`` and that path; both are made (mode 600) when they are not there.

    ``directory`` is ``storage.directory``. Raises ConfigError when the file cannot be made or read, is open to other
    users, or holds something else than a token.
    """
    path = directory / FILE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        mode = path.stat().st_mode
        token = path.read_text("ascii").strip()
    except OSError as error:
        raise ConfigError("storage.directory", f"{path} cannot be used: {error.strerror}") from None
    except UnicodeDecodeError:
        token, mode = "", 0
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigError("storage.directory", f"{path} is open to every user: delete it, a new one will be made")
    if re.fullmatch(r"[A-Za-z0-9_-]{32,512}", token) is None:
        raise ConfigError("storage.directory", f"{path} holds no token: delete it, a new one will be made")
    return token, path


def _create(path: Path) -> None:
    """Complete or not at all: written under another name, then linked, so that two starts agree on one token."""
    draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
