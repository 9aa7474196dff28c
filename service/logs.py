"""Log lines: one per event, text or JSON, never with a body, a token, an address or a viewer id."""

from __future__ import annotations

import json
import logging
import sys

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from foundation.clock import iso_ms
from foundation.metrics import Metrics


class TextFormatter(logging.Formatter):
    """``worker``: which of several processes speaks."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._whose = "" if worker is None else f"[{worker}]"

    def format(self, record: logging.LogRecord) -> str:
        at, level = iso_ms(int(record.created * 1000)), record.levelname.lower()
        line = f"{at} {level:7} {record.name}{self._whose}: {_message(record)}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class JsonFormatter(logging.Formatter):
    """``worker``: which of several processes speaks."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._whose = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": iso_ms(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._whose,
            "message": _message(record),
        }
        if record.exc_info is not None:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    """One line whatever foreign text came into it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in record.getMessage())


def setup_logging(level: str, form: str, worker: int | None = None) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(worker) if form == "json" else TextFormatter(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # SQLAlchemy and alembic speak of every statement at info; what matters of them arrives as exceptions.
    for noisy in ("sqlalchemy", "alembic", "asyncio", "aiosqlite", "engineio", "socketio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class ServerErrors(logging.Filter):
    """Stands in for aiohttp's traceback per malformed request: such requests are counted, real faults still logged."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._malformed = metrics.counter("fediviews_http_malformed_total", "Requests that are not HTTP")

    def filter(self, record: logging.LogRecord) -> bool:
        problem = record.exc_info[1] if record.exc_info else None
        if isinstance(problem, RequestPayloadError | HttpProcessingError):
            self._malformed.inc()
            return False
        return True


def server_logger(metrics: Metrics) -> logging.Logger:
    """The logger to hand to aiohttp's server. A logger of its own per service, so that filters do not add up."""
    logger = logging.Logger("fediviews.http")
    logger.parent = logging.getLogger()
    logger.addFilter(ServerErrors(metrics))
    return logger
