"""What a database's errors mean: a statement's own fault, or something about the surroundings (lock, disk, network)."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_SQLITE_SURROUNDINGS = {
    sqlite3.SQLITE_BUSY: "locked by another process",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_READONLY: "read only",
    sqlite3.SQLITE_IOERR: "input or output failed",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_PROTOCOL: "locked",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
}

_CONFLICTS = frozenset({"40001", "40P01"})
"""SQLSTATE of a transaction that PostgreSQL rolled back for another's sake: serialization failure, deadlock."""

_POSTGRES_SURROUNDINGS = {
    "08": "connection lost",
    "25006": "read only",
    "28": "not let in",
    "3D": "no such database",
    "40": "conflict with another transaction",
    "53": "out of resources",
    "55": "locked",
    "57": "the server is stopping or starting",
    "57014": "a statement took too long",
    "58": "input or output failed",
}
"""By SQLSTATE or its class, the first two characters (PostgreSQL, appendix A)."""


def why_unavailable(error: BaseException) -> str | None:
    """What is wrong with the surroundings (lock, disk, network), or None when the error is a statement's own."""
    if isinstance(error, PoolTimeout):
        return "every connection is busy"
    if isinstance(error, OSError):
        return "does not answer"
    origin = getattr(error, "orig", None) if isinstance(error, DBAPIError) else error
    if isinstance(origin, sqlite3.Error):
        code = getattr(origin, "sqlite_errorcode", None)
        return None if code is None else _SQLITE_SURROUNDINGS.get(code & 0xFF)
    state = _sqlstate(error) or ""
    for known in (state, state[:2]):
        if known in _POSTGRES_SURROUNDINGS:
            return _POSTGRES_SURROUNDINGS[known]
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return "connection lost"
    return None


def is_in_doubt(error: BaseException) -> bool:
    """Of a commit that failed: may it have been done? Not where the database itself says why not (SQLite always does),
    unless PostgreSQL was just ending."""
    origin = getattr(error, "orig", None) if isinstance(error, DBAPIError) else error
    state = _sqlstate(error)
    return not isinstance(origin, sqlite3.Error) and (state is None or state[:2] in ("08", "57"))


def is_conflict(error: BaseException) -> bool:
    """Did PostgreSQL roll it back for another's sake, so that it may be tried again?"""
    return _sqlstate(error) in _CONFLICTS


def _sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code of what went wrong, of SQLAlchemy's wrapper or of the driver's own exception."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state if isinstance(state, str) else None
