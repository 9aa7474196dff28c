"""What OpenAPI says is held against a running service: every operation, with good and with bad input.

Left out: what makes the service ask other hosts, whose answers are nobody's to describe.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from foundation.principal import Role
from service.app import Service
from service.commands.demo import free_port
from service.config import Config, Federation, Instance, Listen, Secret, Storage, Token, Views
from service.config.values import parse_origin
from service.openapi import openapi
from views.model import VideoDraft

TOKEN = "an-administrators-token"
UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
ASKS_OTHERS = ("follow", "importVideo")
ITSELF = "openapi"
EXAMPLES = 10
HURRY = list(HealthCheck)
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
KNOWN = {"id": UUID, "uuid": UUID, "name": "main", "host": "peer.example"}
"""Path parameters that lead to something; every second example has them."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service in a thread of its own, with one video."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> Service:
        port = free_port()
        service = await Service.create(
            Config(
                instance=Instance(url=parse_origin(f"http://127.0.0.1:{port}")),
                listen=Listen(port=port, shutdown_grace_ms=0, overload_lag_ms=None),
                storage=Storage(directory=tmp_path_factory.mktemp("data")),
                views=Views(rate_limit=None, sessions_per_address=None),
                federation=Federation(allow_http=True),
                tokens=(Token(name="admin", role=Role.ADMIN, value=Secret(TOKEN)),),
            )
        )
        await service.start()
        await service.views.catalog.put_local(VideoDraft(UUID, "Big Buck Bunny", 596))
        return service

    service = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    yield service.url
    asyncio.run_coroutine_threadsafe(service.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


@pytest.fixture(scope="module")
def operations(url: str) -> dict[str, Any]:
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json")
    found = [each.ok() for each in schema.get_all_operations()]
    return {f"{each.method.upper()} {each.path}": each for each in found}


def routes() -> list[str]:
    """Of the operations that are tried."""
    return [
        f"{method.upper()} {path}"
        for path, item in openapi()["paths"].items()
        for method, operation in item.items()
        if method != "parameters" and operation["operationId"] not in (*ASKS_OTHERS, ITSELF)
    ]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("route", routes())
def test_answers_are_as_described(operations: dict[str, Any], route: str, mode: GenerationMode) -> None:
    @given(case=operations[route].as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=HURRY)
    def ask(case: Any) -> None:
        parameters = case.path_parameters or {}
        if sum(map(ord, str(parameters))) % 2:
            parameters.update({name: value for name, value in KNOWN.items() if name in parameters})
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
        case.call_and_validate(checks=CHECKS, headers=headers, timeout=20)

    try:
        ask()
    except Unsatisfiable:
        # Nothing can be wrong about a request without parameters and body.
        assert mode is GenerationMode.NEGATIVE
