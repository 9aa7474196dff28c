"""``column IN (numbers)`` for any number of numbers: one bound value, where a plain IN binds one for each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class _Among(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True


def among(column: ColumnElement[int], numbers: Iterable[int]) -> ColumnElement[bool]:
    """Whether ``column`` is one of ``numbers``. SQLite and PostgreSQL bind at most 32 766 values in a statement."""
    return _Among(column, literal(json.dumps(sorted(numbers)), Text))


@compiles(_Among)
def _sqlite(element: _Among, compiler: Any, **kw: Any) -> str:
    column, numbers = element.clauses
    inner = f"SELECT value FROM json_each({compiler.process(numbers, **kw)})"  # noqa: S608 (compiled, not user text)
    return f"{compiler.process(column, **kw)} IN ({inner})"


@compiles(_Among, "postgresql")
def _postgresql(element: _Among, compiler: Any, **kw: Any) -> str:
    column, numbers = element.clauses
    listed = f"json_array_elements_text(CAST({compiler.process(numbers, **kw)} AS json))"
    inner = f"SELECT CAST(value AS bigint) FROM {listed} AS value"  # noqa: S608 (compiled, not user text)
    return f"{compiler.process(column, **kw)} IN ({inner})"
