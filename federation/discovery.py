"""How strangers find us: WebFinger (RFC 7033), host-meta (RFC 6415), NodeInfo with the link of FEP-2677. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from federation.documents import ActorKind, InstanceIdentity, is_actor_name
from federation.peers.software import APPLICATION_REL, SCHEMA
from federation.vocabulary.build import Document
from federation.vocabulary.contexts import CONTENT_TYPE
from foundation.urls import MAX_URL_LENGTH, parse_host

SOFTWARE = "fediviews"
NODEINFO_VERSIONS = ("2.0", "2.1")
SIGNATURES = ("cavage", "rfc9421")
"""Signature schemes that we read."""
PROTOCOL = 1
"""Version of our own extensions, told under ``metadata.fediviews``."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What we tell other Fediviews through NodeInfo: how long viewers live, and how soon a moved number goes out.

    ``yours``: totals say how many of the counted viewers are the receiver's; ``batch``: Collections are taken, of
    ``batch_items`` at most in a body of ``max_body_bytes``.
    """

    version: str
    viewer_lifetime_ms: int
    announce_within_ms: int
    batch_items: int = 500
    max_body_bytes: int = 500_000
    repository: str | None = None
    yours: bool = True
    batch: bool = True


def find_resource(identity: InstanceIdentity, resource: str) -> tuple[ActorKind, str] | None:
    """Which actor of ours a WebFinger resource means: ``acct:name@host``, an actor's URL, or our address alone.

    A name that is no account's is given back as a channel's: whether that exists is not known here.
    """
    if len(resource) > MAX_URL_LENGTH:
        return None
    if "://" in resource:
        if resource.rstrip("/") == identity.base_url:
            return ActorKind.INSTANCE, identity.actor_name
        return identity.actor_of(resource)
    name, at, host = resource.removeprefix("acct:").removeprefix("@").partition("@")
    if not at or not is_actor_name(name):
        return None
    try:
        scheme = identity.base_url.partition(":")[0]
        if parse_host(host, scheme=scheme) != identity.authority:
            return None
    except ValueError:
        return None
    return identity.account(name) or ActorKind.CHANNEL, name


def webfinger(identity: InstanceIdentity, kind: ActorKind, name: str) -> Document:
    """The JRD of an actor of ours."""
    url = identity.url_of(kind, name)
    return {
        "subject": f"acct:{name}@{identity.authority}",
        "aliases": [url],
        "links": [
            {"rel": "self", "type": CONTENT_TYPE, "href": url},
            {"rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": url},
        ],
    }


def host_meta(identity: InstanceIdentity) -> str:
    """The XRD that leads to WebFinger."""
    template = quoteattr(f"{identity.base_url}/.well-known/webfinger?resource={{uri}}")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">\n'
        f'  <Link rel="lrdd" type="application/jrd+json" template={template}/>\n'
        "</XRD>\n"
    )


def nodeinfo_index(identity: InstanceIdentity) -> Document:
    """``/.well-known/nodeinfo``: our NodeInfo documents and the instance actor."""
    links = [
        {"rel": SCHEMA + version, "href": f"{identity.base_url}/nodeinfo/{version}"} for version in NODEINFO_VERSIONS
    ]
    return {"links": [*links, {"rel": APPLICATION_REL, "href": identity.actor_url}]}


def _seconds(duration_ms: int) -> int | float:
    return duration_ms // 1000 if duration_ms % 1000 == 0 else duration_ms / 1000


def nodeinfo(identity: InstanceIdentity, version: str, *, offers: Offers, videos: int) -> Document:
    """The NodeInfo document of a version in ``NODEINFO_VERSIONS``; ``videos`` counts the public ones of ours."""
    software = {"name": SOFTWARE, "version": offers.version}
    if version != "2.0" and offers.repository is not None:
        software["repository"] = offers.repository
    return {
        "version": version,
        "software": software,
        "protocols": ["activitypub"],
        "services": {"inbound": [], "outbound": []},
        "openRegistrations": False,
        "usage": {"users": {"total": 1}, "localPosts": videos},
        "metadata": {
            "nodeName": identity.display_name,
            "fediviews": {
                "protocol": PROTOCOL,
                "yours": offers.yours,
                "batch": offers.batch,
                "batchItems": offers.batch_items,
                "maxBody": offers.max_body_bytes,
                "signatures": list(SIGNATURES),
                "viewerLifetime": _seconds(offers.viewer_lifetime_ms),
                "announceWithin": _seconds(offers.announce_within_ms),
            },
        },
    }
