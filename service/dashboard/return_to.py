"""Where somebody wanted to go who has to log in first. Pure; nobody is led anywhere but to a page of the dashboard."""

from __future__ import annotations

import re
from urllib.parse import urlencode

HOME = "/admin"
LOGIN = "/admin/login"
MAX_CHARS = 500

_PAGE = re.compile(r"/admin(/(?!login\b|logout\b)[a-z]+)?(\?[!-~]*)?", re.ASCII)
"""Without a dot, a percent sign or a second slash the path is what it seems to be, for every browser."""


def own_page(text: str | None) -> str:
    """A page of the dashboard, with its query; the first one for anything else."""
    fits = text is not None and len(text) <= MAX_CHARS and _PAGE.fullmatch(text) and "\\" not in text
    return text if fits and text is not None else HOME


def login_for(page: str) -> str:
    """The login that leads to a page."""
    to = own_page(page)
    return LOGIN if to == HOME else f"{LOGIN}?{urlencode({'to': to})}"
