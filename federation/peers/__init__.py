"""The peer registry: policy from the configuration, software, clocks and quotas of hosts, and who follows whom."""

from federation.peers.clock_offset import ClockOffset
from federation.peers.follows import Apply
from federation.peers.model import (
    EVERYTHING,
    Direction,
    Follower,
    FollowRecord,
    FollowState,
    PeerKind,
    PeerLimits,
    PeerPolicy,
    PeerView,
    Software,
    Switch,
)
from federation.peers.registry import Peers
from federation.peers.signing import SignatureMode, Way
from federation.peers.software import instance_actor_url, nodeinfo_url, read_nodeinfo

__all__ = [
    "EVERYTHING",
    "Apply",
    "ClockOffset",
    "Direction",
    "FollowRecord",
    "FollowState",
    "Follower",
    "PeerKind",
    "PeerLimits",
    "PeerPolicy",
    "PeerView",
    "Peers",
    "SignatureMode",
    "Software",
    "Switch",
    "Way",
    "instance_actor_url",
    "nodeinfo_url",
    "read_nodeinfo",
]
