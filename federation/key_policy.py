"""What bounds the keys of others: how long they are kept, how often they are fetched, which are never. Pure.

Import :class:`KeyPolicy` from :mod:`federation.keys`.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.verifier import DEFAULT_MINIMUM_KEY_BITS
from foundation.errors import Refused


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """Bounds of a :class:`KeyCache`; durations in milliseconds.

    ``ttl_ms``: after this a key is fetched again (PeerTube 6.3 refreshes actors every two days); while its host cannot
    be asked it serves for as long again. ``negative_ttl_ms``: for so long a keyId that came to nothing is not tried
    again for those that had it tried; ``gone_ttl_ms``: likewise, when its host says that there is no such actor;
    ``failed_ttl_ms``: likewise, when its host could not be heard. For wrong signatures a key is
    fetched again at most once per ``refetch_interval_ms`` for one client address, and per ``refetch_pause_ms`` in all:
    strangers that name a key must not keep its owner's rotation unseen.

    What bounds fetches is said at :class:`federation.key_fetches.KeyFetches`.
    """

    own_authorities: frozenset[str] = frozenset()
    allow_http: bool = False
    minimum_key_bits: int = DEFAULT_MINIMUM_KEY_BITS
    max_keys: int = 10_000
    max_negative: int = 10_000
    ttl_ms: int = 2 * 86_400_000
    negative_ttl_ms: int = 60_000
    gone_ttl_ms: int = 600_000
    failed_ttl_ms: int = 10_000
    networks_per_failure: int = 4
    refetch_interval_ms: int = 300_000
    refetch_pause_ms: int = 10_000
    fetches_per_minute: int = 30
    hosts_per_site: int = 4
    hosts_per_provider: int = 16
    max_in_flight: int = 64
    max_in_flight_of_site: int = 4
    max_in_flight_of_provider: int = 16
    max_in_flight_for_network: int = 32
    max_reserved: int = 32
    max_reserved_of_host: int = 2
    max_direct: int = 16
    max_newcomers: int = 16
    patience_ms: int = 3_000
    hanging_ms: int = 2_000
    remembered_ms: int = 600_000

    @property
    def wasted_per_minute(self) -> int:
        """Fetches from one site for one client's network that led to no verified signature."""
        return max(1, self.fetches_per_minute // 3)


def key_id_refusal(key_id: str, host: str | None, policy: KeyPolicy) -> Refused | None:
    """Why a keyId would never be fetched; ``host`` is its authority.

    ``acct:user@host`` is refused although PeerTube 6.3 takes it: nobody sends it, and it would cost a WebFinger look-up
    before a signature is believed.
    """
    if host is None:
        return refuse(SignatureReason.BAD_KEY_ID, "the keyId is no web URL that can be fetched")
    if not policy.allow_http and key_id[:8].lower() != "https://":
        return refuse(SignatureReason.BAD_KEY_ID, "the keyId is not https")
    if host in policy.own_authorities:
        return refuse(SignatureReason.OWN_KEY, "the keyId lies on our own host")
    return None
