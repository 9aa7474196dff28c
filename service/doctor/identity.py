"""Is our name ours: reachable, answered by us, found by webfinger, and are the secrets ours alone?"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from federation.own_keys import ED25519_NAME, RSA_NAME, key_files
from foundation.errors import FetchFailed, Refused
from service.building.viewer_secret import SECRET_FILE
from service.config.admin_token import FILE_NAME
from service.config.starting import doubts
from service.doctor.model import Finding, Surroundings, failed, ok, warning

_OTHERS = 0o077
_NAME, _WEBFINGER, _FILES = "name", "webfinger", "secret files"


async def files(around: Surroundings) -> Sequence[Finding]:
    """Modes of what nobody else may read."""
    directory = around.config.storage.directory
    keys = [file.path for name in (RSA_NAME, ED25519_NAME) for file in key_files(directory, name)]
    there = keys + [directory / name for name in (SECRET_FILE, FILE_NAME) if (directory / name).exists()]
    if not keys:
        return [warning(_FILES, f"there is no key in {directory} yet", "start the service once: it makes one")]
    open_to_others = [path for path in there if stat.S_IMODE(path.stat().st_mode) & _OTHERS]
    if open_to_others:
        listed = " ".join(map(str, open_to_others))
        return [failed(_FILES, f"other users of this machine may read {listed}", f"run: chmod 600 {listed}")]
    if around.keys is None:
        return [failed(_FILES, f"the keys in {directory} cannot be used", "see `fediviews serve` for why")]
    return [ok(_FILES, f"{len(there)} in {directory}, for their owner alone")]


async def name(around: Surroundings) -> Sequence[Finding]:
    """``instance.url`` from here: who answers there, and with which key?"""
    identity = around.identity
    if identity is None or around.actors is None:
        return []
    if _is_tried_out(around):
        says = f"{identity.base_url} is of this machine or network: good to try things out, nobody elsewhere reaches it"
        found = [warning(_NAME, says, "set instance.url to the public address before the first contact")]
        return found + [warning(_NAME, doubt, "see listen.port in config.yaml") for doubt in doubts(around.config)]
    try:
        await around.http.get(f"{identity.base_url}/.well-known/nodeinfo", accept="application/json")
    except FetchFailed as problem:
        return [_unreachable(identity.base_url, problem)]
    actor = await around.actors(around.http).fetch_actor(identity.actor_url)
    if isinstance(actor, Refused):
        advice = "does the proxy hand over every path with Host as the client sent it, to this service?"
        return [failed(_NAME, f"{identity.actor_url} is not our actor: {actor.detail}", advice)]
    if actor.public_key_pem.split() != identity.public_key_pem.split():
        advice = "another installation answers there, or the key was rotated just now"
        return [failed(_NAME, f"{identity.actor_url} shows another key than the one we sign with", advice)]
    return [ok(_NAME, f"{identity.base_url} is this instance, with its key")]


def _is_tried_out(around: Surroundings) -> bool:
    """Local, and not so that instances there may ask each other: nobody asks, and neither may we."""
    url = around.config.instance.url
    return url.is_local and url.scheme == "http" and not around.config.federation.allow_http


def _unreachable(url: str, problem: FetchFailed) -> Finding:
    if problem.reason == "address_refused":
        says = f"{url} leads to a private address from here: whether others reach it cannot be known"
        return warning(_NAME, says, "ask from another machine: curl " + url + "/.well-known/nodeinfo")
    if problem.reason == "scheme_refused":
        return failed(_NAME, f"{url} is not https", "other instances want https; for tests: federation.allow_http")
    if problem.reason == "tls_failed":
        return failed(_NAME, f"{url}: its certificate is not accepted ({problem.detail})", "renew it, with its chain")
    advice = "is the service running, is the name in the DNS, does the proxy hand over to listen.host:listen.port?"
    return failed(_NAME, f"{url} cannot be reached from here: {problem}", advice)


async def webfinger(around: Surroundings) -> Sequence[Finding]:
    """As PeerTube looks for us: acct:<actor>@<host>."""
    identity = around.identity
    if identity is None:
        return []
    account = f"acct:{identity.actor_name}@{identity.authority}"
    if _is_tried_out(around):
        return [ok(_WEBFINGER, f"{account} was not asked for: nobody elsewhere can")]
    url = f"{identity.base_url}/.well-known/webfinger?resource={quote(account, safe='')}"
    try:
        answer = await around.http.get(url, accept="application/jrd+json, application/json")
    except FetchFailed as problem:
        if problem.reason == "address_refused":
            return [ok(_WEBFINGER, f"{account} was not asked for: see the name")]
        return [failed(_WEBFINGER, f"{account}: {problem}", "see the check of the name")]
    document = _decoded(answer.body) if answer.ok else None
    links = document.get("links") if isinstance(document, dict) else None
    found = [link.get("href") for link in links or () if isinstance(link, dict) and link.get("rel") == "self"]
    if identity.actor_url not in found:
        advice = "hand /.well-known/webfinger over to this service, or let what answers there name our actor"
        return [failed(_WEBFINGER, f"{account} leads to {found or f'status {answer.status}'}", advice)]
    if identity.actor_name != "peertube":
        advice = "PeerTube follows a bare host through acct:peertube@host: set instance.actor to peertube"
        return [warning(_WEBFINGER, f"{account} is our actor, but PeerTube asks for another name", advice)]
    return [ok(_WEBFINGER, f"{account} is our actor")]


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
