"""One service as anybody would start it, on a free port."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.app import Service
from service.config import load_config


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """Listening; its configuration is that of the project but for the port, its data in ``data`` beside it."""
    port = _free_port()
    config = f"instance: {{url: 'http://127.0.0.1:{port}'}}\nlisten: {{port: {port}}}\n"
    (tmp_path / "config.yaml").write_text(config)
    service = await Service.create(load_config(tmp_path / "config.yaml", {}))
    await service.start()
    yield service
    await service.stop()
