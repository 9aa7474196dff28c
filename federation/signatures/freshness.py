"""What both schemes ask of a signed request: that it is for us, and fresh."""

from __future__ import annotations

from federation.signatures.model import Profile
from federation.signatures.reasons import SignatureReason, refuse
from foundation.errors import Refused
from foundation.httpdate import http_date_ms
from foundation.urls import parse_host


def wrong_host(host: str | None, profile: Profile) -> Refused | None:
    """Why the ``Host`` of a request is not ours."""
    if host in profile.own_authorities:
        return None
    try:
        # Upper case, or the default port spelled out.
        if host is not None and parse_host(host) in profile.own_authorities:
            return None
    except ValueError:
        pass
    return refuse(SignatureReason.HOST_MISMATCH, "the request was signed for another host")


def created_ms(created_s: int | None, profile: Profile, now_ms: int) -> int | Refused:
    """The instant of a signed ``created``, Unix milliseconds, when it is fresh."""
    if created_s is None:
        return refuse(SignatureReason.MISSING_COMPONENT, "(created) is signed, but not given")
    if abs(now_ms - created_s * 1000) > profile.clock_skew_ms:
        return refuse(SignatureReason.STALE, "(created) is too far from now")
    return created_s * 1000


def dated_ms(date: str | None, profile: Profile, now_ms: int) -> int | Refused:
    """The instant of a signed ``Date`` header, Unix milliseconds, when it is fresh."""
    if date is None:
        return refuse(SignatureReason.MISSING_COMPONENT, "date is signed, but not in the request")
    signed_ms = http_date_ms(date)
    if signed_ms is None:
        return refuse(SignatureReason.BAD_DATE, "the Date header is not an HTTP date")
    if abs(now_ms - signed_ms) > profile.clock_skew_ms:
        return refuse(SignatureReason.STALE, "the Date header is too far from now")
    return signed_ms


def expired(expires_s: int | None, now_ms: int) -> Refused | None:
    """Why a signature is over; ``expires`` counts signed or not."""
    if expires_s is not None and expires_s * 1000 < now_ms:
        return refuse(SignatureReason.STALE, "the signature has expired")
    return None
