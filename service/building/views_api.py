"""What the REST routes of players and of host applications need of the views tower and of the configuration."""

from __future__ import annotations

from foundation.tokens import TokenBook
from service import VERSION
from service.building.ground import Ground
from service.building.rate_limits import rate_limiter
from service.building.report_rules import report_rules
from service.building.views_tower import ViewsTower
from views.audience import Audience
from views.ports import VideoImporter
from views.routes.services import ApiSettings, Command, ViewsApi


def views_api(
    ground: Ground, tower: ViewsTower, tokens: TokenBook, importer: VideoImporter, commands: dict[str, Command]
) -> ViewsApi:
    config = ground.config
    rate = config.views.rate_limit
    settings = ApiSettings(
        instance_name=config.instance.name,
        version=VERSION,
        account=config.instance.owner,
        watching_anonymous_ms=config.views.watching_interval.anonymous_ms,
        watching_users_ms=config.views.watching_interval.users_ms,
        viewer_token_ttl_ms=config.views.token_ttl_ms,
        max_streams=config.listen.max_streams,
        max_streams_per_address=config.listen.max_listeners_per_address,
        trusted_proxies=config.listen.trusted_proxies,
        places_at_least=config.views.places_at_least,
    )
    return ViewsApi(
        clock=ground.clock,
        metrics=ground.metrics,
        catalog=tower.catalog,
        viewers=tower.viewers,
        counter=tower.counter,
        watching=tower.watching,
        identity=tower.identity,
        tokens=tokens,
        viewer_tokens=tower.viewer_tokens,
        importer=importer,
        settings=settings,
        limiter=rate_limiter(ground.clock, rate),
        reading=rate_limiter(ground.clock, rate),
        commands=commands,
        statistics=tower.statistics,
        channels=tower.channels,
        resume=tower.resume,
        replays=tower.replays,
        sharing=tower.sharing,
        geo_attribution=tower.geo.attribution,
        place_headers=tower.geo.headers,
        telemetry=tower.telemetry,
        playback=tower.telemetry_house.desk,
        feed=tower.telemetry_house.feed,
        audience=Audience(ground.clock) if config.telemetry.enabled else None,
        shedder=ground.shedder,
        rules=report_rules(ground.config.views, ground.clock, ground.metrics),
        pages=tower.websites.pages,
    )
