"""CSV for spreadsheets: RFC 4180, and no cell that a spreadsheet would run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aiohttp import web

Cell = str | int | float | None

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""The full width ones too: some spreadsheets fold them."""


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A header line and the rows, each ended by CRLF; None is an empty cell.

    A text that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@`` or a control) gets an
    apostrophe in front: names of clients and systems are what any player cares to send.
    """
    return "".join(",".join(_cell(value) for value in row) + "\r\n" for row in (header, *rows))


def csv_response(name: str, text: str, headers: Mapping[str, str]) -> web.Response:
    """``name`` is what a browser calls the file: letters, digits and hyphens of ours."""
    return web.Response(
        body=text.encode("utf-8", "replace"),
        content_type="text/csv",
        charset="utf-8",
        headers={**headers, "Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    text = "'" + value if value.lstrip(" ").startswith(_STARTS_FORMULA) else value
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
