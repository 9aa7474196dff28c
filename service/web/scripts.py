"""The scripts that other people's pages load: made small once, served to any origin, cached by their digest."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web
from multidict import istr

ROOT = Path(__file__).resolve().parent.parent / "static"
PARTS = {
    "b.js": ("b.js",),
    "v.js": ("v/service.js", "v/quality.js", "v/watch.js", "v/count.js", "v/page.js"),
}
"""What each is put together from."""

CACHE_S = 3_600

_HEADERS = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": f"public, max-age={CACHE_S}",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}


def smaller(source: str) -> str:
    """Without indentation, empty lines and lines that are comments. Nothing else is touched: what the script says in a
    debugger is what stands in its file."""
    lines = (line.strip() for line in source.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"


@dataclass(frozen=True, slots=True)
class Script:
    """``integrity`` is for the attribute of that name (Subresource Integrity)."""

    body: bytes
    zipped: bytes
    integrity: str

    @classmethod
    def of(cls, parts: Iterable[str]) -> Script:
        """The files of ``static/`` by these names, one after the other in a scope of their own."""
        source = "".join((ROOT / part).read_text(encoding="utf-8") for part in parts)
        body = smaller(f'(function (w, d, n) {{\n"use strict";\n{source}}})(window, document, navigator);\n').encode()
        digest = base64.b64encode(hashlib.sha384(body).digest()).decode()
        return cls(body, gzip.compress(body, 9, mtime=0), f"sha384-{digest}")

    @property
    def etag(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:32]


class Scripts:
    def __init__(self, version: str) -> None:
        self._version = version
        self._scripts = {name: Script.of(parts) for name, parts in PARTS.items()}

    def setup(self, app: web.Application) -> None:
        for name in PARTS:
            app.router.add_get(f"/{name}", self.script)

    async def script(self, request: web.Request) -> web.Response:
        """``?info``: its version, its sizes and what stands in ``integrity``."""
        script = self._scripts[request.path.lstrip("/")]
        if "info" in request.query:
            return self._info(script)
        headers = dict(_HEADERS)
        wanted = request.headers.get(istr("If-None-Match"), "")
        if f'"{script.etag}' in wanted:
            response = web.Response(status=304, headers=headers)
        elif "gzip" in request.headers.get("Accept-Encoding", ""):
            response = web.Response(body=script.zipped, headers={**headers, "Content-Encoding": "gzip"})
        else:
            response = web.Response(body=script.body, headers=headers)
        # Weak: it is the same script, zipped or not.
        response.headers["ETag"] = f'W/"{script.etag}"'
        return response

    def _info(self, script: Script) -> web.Response:
        body = {
            "version": self._version,
            "bytes": len(script.body),
            "gzipBytes": len(script.zipped),
            "integrity": script.integrity,
        }
        headers = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json", headers=headers)
