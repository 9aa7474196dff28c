"""The whole schema: every ``tables.py`` of the product defines its tables on ``foundation.database.metadata``."""

from __future__ import annotations

import importlib
from pathlib import Path

from sqlalchemy import MetaData

from foundation.database import metadata

PACKAGES = ("foundation", "federation", "views", "inbox", "outbox")


def load() -> MetaData:
    """``metadata`` with every table defined, whoever asks first."""
    root = Path(__file__).resolve().parent.parent.parent
    for package in PACKAGES:
        for module in sorted((root / package).rglob("tables.py")):
            importlib.import_module(".".join(module.relative_to(root).with_suffix("").parts))
    return metadata
