"""The entries of the lists and tables of ``config.yaml``: one peer, token, video, webhook, key, room, site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from foundation.principal import Role
from foundation.tokens import MAX_TOKEN_CHARS, MIN_TOKEN_CHARS
from service.config.spec import (
    Duration,
    Key,
    Parsed,
    SecretText,
    Text,
    Whole,
    parse_instant,
    parse_public_key,
)
from service.config.values import (
    Secret,
    parse_http_url,
)
from service.config.words import Accept, AutoSwitch, Event, Host, HttpUrl, Line, Name, Origin, Signatures, Uuid
from views.model import Privacy, VideoDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What is agreed with one host. Quotas that are None: those of ``federation``. ``block`` None: what was decided at
    run time holds."""

    host: Host
    follow: bool = False
    accept: tuple[Accept, ...] = tuple(Accept)
    totals: AutoSwitch = AutoSwitch.AUTO
    batch: AutoSwitch = AutoSwitch.AUTO
    block: bool | None = None
    signatures: Signatures = Signatures.AUTO
    max_viewers_per_video: Annotated[int | None, Whole(0)] = None
    max_new_viewers_per_minute: Annotated[int | None, Whole(0)] = None
    max_videos: Annotated[int | None, Whole(0, 10_000)] = None
    max_views_per_hour: Annotated[int | None, Whole(0)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A host application or person that may ask: by bearer ``value``, by signatures with ``public_key`` (PEM), or both.

    ``channels`` limits a stats token; empty: every channel.
    """

    name: Name
    role: Role
    channels: tuple[Line, ...] = ()
    value: Annotated[Secret | None, SecretText(MIN_TOKEN_CHARS, MAX_TOKEN_CHARS)] = None
    public_key: Annotated[str | None, Parsed(parse_public_key, "a PEM text")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredVideo:
    """A video of ours declared in the file; keys as in ``PUT /api/v1/videos/{uuid}``. ``duration`` may also be a number
    of seconds; ``page_url`` is the key ``url``."""

    uuid: Uuid
    name: Annotated[str, Text(longest=120)]
    duration_ms: Annotated[int, Duration("0s", "365d", seconds=True)]
    is_live: Annotated[bool, Key("isLive")] = False
    channel: Name = "main"
    privacy: Privacy = Privacy.PUBLIC
    published_ms: Annotated[int | None, Parsed(parse_instant, "an instant"), Key("publishedAt")] = None
    page_url: Annotated[str | None, Parsed(parse_http_url, "a URL"), Key("url")] = None
    description: Annotated[str | None, Text(longest=10_000, lines=True)] = None

    def draft(self) -> VideoDraft:
        """The same in the catalog's words; a begun second counts as one."""
        return VideoDraft(
            uuid=self.uuid,
            name=self.name,
            duration_s=-(-self.duration_ms // 1000),
            is_live=self.is_live,
            channel=self.channel,
            privacy=self.privacy,
            published_ms=self.published_ms,
            page_url=self.page_url,
            description=self.description,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Who is told of events, signed with ``secret`` (``previous_secret``: for a receiver that does not know that one
    yet). ``include`` None: every event that ``exclude`` does not name."""

    url: HttpUrl
    key: Name
    secret: Annotated[Secret, SecretText()]
    previous_secret: Annotated[Secret | None, SecretText()] = None
    include: tuple[Event, ...] | None = None
    exclude: tuple[Event, ...] = ()
    allow_private_addresses: bool = False
    max_waiting: Annotated[int, Whole(100, 10_000_000)] = 20_000
    max_age_ms: Annotated[int, Duration("1m", "90d")] = 86_400_000


@dataclass(frozen=True, slots=True)
class LivekitKey:
    """An API key of a LiveKit server, which signs its webhooks with the secret."""

    key: Name
    secret: Annotated[Secret, SecretText()]


@dataclass(frozen=True, slots=True)
class LivekitRoom:
    """A LiveKit room and the uuid of the video of ours that it is."""

    room: Line
    video: Uuid


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A web site whose pages are counted; ``origins`` may report from a browser (CORS), its own where none is named.
    ``catalog`` is its sitemap or feed; None (``never``): none is fetched. ``public``: anybody may see its statistics;
    ``listed``: also without knowing its host."""

    host: Host
    origins: tuple[Origin, ...] = ()
    public: bool = True
    listed: bool = False
    catalog: Annotated[str | None, Parsed(parse_http_url, "a URL", never=True)] = None
