"""What the code says about itself: every reason it refuses with, read from the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from federation.signatures.reasons import UNAUTHORIZED, SignatureReason
from inbox.reasons import ACCEPTED_AND_DROPPED, InboxReason

PACKAGES = ("federation", "foundation", "inbox", "outbox", "service", "views")
_ENUMS = {"SignatureReason": SignatureReason, "InboxReason": InboxReason}
_DEFAULT_STATUS = {"Refused": 400, "refuse": UNAUTHORIZED, "drop": ACCEPTED_AND_DROPPED}
_WITHOUT_STATUS = ("FetchFailed", "_UnacceptableError")
"""Exceptions whose first argument is a reason."""

Reasons = dict[str, set[int]]
"""Statuses with which each reason is given, as far as they stand in the code as numbers."""


def reasons(root: Path) -> Reasons:
    found: Reasons = {str(member): set() for kind in _ENUMS.values() for member in kind}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            for reason, status in _in_module(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(reason, set()).update(() if status is None else (status,))
    return found


def _in_module(tree: ast.Module) -> Iterator[tuple[str, int | None]]:
    constants = _constants(tree)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        reason = _reason(call.args[0], constants)
        if reason is None or name not in (*_DEFAULT_STATUS, *_WITHOUT_STATUS):
            continue
        yield reason, _DEFAULT_STATUS[name] if name in ("refuse", "drop") else _status(name, call, constants)


def _constants(tree: ast.Module) -> dict[str, object]:
    """Names that the module gives to words and numbers, and the numbers it imports from elsewhere."""
    found: dict[str, object] = {"ACCEPTED_AND_DROPPED": ACCEPTED_AND_DROPPED, "UNAUTHORIZED": UNAUTHORIZED}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            found.update({name.id: statement.value.value for name in statement.targets if isinstance(name, ast.Name)})
    return found


def _reason(node: ast.expr, constants: dict[str, object]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in _ENUMS:
        return str(_ENUMS[node.value.id][node.attr])
    if isinstance(node, ast.Name) and node.id.isupper():
        value = constants.get(node.id)
        return value if isinstance(value, str) else None
    return None


def _status(name: str, call: ast.Call, constants: dict[str, object]) -> int | None:
    if name in _WITHOUT_STATUS:
        return None
    given = call.args[2] if len(call.args) > 2 else next((k.value for k in call.keywords if k.arg == "status"), None)
    if given is None:
        return _DEFAULT_STATUS[name]
    value = given.value if isinstance(given, ast.Constant) else constants.get(getattr(given, "id", ""))
    return value if isinstance(value, int) else None
