"""What every part of a running service stands on."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.clock import Clock
from foundation.database import Database
from foundation.metrics import Metrics
from foundation.shedding import Shedder
from foundation.spool import Spool
from service.config import Config
from service.storage.stores import LiveStores
from service.workers.together import Together


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything stands on."""

    config: Config
    clock: Clock
    metrics: Metrics
    database: Database
    spool: Spool
    live: LiveStores
    together: Together
    shedder: Shedder
