"""What must fit together across keys. Each check raises ConfigError with the path of the key to change."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from foundation.dialing import is_dialable
from foundation.errors import ConfigError, Refused
from foundation.principal import Role
from foundation.urls import parse_url
from service.config.entries import Peer, Token, Webhook
from service.config.model import Config, Federation, GeoIp, Views
from service.config.spec import public_key_bits
from service.config.values import format_duration
from service.config.words import Signatures
from views.notices import NOTICES

EVENTS = tuple(notice.event for notice in NOTICES)
DEFAULT_CHANNEL = "main"
"""Where a video stands that names no channel."""


def check(config: Config) -> None:
    """Every cross check, in the order of the file."""
    _instance(config)
    _lifetimes(config.views, config.federation)
    _peers(config.peers, config.instance.url.authority)
    _signatures(config.peers, config.federation)
    _tokens(config.tokens, config.federation.minimum_key_bits)
    _unique((f"videos[{n}].uuid", video.uuid) for n, video in enumerate(config.videos))
    _geoip(config.geoip)
    _webhooks(config.webhooks, config.federation)
    _unique((f"pages.sites[{n}].host", site.host) for n, site in enumerate(config.pages.sites))


def _instance(config: Config) -> None:
    url = config.instance.url
    if url.scheme == "http" and not url.is_local and not config.federation.allow_http:
        raise ConfigError(
            "instance.url",
            "must begin with https://: other instances will not speak plain http with a public host"
            " (federation.allow_http: true is for tests)",
        )
    if config.instance.owner == config.instance.actor:
        raise ConfigError("instance.owner", "is the instance actor's name: every actor needs a name of its own")
    for key, name in (("actor", config.instance.actor), ("owner", config.instance.owner)):
        if name.lower() == DEFAULT_CHANNEL:
            raise ConfigError(f"instance.{key}", f"{name} is the name of the channel that videos stand in by default")
    for n, video in enumerate(config.videos):
        if video.channel in (config.instance.actor, config.instance.owner):
            raise ConfigError(f"videos[{n}].channel", f"{video.channel} is the name of an account here, take another")


def _lifetimes(views: Views, federation: Federation) -> None:
    needed_ms = 2 * views.viewer_lifetime_ms
    if federation.max_expires_ms < needed_ms:
        raise ConfigError(
            "federation.max_expires",
            f"{format_duration(federation.max_expires_ms)} is shorter than twice views.viewer_lifetime"
            f" ({format_duration(needed_ms)}), the life of a total: totals would run out between two refreshes",
        )
    period_ms = max(views.watching_interval.anonymous_ms, views.watching_interval.users_ms)
    if views.stats_lifetime_ms < period_ms:
        raise ConfigError(
            "views.stats_lifetime",
            f"{format_duration(views.stats_lifetime_ms)} is shorter than views.watching_interval"
            f" ({format_duration(period_ms)}): every report would begin a new stay",
        )
    if federation.retry_max_ms < federation.retry_first_ms:
        raise ConfigError("federation.retry_max", "is shorter than federation.retry_first")
    if federation.retry_for_ms < federation.retry_first_ms:
        raise ConfigError("federation.retry_for", "is shorter than federation.retry_first: nothing would be retried")


def _peers(peers: tuple[Peer, ...], own_host: str) -> None:
    _unique((f"peers[{n}].host", peer.host) for n, peer in enumerate(peers))
    for n, peer in enumerate(peers):
        if peer.host == own_host:
            raise ConfigError(f"peers[{n}].host", "is this instance itself (instance.url)")
        if peer.block and peer.follow:
            raise ConfigError(f"peers[{n}].follow", "a blocked peer cannot be followed: choose one")
        _unique((f"peers[{n}].accept[{m}]", word.value) for m, word in enumerate(peer.accept))


def _signatures(peers: tuple[Peer, ...], federation: Federation) -> None:
    for n, peer in enumerate(peers):
        if peer.signatures is Signatures.ED25519 and not federation.ed25519:
            raise ConfigError(f"peers[{n}].signatures", "ed25519 needs federation.ed25519: true")


def _tokens(tokens: tuple[Token, ...], minimum_bits: int) -> None:
    _unique((f"tokens[{n}].name", token.name) for n, token in enumerate(tokens))
    values = ((n, token.value) for n, token in enumerate(tokens) if token.value is not None)
    _unique((f"tokens[{n}].value", value.reveal()) for n, value in values)
    for n, token in enumerate(tokens):
        if token.value is None and token.public_key is None:
            raise ConfigError(f"tokens[{n}]", "needs a value, a public_key, or both")
        if token.channels and token.role is not Role.STATS:
            raise ConfigError(f"tokens[{n}].channels", f"limit a stats token only: a {token.role.value} token sees all")
        bits = None if token.public_key is None else public_key_bits(token.public_key)
        if bits is not None and bits < minimum_bits:
            raise ConfigError(
                f"tokens[{n}].public_key", f"has {bits} bits, federation.minimum_key_bits asks {minimum_bits}"
            )


def _geoip(geoip: GeoIp) -> None:
    headers = geoip.headers
    if headers is not None and not (headers.country or headers.subdivision or headers.city):
        raise ConfigError("geoip.headers", "names no header: give country, subdivision or city, or write never")


def _webhooks(webhooks: tuple[Webhook, ...], federation: Federation) -> None:
    for n, webhook in enumerate(webhooks):
        if webhook.include is not None and webhook.exclude:
            raise ConfigError(f"webhooks[{n}].exclude", "cannot stand beside include: keep one of the two")
        if webhook.include == ():
            raise ConfigError(f"webhooks[{n}].include", "is empty: this webhook would never be told anything")
        for name, words in (("include", webhook.include or ()), ("exclude", webhook.exclude)):
            for m, word in enumerate(words):
                if word not in EVENTS:
                    raise ConfigError(f"webhooks[{n}].{name}[{m}]", f"is no event: there are {', '.join(EVENTS)}")
        if not (webhook.allow_private_addresses or federation.allow_private_addresses):
            _public(f"webhooks[{n}].url", webhook.url, federation)
    _unique((f"webhooks[{n}]", (webhook.url, webhook.key)) for n, webhook in enumerate(webhooks))


def _public(path: str, text: str, federation: Federation) -> None:
    """What can be seen of a URL before its name is resolved, which is judged again at every connection."""
    url = parse_url(text)
    if isinstance(url, Refused):
        raise ConfigError(path, url.detail)
    if not is_dialable(url.host):
        raise ConfigError(path, "is no public address: allow_private_addresses of this webhook is for such a receiver")
    if url.scheme == "http" and not federation.allow_http:
        raise ConfigError(path, "must begin with https:// (http is for a receiver with allow_private_addresses)")


def _unique(found: Iterable[tuple[str, Hashable]]) -> None:
    """No value twice; the path of the second one is named, with the first's."""
    first: dict[Hashable, str] = {}
    for path, value in found:
        if value in first:
            raise ConfigError(path, f"is the same as {first[value]}")
        first[value] = path
