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
    def format(self, record: logging.LogRecord) -> str:
        line = f"{iso_ms(int(record.created * 1000))} {record.levelname.lower():7} {record.name}: {_message(record)}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": iso_ms(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if record.exc_info is not None:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _message(record: logging.LogRecord) -> str:
    """One line whatever foreign text came into it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in record.getMessage())


def setup_logging(level: str, form: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
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
