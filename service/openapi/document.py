"""The document put together, and the route that answers it."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from service import VERSION
from service.openapi.host_paths import HOST_PATHS
from service.openapi.other_paths import ADMIN_PATHS, FEDERATION_PATHS
from service.openapi.schemas import SCHEMAS
from service.openapi.words import PROBLEM, Schema, one_of, ref

PATH = "/api/v1/openapi.json"

_TAGS = {"Host applications": HOST_PATHS, "Administration": ADMIN_PATHS, "Federation": FEDERATION_PATHS}


PARAMETERS: dict[str, Schema] = {
    "id": {"type": "string", "pattern": r"^[0-9A-Za-z-]{1,36}$"},
    "uuid": {"type": "string", "pattern": r"^[0-9A-Za-z-]{1,36}$"},
    "name": {"type": "string", "pattern": r"^[A-Za-z0-9._-]{1,50}$"},
    "handle": {"type": "string", "pattern": r"^[A-Za-z0-9@._-]{1,100}$"},
    "host": {"type": "string", "pattern": r"^[a-z0-9-]{1,30}\.[a-z]{2,10}$"},
    "metric": one_of("viewers", "aggregateWatchTime"),
    "version": one_of("2.0", "2.1", "2.0.json", "2.1.json"),
}
"""Of paths, by name."""

_VERDICTS = {
    "/api/v1/server/peers/{host}/{verdict}": one_of("block", "unblock", "allow", "disallow"),
    "/api/v1/server/peers/{host}/undelivered/{verdict}": one_of("retry", "drop"),
}


def openapi(url: str = "") -> dict[str, Any]:
    """OpenAPI 3.1; ``url`` is the public address of the instance."""
    paths: dict[str, dict[str, Any]] = {}
    for tag, operations in _TAGS.items():
        for route, operation in operations.items():
            method, _, path = route.partition(" ")
            at = paths.setdefault(path, _below(path))
            at[method.lower()] = {**operation, "tags": [tag]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fediviews",
            "version": VERSION,
            "summary": "Counts who is watching, across instances.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        **({"servers": [{"url": url}]} if url else {}),
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": SCHEMAS,
            "responses": {
                "Refused": _problem("Refused, with the reason in code"),
                "Later": _problem("A store is away or there is too much to do: again after Retry-After"),
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of the configuration"},
                "viewer": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Viewer-Token",
                    "description": "Made by POST /api/v1/videos/{id}/viewer-tokens",
                },
            },
        },
    }


def _below(path: str) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    if not names:
        return {}
    schemas = {**PARAMETERS, "verdict": _VERDICTS.get(path, {})}
    return {"parameters": [{"name": name, "in": "path", "required": True, "schema": schemas[name]} for name in names]}


def _problem(description: str) -> Schema:
    return {"description": description, "content": {PROBLEM: {"schema": ref("Problem")}}}


def setup_routes(router: web.UrlDispatcher, url: str) -> None:
    body = msgspec.json.encode(openapi(url))
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=3600"}

    async def document(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers=headers)

    router.add_get(PATH, document)
