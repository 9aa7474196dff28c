"""Reading a configuration: what is understood, and the one clear error for what is not."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ConfigError
from foundation.principal import Role
from service.config import (
    Accept,
    AutoSwitch,
    BaseUrl,
    Config,
    ConfiguredVideo,
    Database,
    DatabaseKind,
    FileOrUrl,
    GeoHeaders,
    ImportUnknown,
    Live,
    LiveKind,
    LivekitKey,
    LivekitRoom,
    LogLevel,
    Peer,
    Rate,
    Secret,
    Site,
    WatchTime,
    Webhook,
    check_config,
    load_config,
)
from views.model import Privacy, VideoDraft

FIXTURES = Path(__file__).parent.parent / "fixtures"
UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
ENV = {"TOKEN": "token-of-the-host-app", "SHORT": "short", "EMPTY": "", "PORT": "8081", "OPEN": "false"}

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str | bytes, env: dict[str, str] | None = None) -> Config:
        path = tmp_path / "config.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_config(path, ENV if env is None else env)

    return load


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "peers:\ntokens:\nviews:\nlivekit:\n  keys:\n"])
def test_nothing_said_means_the_defaults(load: Load, text: str, tmp_path: Path) -> None:
    config = load(text)
    assert config.views == Config().views
    assert config.federation == Config().federation
    assert (config.peers, config.tokens, config.videos, config.webhooks) == ((), (), (), ())
    assert config.storage.directory == tmp_path / "data"
    assert config.source_path == tmp_path / "config.yaml"


def test_the_contracts_names_keep_their_meaning() -> None:
    env = {"FEDIVIEWS_TOKEN": "t" * 20, "FEDIVIEWS_HOOK_SECRET": "hook", "LIVEKIT_SECRET": "lk"}
    config = load_config(FIXTURES / "config-contract.yaml", env)
    default = Config()
    assert str(config.instance.url) == "http://127.0.0.1:8080"
    for section in ("instance", "listen", "views", "federation", "geoip", "logging"):
        assert getattr(config, section) == getattr(default, section), section
    assert config.peers == (Peer(host="peertube.example", follow=True, block=False, max_viewers_per_video=5000),)
    (token,) = config.tokens
    assert (token.name, token.role, token.value) == ("host-app", Role.ADMIN, Secret("t" * 20))
    assert config.videos == (ConfiguredVideo(uuid=UUID, name="Big Buck Bunny", duration_ms=596_000),)
    assert config.webhooks == (
        Webhook(
            url="https://app.example/hooks",
            key="fediviews",
            secret=Secret("hook"),
            include=("viewer_joined", "viewer_left", "view_counted"),
        ),
    )
    assert config.livekit.keys == (LivekitKey("APIxxxxxxx", Secret("lk")),)
    assert config.livekit.rooms == (LivekitRoom("my-room", UUID),)
    assert config.pages.sites == (
        Site(host="blog.example", origins=(BaseUrl("https", "blog.example", "blog.example", 443),)),
    )
    assert (config.pages.view_dedup_ms, config.pages.heartbeat_dedup_ms) == (1_800_000, 20_000)
    assert config.storage.database == Database()
    assert config.storage.live == Live()


def test_defaults_are_peertubes_where_it_has_them() -> None:
    views, federation = Config().views, Config().federation
    assert views.viewer_lifetime_ms == 120_000
    assert views.view_expiration_ms == 3_600_000
    assert views.count_view_after_ms == 10_000
    assert (views.watching_interval.anonymous_ms, views.watching_interval.users_ms) == (5_000, 5_000)
    assert (views.max_age.local_ms, views.max_age.remote_ms) == (None, 30 * 86_400_000)
    assert views.rate_limit == Rate(50, 10_000)
    assert federation.announce_views_within_ms == 1_800_000
    assert federation.peer_requests == Rate(500, 10_000)


@pytest.mark.parametrize(
    ("text", "read", "value"),
    [
        ("instance: {url: 'https://Tübe.Example:443/'}", lambda c: str(c.instance.url), "https://xn--tbe-hoa.example"),
        ("instance: {url: 'http://[::1]:80'}", lambda c: str(c.instance.url), "http://[::1]"),
        ("instance: {url: 'http://10.1.2.3:9000'}", lambda c: c.instance.url.port, 9000),
        (
            "instance: {url: 'http://a.example'}\nfederation: {allow_http: yes}",
            lambda c: c.instance.url.authority,
            "a.example",
        ),
        ("instance: {name: 'No'}", lambda c: c.instance.name, "No"),
        ("listen: {port: 0}", lambda c: c.listen.port, 0),
        ("listen: {port: env:PORT}", lambda c: c.listen.port, 8081),
        ("federation: {open: env:OPEN}", lambda c: c.federation.open, False),
        (
            "federation: {name_servers: [192.0.2.53, '127.0.0.1:5353', '2001:db8::53', '[::1]:5353']}",
            lambda c: c.federation.name_servers,
            ("192.0.2.53:53", "127.0.0.1:5353", "[2001:db8::53]:53", "[::1]:5353"),
        ),
        ("listen: {max_body: 1MB}", lambda c: c.listen.max_body_bytes, 1_000_000),
        ("listen: {max_body: 64KiB}", lambda c: c.listen.max_body_bytes, 65_536),
        ("listen: {max_body: 20000}", lambda c: c.listen.max_body_bytes, 20_000),
        ("listen: {trusted_proxies: []}", lambda c: c.listen.trusted_proxies, ()),
        ("listen: {trusted_proxies: [10.0.0.0/8]}", lambda c: c.listen.trusted_proxies, (ip_network("10.0.0.0/8"),)),
        ("views: {viewer_lifetime: 1500ms}", lambda c: c.views.viewer_lifetime_ms, 1500),
        ("views: {view_expiration: 1.5h}", lambda c: c.views.view_expiration_ms, 5_400_000),
        ("views: {rate_limit: never}", lambda c: c.views.rate_limit, None),
        ("views: {max_age: {local: 30d, remote: never}}", lambda c: c.views.max_age.remote_ms, None),
        ("views: {watch_time: peertube}", lambda c: c.views.watch_time, WatchTime.PEERTUBE),
        ("views: {max_viewers: 1_000}", lambda c: c.views.max_viewers, 1000),
        ("views: {playback_rate: 3}", lambda c: c.views.playback_rate, 3.0),
        ("federation: {import_unknown_videos: open}", lambda c: c.federation.import_unknown_videos, ImportUnknown.OPEN),
        ("logging: {level: debug}", lambda c: c.logging.level, LogLevel.DEBUG),
        ("peers: [{host: 'Tube.Example:8443'}]", lambda c: c.peers[0].host, "tube.example:8443"),
        ("peers: [{host: a.example, totals: on}]", lambda c: c.peers[0].totals, AutoSwitch.ON),
        ("peers: [{host: a.example, batch: off}]", lambda c: c.peers[0].batch, AutoSwitch.OFF),
        ("peers: [{host: a.example, accept: [totals]}]", lambda c: c.peers[0].accept, (Accept.TOTALS,)),
        ("peers: [{host: a.example}]", lambda c: c.peers[0].accept, tuple(Accept)),
        ("storage: {live: 'redis+cluster://r:7000'}", lambda c: c.storage.live.kind, LiveKind.REDIS_CLUSTER),
        ("storage: {live: 'unix:///run/redis.sock'}", lambda c: c.storage.live.kind, LiveKind.REDIS),
        ("storage: {live: 'redis+unix:///r.sock'}", lambda c: c.storage.live.url, "unix:///r.sock"),
        ("storage: {live: 'redis+sentinel://a:1,b/live'}", lambda c: c.storage.live.kind, LiveKind.REDIS_SENTINEL),
        ("storage: {live: 'rediss+cluster://u:p@a:1,b'}", lambda c: c.storage.live.kind, LiveKind.REDIS_CLUSTER),
        ("storage: {live_shards: 64}", lambda c: c.storage.live_shards, 64),
        ("storage: {database_connections: 20}", lambda c: c.storage.database_connections, 20),
        ("storage: {database_timeout: 2m}", lambda c: c.storage.database_timeout_ms, 120_000),
        ("storage: {database: 'postgresql://u@h/n'}", lambda c: c.storage.database.kind, DatabaseKind.POSTGRESQL),
        ("storage: {database: 'sqlite:////var/x.db'}", lambda c: c.storage.database.path, Path("/var/x.db")),
        ("storage: {directory: /srv/fv}", lambda c: c.storage.directory, Path("/srv/fv")),
        (
            "geoip: {city: 'https://g.example/c.mmdb'}",
            lambda c: c.geoip.city,
            FileOrUrl(url="https://g.example/c.mmdb"),
        ),
        ("geoip: {country: /srv/c.mmdb}", lambda c: c.geoip.country, FileOrUrl(path=Path("/srv/c.mmdb"))),
        ("geoip: {headers: never}", lambda c: c.geoip.headers, None),
        ("geoip: {headers: {country: X-C}}", lambda c: c.geoip.headers, GeoHeaders(country="X-C")),
    ],
)
def test_values(load: Load, text: str, read: Callable[[Config], object], value: object) -> None:
    assert read(load(text)) == value


def test_an_sqlite_file_lies_beside_the_configuration(load: Load, tmp_path: Path) -> None:
    assert load("storage: {database: 'sqlite:///x/y.db'}").storage.database.path == tmp_path / "x/y.db"


def test_a_video_becomes_the_catalogs_draft(load: Load) -> None:
    config = load(
        f"videos: [{{uuid: {UUID.upper()}, name: Nova, duration: 1500ms, isLive: true, channel: tv, privacy: unlisted,"
        ' publishedAt: 2026-01-31T20:00:00Z, url: https://a.example/w/1, description: "two\\nlines"}]'
    )
    assert config.videos[0].draft() == VideoDraft(
        uuid=UUID,
        name="Nova",
        duration_s=2,
        is_live=True,
        channel="tv",
        privacy=Privacy.UNLISTED,
        published_ms=1_769_889_600_000,
        page_url="https://a.example/w/1",
        description="two\nlines",
    )


WRONG = [
    ("nonsense: 1", "nonsense", "unknown key"),
    ("views: {viewer_lifetme: 2m}", "views.viewer_lifetme", "did you mean viewer_lifetime?"),
    ("peers: [{host: a.example}, {hosts: b.example}]", "peers[1].hosts", "did you mean host?"),
    ("- a", "", "expected a mapping, got a list"),
    ("instance: 5", "instance", "expected a mapping, got a number"),
    ("instance: {name: 5}", "instance.name", "expected a text, got a number: put it in quotes"),
    ("instance: {name: no}", "instance.name", "got a boolean"),
    ("instance: {name: }", "instance.name", "got nothing"),
    ("instance: {name: [a]}", "instance.name", "got a list"),
    ("instance: {name: ''}", "instance.name", "is empty"),
    ("instance: {actor: 'a b'}", "instance.actor", "is not a name"),
    ("instance: {url: tube.example}", "instance.url", "is not a URL"),
    ("instance: {url: ftp://tube.example}", "instance.url", "is not a URL"),
    ("instance: {url: 'https://'}", "instance.url", "is not a URL"),
    ("instance: {url: 'https://u:p@tube.example'}", "instance.url", "is not a URL"),
    ("instance: {url: 'https://tube.example:99999'}", "instance.url", "is not a URL"),
    ("instance: {url: 'https://tube.example/path'}", "instance.url", "has a path"),
    ("instance: {url: 'https://tube.example?q'}", "instance.url", "has a path"),
    ("instance: {url: 'https://tube.example/#f'}", "instance.url", "has a path"),
    ("instance: {url: 'http://tube.example'}", "instance.url", "must begin with https://"),
    ("instance: {url: 'http://0.0.0.0'}", "instance.url", "must begin with https://"),
    ("listen: {port: '8080'}", "listen.port", "expected a whole number, got a text"),
    ("listen: {port: 65536}", "listen.port", "out of range: 0 to 65535"),
    ("listen: {port: 80.5}", "listen.port", "not a whole number"),
    ("listen: {port: 010}", "listen.port", "not a whole number"),
    ("listen: {max_body: 5 bytes}", "listen.max_body", "is not a size"),
    ("listen: {max_body: 1B}", "listen.max_body", "out of range"),
    ("listen: {max_body: 9GB}", "listen.max_body", "out of range"),
    ("listen: {trusted_proxies: 10.0.0.0/8}", "listen.trusted_proxies", "expected a list, got text"),
    ("listen: {trusted_proxies: [10.0.0.1/8]}", "listen.trusted_proxies[0]", "bits set behind its prefix"),
    ("listen: {trusted_proxies: [proxy]}", "listen.trusted_proxies[0]", "is not a network"),
    ("storage: {directory: ''}", "storage.directory", "is not a path"),
    ('storage: {directory: "a\\0b"}', "storage.directory", "is not a path"),
    ("storage: {database: mysql://h/n}", "storage.database", "is not a database"),
    ("storage: {database: 'postgresql://u@h'}", "storage.database", "names no database"),
    ("storage: {database: 'sqlite:///'}", "storage.database", "names no file"),
    ("storage: {live: memcached}", "storage.live", "is not a live store"),
    ("storage: {live: 'redis://h:x'}", "storage.live", "is not a URL"),
    ("storage: {live: 'redis://'}", "storage.live", "names no host"),
    ("storage: {live: 'redis://h/x'}", "storage.live", "Redis numbers them"),
    ("storage: {live: 'redis+sentinel://h:1/live/x'}", "storage.live", "Redis numbers them"),
    ("storage: {live: 'unix://'}", "storage.live", "names no socket"),
    ("storage: {live: 'redis+cluster://a,:1'}", "storage.live", "names no host"),
    ("storage: {live: 'redis+sentinel://a:1'}", "storage.live", "names no service"),
    ("storage: {live_shards: 0}", "storage.live_shards", "is out of range"),
    ("storage: {database_connections: 0}", "storage.database_connections", "is out of range"),
    ("storage: {database_timeout: 1ms}", "storage.database_timeout", "is out of range"),
    ("views: {viewer_lifetime: 2}", "views.viewer_lifetime", '"2" is not a duration'),
    ("views: {viewer_lifetime: 2 minutes}", "views.viewer_lifetime", "is not a duration"),
    ("views: {viewer_lifetime: -2m}", "views.viewer_lifetime", "is not a duration"),
    ("views: {viewer_lifetime: never}", "views.viewer_lifetime", 'cannot be "never"'),
    ("views: {viewer_lifetime: 999ms}", "views.viewer_lifetime", "out of range: 1s to 1h"),
    ("views: {viewer_lifetime: 2h}", "views.viewer_lifetime", "out of range: 1s to 1h"),
    ("views: {stats_lifetime: 0.0001s}", "views.stats_lifetime", "finer than a millisecond"),
    ("views: {max_age: {local: 999999999d}}", "views.max_age.local", "is longer than 3650d"),
    ("views: {rate_limit: 50}", "views.rate_limit", "is not a rate"),
    ("views: {rate_limit: 0/10s}", "views.rate_limit", "a rate of nothing"),
    ("views: {trust_viewer_session_id: 1}", "views.trust_viewer_session_id", "expected true or false, got a number"),
    ("views: {trust_viewer_session_id: 'true'}", "views.trust_viewer_session_id", "expected true or false, got a text"),
    ("views: {watch_time: stric}", "views.watch_time", "did you mean strict?"),
    ("views: {playback_rate: .inf}", "views.playback_rate", "is not a number"),
    ("views: {playback_rate: 17}", "views.playback_rate", "out of range"),
    ("federation: {name_servers: [dns.example]}", "federation.name_servers[0]", "is not the address of a name server"),
    ("federation: {name_servers: ['192.0.2.53:0']}", "federation.name_servers[0]", "has no port from 1 to 65535"),
    ("federation: {name_servers: ['[::1]:x']}", "federation.name_servers[0]", "has no port from 1 to 65535"),
    ("federation: {peer_requests: never}", "federation.peer_requests", "is not a rate"),
    ("federation: {max_expires: 3m}", "federation.max_expires", "shorter than twice views.viewer_lifetime (4m)"),
    ("federation: {retry_first: 1h, retry_max: 1m}", "federation.retry_max", "shorter than federation.retry_first"),
    ("federation: {retry_for: 1s}", "federation.retry_for", "nothing would be retried"),
    ("peers: {host: a.example}", "peers", "expected a list, got a mapping"),
    ("peers: [a.example]", "peers[0]", "expected a mapping, got text"),
    ("peers: [{follow: true}]", "peers[0].host", "is missing"),
    ("peers: [{host: 'https://a.example'}]", "peers[0].host", "is not a host"),
    ("peers: [{host: a.example/x}]", "peers[0].host", "is not a host"),
    (
        "peers: [{host: a.example}, {host: b.example}, {host: A.example}]",
        "peers[2].host",
        "is the same as peers[0].host",
    ),
    ("peers: [{host: '127.0.0.1:8080'}]", "peers[0].host", "is this instance itself"),
    ("peers: [{host: a.example, follow: true, block: true}]", "peers[0].follow", "blocked peer cannot be followed"),
    ("peers: [{host: a.example, accept: [likes]}]", "peers[0].accept[0]", "is not one of viewers, views"),
    ("peers: [{host: a.example, accept: [views, views]}]", "peers[0].accept[1]", "the same as"),
    ("peers: [{host: a.example, max_viewers_per_video: -1}]", "peers[0].max_viewers_per_video", "out of range"),
    ("tokens: [{name: a, role: admin}]", "tokens[0]", "needs a value, a public_key, or both"),
    ("tokens: [{name: a, role: root, value: 12345678}]", "tokens[0].role", "is not one of admin, host, stats"),
    ("tokens: [{name: a, role: host, value: 12345678, channels: [c]}]", "tokens[0].channels", "a stats token only"),
    ("tokens: [{name: a, role: host, value: env:NOT_SET}]", "tokens[0].value", "variable NOT_SET is not set"),
    ("tokens: [{name: a, role: host, value: env:EMPTY}]", "tokens[0].value", "is empty"),
    ("tokens: [{name: a, role: host, value: 'env:A B'}]", "tokens[0].value", "name of an environment variable"),
    ("tokens: [{name: a, role: host, value: file:none}]", "tokens[0].value", "cannot be read"),
    ("tokens: [{name: a, role: host, value: file:.}]", "tokens[0].value", "not a regular file"),
    ("tokens: [{name: a, role: host, public_key: PEM}]", "tokens[0].public_key", "is not a public key"),
    (
        "tokens: [{name: a, role: host, value: 12345678}, {name: a, role: host, value: 87654321}]",
        "tokens[1].name",
        "the same as tokens[0].name",
    ),
    (
        "tokens: [{name: a, role: host, value: 12345678}, {name: b, role: host, value: 12345678}]",
        "tokens[1].value",
        "the same as tokens[0].value",
    ),
    (f"videos: [{{uuid: {UUID}, name: a}}]", "videos[0].duration", "is missing"),
    (f"videos: [{{uuid: {UUID}, name: a, duration: long}}]", "videos[0].duration", "is not a duration"),
    ("videos: [{uuid: 12, name: a, duration: 1}]", "videos[0].uuid", "is not a UUID"),
    (f"videos: [{{uuid: {UUID}, name: a, duration: 1, publishedAt: 2026-01-31}}]", "videos[0].publishedAt", "instant"),
    (
        f"videos: [{{uuid: {UUID}, name: a, duration: 1}}, {{uuid: {UUID.upper()}, name: b, duration: 1}}]",
        "videos[1].uuid",
        "the same as videos[0].uuid",
    ),
    ("geoip: {headers: {}}", "geoip.headers", "names no header"),
    ("geoip: {headers: {country: 'a b'}}", "geoip.headers.country", "is not the name of a header"),
    ("geoip: {country: 's3://bucket'}", "geoip.country", "neither a path nor"),
    ("webhooks: [{url: 'mailto:x', key: a, secret: b}]", "webhooks[0].url", "is not a URL"),
    ("webhooks: [{url: 'https://a.example', key: a}]", "webhooks[0].secret", "is missing"),
    ("webhooks: [{url: 'https://a.example', key: a, secret: b, include: []}]", "webhooks[0].include", "is empty"),
    (
        "webhooks: [{url: 'https://a.example', key: a, secret: b, include: [c], exclude: [d]}]",
        "webhooks[0].exclude",
        "cannot stand beside include",
    ),
    ("livekit: {keys: {'a b': c}}", "livekit.keys.a b", "the key is not a name"),
    ("livekit: {keys: [a]}", "livekit.keys", "expected a mapping, got a list"),
    ("livekit: {rooms: {r: nope}}", "livekit.rooms.r", "is not a UUID"),
    ("pages: {sites: [{host: a.example, origins: ['https://a.example/x']}]}", "pages.sites[0].origins[0]", "a path"),
    ("pages: {sites: [{host: a.example}, {host: a.example}]}", "pages.sites[1].host", "the same as"),
]


@pytest.mark.parametrize(("text", "path", "message"), WRONG)
def test_one_clear_error_names_the_key_and_its_line(load: Load, text: str, path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("\n\n" + text)
    assert caught.value.path == path
    assert message in caught.value.message
    assert "config.yaml line " in caught.value.message
    assert "\n" not in str(caught.value)


def test_the_line_is_the_keys_own(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"^peers\[1\]\.host: .*\(config\.yaml line 4\)$"):
        load("peers:\n  - host: a.example\n    follow: true\n  - host: a.example\n")


BAD_YAML = [
    ("a: [1", "", "is not valid YAML"),
    ("a: b: c", "", "is not valid YAML"),
    ("a: \x01", "", "control character"),
    ("views: {}\n---\nviews: {}", "", "is not valid YAML"),
    (b"\xff\xfe\x00", "", "is not UTF-8"),
    ("views: &x {}", "", "anchors and aliases"),
    ("views: *x", "", "anchors and aliases"),
    ("views: &x [*x]", "", "anchors and aliases"),
    ("views: !!python/object/apply:os.system ['true']", "", "YAML tags"),
    ("views: !custom {}", "", "YAML tags"),
    ("views: " + "[" * 400_000, "", "nested deeper"),
    ("views: " + "{a: " * 13 + "1" + "}" * 13, "", "nested deeper"),
    ("# " + "x" * 1_000_000, "", "is larger than"),
    ("? [a]\n: 1", "", "a key that is not a text"),
    ("views: {}\nlisten: {}\nviews: {}", "views", "stands here twice: first in line 1, again (config.yaml line 3)"),
    ("views: {viewer_lifetime: 2m, viewer_lifetime: 3m}", "views.viewer_lifetime", "stands here twice"),
    ("peers: [{host: a.example, host: b.example}]", "peers[0].host", "stands here twice"),
    ('"pe\ters": []', "", "cannot be printed (config.yaml line 1)"),
]


@pytest.mark.parametrize(("text", "path", "message"), BAD_YAML, ids=range(len(BAD_YAML)))
def test_yaml_that_cannot_be_trusted(load: Load, text: str | bytes, path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.path == path
    assert message in caught.value.message
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path, {})


def test_a_secret_out_of_a_file(load: Load, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("  out-of-a-file\n")
    secret.chmod(0o640)
    text = "tokens: [{name: a, role: stats, channels: [main], value: file:secret}]"
    (token,) = load(text).tokens
    assert token.value is not None
    assert token.value.reveal() == "out-of-a-file"
    assert "out-of" not in f"{token!r} {token.value}"
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match=r"^tokens\[0\]\.value: .*can be read by every user"):
        load(text)


def test_other_values_may_stand_in_files_that_everybody_reads(load: Load, tmp_path: Path) -> None:
    (tmp_path / "name").write_text("Nova\n")
    (tmp_path / "name").chmod(0o644)
    assert load("instance: {name: file:name}").instance.name == "Nova"


def test_a_whole_list_may_stand_elsewhere(load: Load, tmp_path: Path) -> None:
    (tmp_path / "peers.yaml").write_text("- host: a.example\n- host: a.example\n")
    with pytest.raises(ConfigError, match=r"^peers\[1\]\.host: .*\(file:peers\.yaml line 2\)$"):
        load("peers: file:peers.yaml")
    config = load("peers: env:PEERS\n", {"PEERS": "[{host: b.example}]"})
    assert config.peers == (Peer(host="b.example"),)
    (tmp_path / "tokens.yaml").write_text("- {name: a, role: host, value: 12345678}\n")
    (tmp_path / "tokens.yaml").chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by every user"):
        load("tokens: file:tokens.yaml")


def test_no_error_shows_a_secret(load: Load) -> None:
    for text in (
        "tokens: [{name: a, role: host, value: 'hush hush hush'}]",
        "tokens: [{name: a, role: host, value: hush}]",
        "webhooks: [{url: env:HUSH, key: a, secret: b}]",
        "storage: {live: env:HUSH}",
    ):
        with pytest.raises(ConfigError) as caught:
            load(text, {"HUSH": "x://:hush@h"})
        assert "hush" not in str(caught.value)
    assert "hush" not in repr(load("storage: {live: 'redis://:hush@h', database: 'postgresql://u:hush@h/n'}"))


def test_public_keys_of_host_applications(load: Load, tmp_path: Path) -> None:
    def token(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str | None:
        (tmp_path / "app.pem").write_text(pem(key))
        return load("tokens: [{name: a, role: host, public_key: file:app.pem}]").tokens[0].public_key

    edwards = ed25519.Ed25519PrivateKey.generate()
    assert token(edwards) == pem(edwards)
    with pytest.raises(ConfigError, match=r"tokens\[0\]\.public_key: has 1024 bits"):
        token(rsa.generate_private_key(65537, 1024))
    with pytest.raises(ConfigError, match="use RSA or Ed25519"):
        token(ec.generate_private_key(ec.SECP256R1()))
    private = edwards.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "app.pem").write_bytes(private)
    with pytest.raises(ConfigError, match="is a private key"):
        load("tokens: [{name: a, role: host, public_key: file:app.pem}]")


def test_check_config_says_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("peers: [{host: a.example}]")
    out, err = io.StringIO(), io.StringIO()
    assert check_config(path, {}, out=out, err=err) == 0
    assert (out.getvalue().count("\n"), err.getvalue()) == (1, "")
    assert "OK" in out.getvalue()
    path.write_text("peers: [{}]")
    out, err = io.StringIO(), io.StringIO()
    assert check_config(path, {}, out=out, err=err) == 2
    assert out.getvalue() == ""
    assert err.getvalue() == f"{path}: peers[0].host: is missing (config.yaml line 1)\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("storage: {directory: config.yaml}", "storage.directory: cannot be made"),
        ("storage: {directory: config.yaml/data}", "storage.directory: cannot be made"),
        ("storage: {database: 'postgresql://u@h/x?foo=bar'}", "storage.database: foo is not understood"),
        ("storage: {live: 'redis://h:1?db=x'}", "storage.live: redis://h:1 cannot be used"),
    ],
)
def test_check_config_refuses_what_every_start_would(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    err = io.StringIO()
    assert check_config(path, {}, out=io.StringIO(), err=err) == 2
    assert says in err.getvalue()
    assert "config.yaml line 1" in err.getvalue()
    assert err.getvalue().count("\n") == 1


def test_check_config_refuses_a_directory_that_this_user_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        # Root may write everywhere: what the modes say is what anybody else would be told.
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & ~(os.stat(path).st_mode >> 6))
    path, locked = tmp_path / "config.yaml", tmp_path / "locked"
    locked.mkdir(mode=0o500)
    for directory, says in (("locked", "is not writable"), ("locked/data", "cannot be made in")):
        path.write_text(f"storage: {{directory: {directory}}}")
        err = io.StringIO()
        assert check_config(path, {}, out=io.StringIO(), err=err) == 2
        assert f"storage.directory: {says}" in err.getvalue()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("listen: {port: 18785}", "instance.url says port 8080, listen.port is 18785"),
        ("instance: {url: 'http://localhost'}", "instance.url says port 80, listen.port is 8080"),
        ("geoip: {country: missing.mmdb}", "geoip.country: there is no file"),
        ("listen: {port: 0}", ""),
        ("instance: {url: 'https://localhost'}", ""),
        ("instance: {url: 'https://views.example'}\nlisten: {port: 9000}", ""),
        ("instance: {url: 'http://localhost:9000'}\nlisten: {port: 9000}", ""),
    ],
)
def test_check_config_warns_of_what_was_hardly_meant(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    out, err = io.StringIO(), io.StringIO()
    assert check_config(path, {}, out=out, err=err) == 0
    assert "OK" in out.getvalue()
    assert says in err.getvalue()
    assert err.getvalue().count("warning: ") == bool(says)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_input_is_a_configuration_or_one_error(tmp_path_factory: pytest.TempPathFactory, data: str | bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
    try:
        load_config(path, {})
    except ConfigError as error:
        assert str(error)  # noqa: PT017


_leaf = st.sampled_from(["1", "true", "~", "never", "5s", "'x'", "a.example", "env:X", "file:x", "1e9", "2026-01-01"])
_value = st.recursive(
    _leaf,
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(st.sampled_from(["host", "name", "keys", "url", "headers"]), inner, max_size=2).map(
            lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"
        )
    ),
    max_leaves=5,
)


@given(st.sampled_from(["instance", "listen", "peers", "tokens", "videos", "geoip", "livekit", "pages"]), _value)
def test_any_shape_is_a_configuration_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, section: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "shape.yaml"
    path.write_text(f"{section}: {value}")
    try:
        load_config(path, {"X": "{a: 1}"})
    except ConfigError as error:
        assert error.path.startswith(section)  # noqa: PT017


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_file_is_warned_of(tmp_path: Path, text: str) -> None:
    path, out, err = tmp_path / "config.yaml", io.StringIO(), io.StringIO()
    path.write_text(text)
    assert load_config(path, {}).empty
    assert check_config(path, {}, out=out, err=err) == 0
    assert "warning: the configuration says nothing" in err.getvalue()
    path.write_text("tokens:\n")
    assert not load_config(path, {}).empty
