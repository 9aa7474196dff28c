"""An HTTP request as text: ``POST /inbox HTTP/1.1``, headers, an empty line, the body."""

from __future__ import annotations

from collections.abc import Iterable

from federation.signatures.model import SignedRequest
from foundation.errors import FediviewsError

MAX_BYTES = 10_000_000


class UnreadableError(FediviewsError):
    """What was given is no HTTP request, or not what it says."""


def parse_request(raw: bytes) -> SignedRequest:
    """The request; lines of the head may end in CRLF or LF. Raises UnreadableError.

    With ``Content-Length`` the body is exactly that long, so that an editor's last line break does no harm; without, it
    is everything after the empty line.
    """
    if len(raw) > MAX_BYTES:
        raise UnreadableError(f"the request is longer than {MAX_BYTES} bytes")
    crlf, lf = raw.find(b"\r\n\r\n"), raw.find(b"\n\n")
    if crlf >= 0 and (lf < 0 or crlf < lf):
        head, body = raw[:crlf], raw[crlf + 4 :]
    elif lf >= 0:
        head, body = raw[:lf], raw[lf + 2 :]
    else:
        head, body = raw.rstrip(b"\r\n"), b""
    first, *lines = head.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    words = first.split(" ")
    if len(words) not in (2, 3) or not words[0].isalpha() or not words[1]:
        raise UnreadableError("the first line is not like: POST /inbox HTTP/1.1")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\r" in line:
            raise UnreadableError(f"this is no header line: {line[:80]!r}")
        headers.append((name, value.strip(" \t")))
    return SignedRequest(words[0].upper(), words[1], tuple(headers), _cut(headers, body))


def render_request(request: SignedRequest) -> bytes:
    """The text of a request, lines ending in CRLF."""
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + request.body


def header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value of a header."""
    return next((value for found, value in headers if found.lower() == name), None)


def _cut(headers: list[tuple[str, str]], body: bytes) -> bytes:
    said = header(headers, "content-length")
    if said is None:
        return body
    if not said.isdecimal() or len(said) > 12 or int(said) > len(body):
        raise UnreadableError("Content-Length is more than there is, or no number")
    return body[: int(said)]
