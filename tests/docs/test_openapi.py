"""The OpenAPI document names every route that a program may ask, and no other."""

from __future__ import annotations

import re

from service.app import Service
from service.openapi import openapi

FOR_PEOPLE = re.compile(
    r"/|/stats|/static/.*|/[\w.-]+\.js|/b\.gif|/dashboard(/.*)?|/admin(/.*)?|/embed(/.*)?|/socket\.io/"
)
"""Pages, scripts and pictures: a browser asks for them, not a program. Socket.IO is a protocol of its own."""

METHODS = {"GET", "POST", "PUT", "DELETE", "PATCH"}


def described() -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, item in openapi()["paths"].items()
        for method in item
        if method.upper() in METHODS
    }


def routed(service: Service) -> set[str]:
    found = set()
    for route in service.app.router.routes():
        if route.method in METHODS and route.resource is not None:
            path = route.resource.canonical
            if not FOR_PEOPLE.fullmatch(path):
                found.add(f"{route.method} {path}")
    return found


async def test_every_route_is_described_and_no_other(running: Service) -> None:
    missing, gone = routed(running) - described(), described() - routed(running)
    lines = [f'    "{route}": op("aName", "What it does", who="admin", s200=ANYTHING),' for route in sorted(missing)]
    hint = "\n".join(
        [
            "Add to HOST_PATHS (service/openapi/host_paths.py) or ADMIN_PATHS (service/openapi/other_paths.py), with",
            "its real name, role, queries, body and answers (service/openapi/words.py says how), a new path parameter",
            "also to PARAMETERS (service/openapi/document.py); a page for people to FOR_PEOPLE (this file):",
            *lines,
        ]
    )
    assert not missing, hint
    assert not gone, f"Take out of service/openapi/*_paths.py, these routes are gone: {sorted(gone)}"


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [
        operation["operationId"]
        for item in openapi()["paths"].values()
        for method, operation in item.items()
        if method.upper() in METHODS
    ]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere() -> None:
    document = openapi()
    for reference in re.findall(r"'#/(components/[A-Za-z/]+)'", str(document)):
        part = document
        for name in reference.split("/"):
            assert name in part, reference
            part = part[name]


def test_every_answer_to_a_refusal_is_a_problem_document() -> None:
    for path, item in openapi()["paths"].items():
        for method, operation in item.items():
            if method.upper() in METHODS and path != "/readyz":
                assert operation["responses"]["4XX"] == {"$ref": "#/components/responses/Refused"}, path
