"""Calls of host applications and administrators, as telemetry records them: what was asked, how it ended, how long."""

from __future__ import annotations

from aiohttp import web

from foundation.clock import Clock
from foundation.principal import Principal, Role
from views.telemetry.interface import TelemetryService
from views.telemetry.subjects import ApiCallInfo


class ApiCalls:
    """Asked after each answer; people who only watch or read are not recorded."""

    def __init__(self, telemetry: TelemetryService, clock: Clock) -> None:
        self._telemetry = telemetry
        self._clock = clock

    def begun_ms(self) -> int:
        """What to give to ``answered`` at the end."""
        return self._clock.monotonic_ms()

    def answered(self, request: web.Request, principal: Principal, status: int, begun_ms: int) -> None:
        """The path goes in as its pattern: ids of videos and names of hosts stay out."""
        if not principal.may(Role.HOST):
            return
        resource = request.match_info.route.resource
        route = "" if resource is None else resource.canonical
        took_ms = self._clock.monotonic_ms() - begun_ms
        self._telemetry.api_call(ApiCallInfo(request.method, route, status, took_ms, principal.name))
