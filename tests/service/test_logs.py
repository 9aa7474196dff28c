"""How a line of the log looks."""

from __future__ import annotations

import json
import logging

from service.logs import JsonFormatter, TextFormatter


def test_a_line_says_which_worker_speaks() -> None:
    record = logging.LogRecord("fediviews", logging.INFO, "x.py", 1, "configuration reloaded", (), None)
    assert " fediviews: configuration reloaded" in TextFormatter().format(record)
    assert " fediviews[2]: configuration reloaded" in TextFormatter(2).format(record)
    assert "worker" not in json.loads(JsonFormatter().format(record))
    assert json.loads(JsonFormatter(0).format(record))["worker"] == 0
