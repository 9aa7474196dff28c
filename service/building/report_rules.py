"""What the configuration says of honest players, as the rules that their reports are held against."""

from __future__ import annotations

from foundation.clock import Clock
from foundation.metrics import Metrics
from service.config import Views
from views.bots import Crawlers
from views.crowding import Crowding
from views.routes.honesty import ReportRules


def report_rules(views: Views, clock: Clock, metrics: Metrics) -> ReportRules:
    """What a report of a player has to be to count."""
    limit = views.sessions_per_address
    return ReportRules(
        is_crawler=Crawlers() if views.ignore_bots else None,
        ignore_prefetch=views.ignore_prefetch,
        crowding=None if limit is None else Crowding(clock, metrics, limit, views.viewer_lifetime_ms),
        count_owner=views.count_owner,
    )
