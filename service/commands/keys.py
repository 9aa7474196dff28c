"""``fediviews keys``: our own keys, looked at and rotated in their files. A running service sees the files."""

from __future__ import annotations

import sys
from pathlib import Path

from federation.own_keys import ED25519_NAME, RSA_NAME, key_files, rotate_keys
from foundation.clock import SystemClock, iso_ms
from service.config import Config
from service.config.values import format_duration
from service.housekeeping import KEYS_EVERY_MS


def keys(config: Config, action: str, *, revoke: bool) -> int:
    """``list`` or ``rotate``. Raises FediviewsError."""
    directory = config.storage.directory
    if action == "rotate":
        _rotate(config, directory, revoke=revoke)
    for name in (RSA_NAME, ED25519_NAME):
        for file in key_files(directory, name):
            print(f"{file.path.name}\tsince {iso_ms(file.since_ms)}")
    return 0


def _rotate(config: Config, directory: Path, *, revoke: bool) -> None:
    rotate_keys(directory, SystemClock().now_ms(), revoke=revoke)
    overlap = format_duration(config.federation.key_overlap_ms)
    lines = [f"A running service signs with the new key within {format_duration(KEYS_EVERY_MS)}; no restart is needed."]
    if revoke:
        lines += ["The old key is deleted. PeerTube refuses us until it looks at our actors again, within two days."]
    else:
        lines += [f"The old key is kept for {overlap}, for peers that do not know the new one yet, and deleted then."]
    print("\n".join(lines), file=sys.stderr)
