"""The configuration as people may see it: every key, no secret."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foundation.principal import Role
from service.config import Config, GeoIp, LivekitKey, Peer, Secret, Storage, Token, Webhook, load_config
from service.config.model import Livekit, Views
from service.config.printed import HIDDEN, NOTHING, printed
from service.config.shape import key_paths, section_of
from service.config.storage import parse_database, parse_live
from service.config.values import FileOrUrl


def values(config: Config) -> dict[str, str]:
    return {line.key: line.value for line in printed(config)}


def test_without_a_file_every_key_has_its_usual_value() -> None:
    lines = printed(Config())
    assert all(line.usual for line in lines)
    keys = {line.key for line in lines}
    for path in key_paths(section_of(Config)):
        inside = any(key == path or key.startswith(f"{path}.") for key in keys)
        of_a_list = "[]" in path or "{}" in path
        of_nothing = any(path.startswith(f"{key}.") for key in keys)
        assert inside or of_a_list or of_nothing, path


def test_values_are_written_as_in_the_file() -> None:
    found = values(
        Config(
            views=Views(viewer_lifetime_ms=90_000, rate_limit=None, sessions_per_address=None),
            peers=(Peer(host="tube.example", block=True), Peer(host="b.example")),
            geoip=GeoIp(country=FileOrUrl(path=Path("geo.mmdb"))),
        )
    )
    assert found["views.viewer_lifetime"] == "90s"
    assert found["views.rate_limit"] == found["views.sessions_per_address"] == "never"
    assert found["views.trust_viewer_session_id"] == "true"
    assert found["federation.key_fetches_per_host"] == "30/1m"
    assert found["listen.trusted_proxies"] == "127.0.0.1/32, ::1/128"
    assert (found["peers[0].block"], found["peers[1].block"]) == ("true", NOTHING)
    assert (found["geoip.country"], found["geoip.city"]) == ("geo.mmdb", "never")
    assert (found["webhooks"], found["geoip.headers"]) == (NOTHING, NOTHING)
    changed = {line.key for line in printed(Config(views=Views(viewer_lifetime_ms=90_000))) if not line.usual}
    assert changed == {"views.viewer_lifetime"}


def test_what_the_file_does_not_say_does_not_stand_out(tmp_path: Path) -> None:
    hook = "{url: https://hooks.example/in, key: main, secret: a-secret-of-32-characters-or-more, max_age: 2d}"
    (tmp_path / "config.yaml").write_text(
        "peers:\n  - {host: tube.example, totals: on}\n  - {host: b.example, follow: false}\n"
        f"webhooks:\n  - {hook}\nviews: {{viewer_lifetime: 90s}}\n"
    )
    config = load_config(tmp_path / "config.yaml", {})
    assert {line.key for line in printed(config) if not line.usual} == {
        "peers[0].host",
        "peers[0].totals",
        "peers[1].host",
        "webhooks[0].url",
        "webhooks[0].key",
        "webhooks[0].secret",
        "webhooks[0].max_age",
        "views.viewer_lifetime",
    }


def test_no_secret_is_in_it() -> None:
    secret = Secret("swordfish-swordfish")
    config = Config(
        tokens=(Token(name="chief", role=Role.ADMIN, value=secret), Token(name="key", role=Role.HOST)),
        webhooks=(Webhook(url="https://user:swordfish@hooks.example/in?t=swordfish", key="key", secret=secret),),
        livekit=Livekit(keys=(LivekitKey("api", secret),)),
        storage=Storage(
            database=parse_database("postgresql://user:swordfish@db.example:5432/name?password=swordfish"),
            live=parse_live("redis+cluster://:swordfish@a.example:6379,b.example:6379"),
        ),
        geoip=GeoIp(country=FileOrUrl(url="https://geo.example/download?license_key=swordfish")),
    )
    found = values(config)
    assert "swordfish" not in str(found)
    assert (found["tokens[0].value"], found["tokens[1].value"]) == (HIDDEN, NOTHING)
    assert found["livekit.keys.api"] == HIDDEN
    assert found["storage.database"] == "postgresql postgresql://db.example:5432/name"
    assert found["storage.live"] == "redis+cluster redis+cluster://a.example:6379,b.example:6379"
    assert found["geoip.country"] == "https://geo.example/download"
    strange = replace(config.webhooks[0], url="https://u:swordfish@h.example?x=/@swordfish")
    assert "swordfish" not in str(values(replace(config, webhooks=(strange,))))
