"""A small HLS stream, as a file and live, and the libraries that play it, on somebody's web site."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from pathlib import Path

from aiohttp import web

FIXTURES = Path(__file__).parents[1] / "fixtures"
SEGMENTS, SEGMENT_S = 6, 2
STREAM_S = SEGMENTS * SEGMENT_S
LIBRARIES = {
    "/hls.min.js": "hls.js/hls.min.js",
    "/video.min.js": "video.js/video.min.js",
    "/video-js.min.css": "video.js/video-js.min.css",
}
_TYPES = {".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".mp4": "video/mp4"}
_WINDOW = 4


class Stream:
    """``held``: files that come only when their event is set; ``missing``: those that are answered 404."""

    def __init__(self) -> None:
        self.held: dict[str, asyncio.Event] = {}
        self.missing: set[str] = set()
        self.asked: dict[str, int] = defaultdict(int)
        self._begun = time.monotonic()

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            *(web.get(path, self._library) for path in LIBRARIES),
            web.get("/live.m3u8", self._live),
            web.get("/live/{number}.m4s", self._live_segment),
            web.get("/stream/{file:.*}", self._file),
        ]

    async def _library(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(FIXTURES / LIBRARIES[request.path])

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        self.asked[name] += 1
        if name in self.held:
            await self.held[name].wait()
        if name in self.missing:
            return web.Response(status=404)
        return self._answer(name)

    def _answer(self, name: str) -> web.FileResponse:
        path = FIXTURES / "stream" / name
        return web.FileResponse(path, headers={"Content-Type": _TYPES[path.suffix], "Cache-Control": "no-store"})

    async def _live(self, _: web.Request) -> web.Response:
        """The same six segments over and over; four at a time are in the list, one more every two seconds."""
        first = int((time.monotonic() - self._begun) / SEGMENT_S)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            f"#EXT-X-TARGETDURATION:{SEGMENT_S}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{(first - 1) // SEGMENTS + 1}",
            '#EXT-X-MAP:URI="/stream/low/init.mp4"',
        ]
        for number in range(first, first + _WINDOW):
            if number % SEGMENTS == 0:
                lines.append("#EXT-X-DISCONTINUITY")
            lines += [f"#EXTINF:{SEGMENT_S}.0,", f"/live/{number}.m4s"]
        text = "\n".join(lines) + "\n"
        return web.Response(text=text, content_type=_TYPES[".m3u8"], headers={"Cache-Control": "no-store"})

    async def _live_segment(self, request: web.Request) -> web.FileResponse:
        return self._answer(f"low/{int(request.match_info['number']) % SEGMENTS}.m4s")
