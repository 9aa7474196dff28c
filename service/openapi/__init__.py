"""The OpenAPI document of everything that a program may ask: ``GET /api/v1/openapi.json``.

A line per route in the modules of this package; ``tests/docs/test_openapi.py`` holds them against the router, and
schemathesis holds the answers of a running service against them. Pages for people are not in it.
"""

from service.openapi.document import PATH, openapi, setup_routes

__all__ = ["PATH", "openapi", "setup_routes"]
