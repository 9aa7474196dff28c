"""The file with the secret that viewer ids, viewer tokens and the dashboard's sessions are made with."""

from __future__ import annotations

from pathlib import Path

from views.sessions import load_or_create_secret

SECRET_FILE = "viewer-secret"  # noqa: S105


def viewer_secret(directory: Path) -> bytes:
    """Of the instance whose ``storage.directory`` this is; made if there is none yet."""
    return load_or_create_secret(directory / SECRET_FILE)
