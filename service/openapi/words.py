"""How a route is described: small functions that make pieces of an OpenAPI 3.1 document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
ANYTHING: Schema = {"type": "object"}
NOTHING: Schema = {"type": "object", "maxProperties": 0}
LISTED: Schema = {"type": "array"}

JSON = "application/json"
ACTIVITY = "application/activity+json"
PROBLEM = "application/problem+json"
HTML = "text/html"
CSV = "text/csv"


def ref(name: str) -> Schema:
    """One of ``schemas.SCHEMAS``."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def each(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def struct(needed: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object with these members, and perhaps others."""
    return {"type": "object", "properties": {**needed, **optional}, "required": sorted(needed)}


def page(schema: Schema) -> Schema:
    """PeerTube's ``{"total", "data"}``."""
    return struct({"total": COUNT, "data": each(schema)})


def query(name: str, schema: Schema, *, needed: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": needed, "schema": schema}


def op(
    name: str,
    summary: str,
    *,
    who: str = "anybody",
    queries: Sequence[Schema] = (),
    body: Schema | None = None,
    body_needed: bool = True,
    body_type: str = JSON,
    **answers: Schema | None,
) -> Schema:
    """One operation. ``who``: the least role of a bearer token (``host`` may what ``stats`` may, ``admin`` everything),
    ``viewer`` (a viewer token), ``signed``, or ``anybody``.

    ``answers`` by status, as ``s200=schema``; None: without a body. What is refused is a problem document in any case.
    """
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "responses": {
            **{status[1:]: answer(schema) for status, schema in answers.items()},
            "4XX": {"$ref": "#/components/responses/Refused"},
            "503": {"$ref": "#/components/responses/Later"},
        },
    }
    if who in ("stats", "host", "admin"):
        operation["security"] = [{"bearer": [who]}]
    elif who == "viewer":
        operation["security"] = [{"viewer": []}]
    if queries:
        operation["parameters"] = list(queries)
    if body is not None:
        operation["requestBody"] = {"required": body_needed, "content": {body_type: {"schema": body}}}
    return operation


def answer(schema: Schema | None) -> Schema:
    """``schema`` may name content types itself, as ``{"content": {...}}``."""
    if schema is None:
        return {"description": "Done"}
    if "content" in schema:
        return {"description": "As asked", **schema}
    return {"description": "As asked", "content": {JSON: {"schema": schema}}}


def in_types(schema: Schema, *types: str) -> Schema:
    """The same in several content types; only JSON is described closer."""
    return {"content": {each: {"schema": schema if each.endswith("json") else TEXT} for each in types}}
