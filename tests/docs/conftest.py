"""One service as anybody would start it, on a free port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.app import Service
from service.commands.demo import free_port
from service.config import load_config


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """Listening; its configuration is that of the project but for the port, its data in ``data`` beside it."""
    port = free_port()
    config = f"instance: {{url: 'http://127.0.0.1:{port}'}}\nlisten: {{port: {port}}}\n"
    (tmp_path / "config.yaml").write_text(config)
    service = await Service.create(load_config(tmp_path / "config.yaml", {}))
    await service.start()
    yield service
    await service.stop()
