"""Keys that change under a running service."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from federation.own_keys import OVERLAP_MS, RSA_NAME, key_files, rotate_keys
from foundation.clock import ManualClock
from service.app import Service
from service.config import Config, Listen, Storage


async def test_keys_are_taken_up_refused_and_retired(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fediviews")
    service = await Service.create(Config(listen=Listen(port=0), storage=Storage(directory=tmp_path)), clock=clock)
    try:
        first = service.directory.identity
        assert (first.key_fragment, first.key_id) == ("main-key", f"{first.actor_url}#main-key")
        rotate_keys(tmp_path, clock.now_ms())
        await service.housekeeping.reload_keys()
        second = service.directory.identity
        assert second.key_fragment == "main-key-2"
        assert second.public_key_pem != first.public_key_pem

        bad = tmp_path / "instance-3.pem"
        bad.write_text("SECRET garbage")
        bad.chmod(0o600)
        for _ in range(3):
            await service.housekeeping.reload_keys()
        assert service.directory.identity == second
        errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 1
        assert "instance-3.pem" in errors[0]
        assert "SECRET" not in errors[0]

        bad.unlink()
        clock.advance(OVERLAP_MS)
        await service.housekeeping.reload_keys()
        assert service.federation.ring.keys.previous is None
        assert [file.path.name for file in key_files(tmp_path, RSA_NAME)] == ["instance-2.pem"]
        assert "the old key instance.pem is over and deleted" in caplog.text
    finally:
        await service.stop()
