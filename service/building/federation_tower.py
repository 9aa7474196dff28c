"""How this instance talks to others: its identity, its keys, the peers it knows and what it asks them through."""

from __future__ import annotations

from dataclasses import dataclass

from federation.actors import ActorClient
from federation.documents import InstanceIdentity
from federation.kept_keys import KeptKeys
from federation.keys import KeyCache, KeyPolicy
from federation.origins import Origins
from federation.own_keys import KeyRing, OwnKeys
from federation.peers import PeerLimits, PeerPolicy, Peers, SignatureMode, Switch
from federation.peers.activity import PeerActivity
from federation.ports import PeerEvents
from federation.signatures.verifier import Profile
from federation.signing import Signing
from foundation.http import HttpClient
from outbox.probe import AGAIN_AT_ONCE, FIRST_AT_ONCE
from service.building.directory import with_keys
from service.building.ground import Ground
from service.building.lookups import measured_lookups
from service.building.user_agent import user_agent
from service.config import Config, Peer

KEYS_SETTLE_MS = 15_000
"""Until every process of the instance has seen a new key: each looks every five seconds."""


@dataclass(frozen=True, slots=True)
class FederationTower:
    """``asking`` fetches documents, ``delivering`` posts: a host that hangs for one never holds up the other."""

    identity: InstanceIdentity
    ring: KeyRing
    signing: Signing
    asking: HttpClient
    delivering: HttpClient
    actors: ActorClient
    peers: Peers
    activity: PeerActivity
    remote_keys: KeyCache
    kept_keys: KeptKeys
    origins: Origins
    profile: Profile


def instance_identity(config: Config, keys: OwnKeys) -> InstanceIdentity:
    identity = InstanceIdentity(
        base_url=str(config.instance.url),
        authority=config.instance.url.authority,
        public_key_pem=keys.current.published,
        actor_name=config.instance.actor,
        owner_name=config.instance.owner,
        display_name=config.instance.name,
    )
    return with_keys(identity, keys)


def policy_of(peer: Peer) -> PeerPolicy:
    return PeerPolicy(
        host=peer.host,
        follow=peer.follow,
        accept=frozenset(kind.value for kind in peer.accept),
        totals=Switch(peer.totals.value),
        batch=Switch(peer.batch.value),
        blocked=peer.block,
        signatures=SignatureMode(peer.signatures.value),
        max_viewers_per_video=peer.max_viewers_per_video,
        max_new_viewers_per_minute=peer.max_new_viewers_per_minute,
        max_videos=peer.max_videos,
        max_views_per_hour=peer.max_views_per_hour,
    )


def federation_tower(ground: Ground, events: PeerEvents) -> FederationTower:
    config, clock, metrics = ground.config, ground.clock, ground.metrics
    federation = config.federation
    ring = KeyRing(
        config.storage.directory,
        clock,
        with_ed25519=federation.ed25519,
        overlap_ms=federation.key_overlap_ms,
        settle_ms=0 if ground.together.store is None else KEYS_SETTLE_MS,
    )
    identity = instance_identity(config, ring.keys)

    lookups = measured_lookups(config, clock, metrics)

    def client(name: str, connections: int = 100) -> HttpClient:
        return HttpClient(
            clock,
            metrics,
            allow_private_addresses=federation.allow_private_addresses,
            allow_http=federation.allow_http,
            user_agent=user_agent(identity.base_url),
            connections=connections,
            resolver=lookups[name],
            name=name,
        )

    # 128 for keys, 100 for documents and collections, the rest for NodeInfo.
    asking = client("fetch", 228 + FIRST_AT_ONCE + AGAIN_AT_ONCE)
    # One each for whoever is served, and some for Rejects, which do not wait in line.
    delivering = client("delivery", federation.deliveries_at_once + federation.probes_at_once + 20)
    peers = Peers(
        ground.database,
        clock,
        events,
        policies=[policy_of(peer) for peer in config.peers],
        open_federation=federation.open,
        limits=PeerLimits(
            federation.max_viewers_per_video,
            federation.max_new_viewers_per_minute,
            federation.max_videos,
            federation.max_views_per_hour,
        ),
        own_host=identity.authority,
        max_peers=federation.max_peers,
        max_followers=federation.max_followers,
        hosts_per_site=federation.hosts_per_site,
        hosts_per_provider=federation.hosts_per_provider,
        clock_skew_ms=federation.clock_skew_ms,
        software_ttl_ms=federation.software_ttl_ms,
    )
    metrics.gauge_from("fediviews_followers", "Actors of other instances that follow us", peers.follower_count)
    signing = Signing(ring, peers.signing, clock, metrics, actor=identity.actor_url)
    actors = ActorClient(asking, signing=signing)
    own = frozenset({identity.authority})
    rate = federation.key_fetches_per_host
    policy = KeyPolicy(
        own_authorities=own,
        allow_http=federation.allow_http,
        minimum_key_bits=federation.minimum_key_bits,
        max_keys=federation.key_cache_size,
        max_negative=federation.key_cache_size,
        ttl_ms=federation.key_ttl_ms,
        hosts_per_site=federation.hosts_per_site,
        hosts_per_provider=federation.hosts_per_provider,
        gone_ttl_ms=federation.negative_key_ttl_ms,
        negative_ttl_ms=min(60_000, federation.negative_key_ttl_ms),
        failed_ttl_ms=min(10_000, federation.negative_key_ttl_ms),
        fetches_per_minute=1_000_000 if rate is None else max(1, rate.limit * 60_000 // rate.window_ms),
    )
    origins = Origins(clock, lookups["origin"])
    kept_keys = KeptKeys(
        ground.database,
        clock,
        metrics,
        limit=federation.key_cache_size,
        max_age_ms=2 * federation.key_ttl_ms,
        shared=ground.together.store is not None,
        acquainted=peers.acquaintances,
    )
    remote_keys = KeyCache(
        clock,
        actors,
        metrics,
        policy,
        may_fetch=peers.may_speak,
        is_known=peers.is_acquainted,
        kept=kept_keys,
        origins=origins,
    )
    profile = Profile(own, federation.clock_skew_ms, federation.minimum_key_bits, str(config.instance.url))
    activity = PeerActivity(ground.database, clock, metrics, flag_at=federation.unusual_at)
    return FederationTower(
        identity, ring, signing, asking, delivering, actors, peers, activity, remote_keys, kept_keys, origins, profile
    )
