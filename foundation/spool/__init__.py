"""The spool: what was acknowledged while the database was gone, on disk until it is replayed there, exactly once."""

from foundation.spool.replayer import Applied, Replay, nothing_more
from foundation.spool.spool import Spool, SpoolSettings

__all__ = ["Applied", "Replay", "Spool", "SpoolSettings", "nothing_more"]
