"""The configuration: ``load_config`` reads ``config.yaml`` into the frozen structs of ``model.py``."""

from __future__ import annotations

from service.config.admin_token import generate_admin_token
from service.config.entries import ConfiguredVideo, LivekitKey, LivekitRoom, Peer, Site, Token, Webhook
from service.config.load import EMPTY, check_config, load_config
from service.config.model import (
    Config,
    Federation,
    GeoHeaders,
    GeoIp,
    Instance,
    Listen,
    Livekit,
    Logging,
    MaxAge,
    Pages,
    Storage,
    Views,
    WatchingInterval,
)
from service.config.reload import RELOADABLE, reloadable_changes, restart_changes, with_reloadable
from service.config.storage import SQLITE_FILE, Database, DatabaseKind, Live, LiveKind
from service.config.values import (
    BaseUrl,
    FileOrUrl,
    Network,
    Rate,
    Secret,
    format_duration,
)
from service.config.words import Accept, AutoSwitch, ImportUnknown, LogFormat, LogLevel, Resolver, WatchTime

__all__ = [
    "EMPTY",
    "RELOADABLE",
    "SQLITE_FILE",
    "Accept",
    "AutoSwitch",
    "BaseUrl",
    "Config",
    "ConfiguredVideo",
    "Database",
    "DatabaseKind",
    "Federation",
    "FileOrUrl",
    "GeoHeaders",
    "GeoIp",
    "ImportUnknown",
    "Instance",
    "Listen",
    "Live",
    "LiveKind",
    "Livekit",
    "LivekitKey",
    "LivekitRoom",
    "LogFormat",
    "LogLevel",
    "Logging",
    "MaxAge",
    "Network",
    "Pages",
    "Peer",
    "Rate",
    "Resolver",
    "Secret",
    "Site",
    "Storage",
    "Token",
    "Views",
    "WatchTime",
    "WatchingInterval",
    "Webhook",
    "check_config",
    "format_duration",
    "generate_admin_token",
    "load_config",
    "reloadable_changes",
    "restart_changes",
    "with_reloadable",
]
