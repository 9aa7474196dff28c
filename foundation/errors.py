"""Expected refusals are values; bugs and broken surroundings are exceptions.

FediviewsError
├── ConfigError          a key of config.yaml (``path``) or of the command line is wrong: exit status 2
├── StorageUnavailable   a store does not answer: 503 with Retry-After, ``/readyz`` says why
│   └── OutcomeUnknown   and nobody knows whether it did what it was asked
└── FetchFailed          a request to another host came to nothing (``reason``), see foundation.http
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something was not taken: a word for machines, a sentence for people, and the HTTP status that says so.

    ``reason`` is a stable snake_case word: metric label, quarantine column, documented in docs/federation.md.
    ``detail`` may go to logs and answers: it never holds a key, a token, an address or a body.
    """

    reason: str
    detail: str = ""
    status: int = 400
    retry_after_s: int | None = None


class FediviewsError(Exception):
    """Root of every exception raised on purpose."""


class ConfigError(FediviewsError):
    """A configuration value cannot be used; ``path`` names the key, as in ``peers[2].host``.

    ``message`` is one printable line, whatever it quotes: it goes to terminals and into logs.
    """

    def __init__(self, path: str, message: str) -> None:
        message = _printable(message)
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


class StorageUnavailable(FediviewsError):
    """A store cannot be reached or does not answer in time; the message names which and why."""


class OutcomeUnknown(StorageUnavailable):
    """The store may have done what it was asked, or may do it yet: only what is the same done twice may be repeated."""


class FetchFailed(FediviewsError):
    """A request to another host failed; ``reason`` is a stable snake_case word, ``status`` the answer's, if any."""

    def __init__(
        self, reason: str, detail: str = "", *, status: int | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s
