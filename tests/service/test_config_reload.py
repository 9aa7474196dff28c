"""What SIGHUP changes, and the admin token that is made when there is none."""

from __future__ import annotations

import dataclasses
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from foundation.errors import ConfigError
from foundation.principal import Role
from service.config import (
    Config,
    GeoHeaders,
    LogLevel,
    Peer,
    Secret,
    Token,
    generate_admin_token,
    reloadable_changes,
    restart_changes,
    with_reloadable,
)

OLD = Config(peers=(Peer(host="a.example"),))


def test_nothing_changed() -> None:
    moved = dataclasses.replace(OLD, source_path=Path("/elsewhere"))
    assert reloadable_changes(OLD, moved) == restart_changes(OLD, moved) == []


def test_changes_are_sorted_by_what_they_need() -> None:
    new = dataclasses.replace(
        OLD,
        listen=dataclasses.replace(OLD.listen, port=9000),
        views=dataclasses.replace(OLD.views, max_age=dataclasses.replace(OLD.views.max_age, local_ms=1)),
        federation=dataclasses.replace(OLD.federation, open=False, signed_fetch=True),
        logging=dataclasses.replace(OLD.logging, level=LogLevel.DEBUG),
        peers=(Peer(host="b.example"), *OLD.peers),
        tokens=(Token(name="a", role=Role.HOST, value=Secret("12345678")),),
        geoip=dataclasses.replace(OLD.geoip, headers=GeoHeaders(country="X")),
    )
    assert reloadable_changes(OLD, new) == ["federation.open", "logging.level", "peers", "tokens"]
    assert restart_changes(OLD, new) == [
        "listen.port",
        "views.max_age.local",
        "federation.signed_fetch",
        "geoip.headers",
    ]
    merged = with_reloadable(OLD, new)
    assert reloadable_changes(merged, new) == []
    assert restart_changes(merged, new) == restart_changes(OLD, new)
    assert restart_changes(OLD, merged) == []


def test_an_admin_token_is_made_once(tmp_path: Path) -> None:
    token, path = generate_admin_token(tmp_path / "data")
    assert path == tmp_path / "data/admin-token"
    assert len(token) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert generate_admin_token(tmp_path / "data") == (token, path)
    assert list(path.parent.iterdir()) == [path]


def test_two_starts_agree_on_one_admin_token(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(generate_admin_token, [tmp_path] * 16))) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 40, b"a b" * 20])
def test_a_spoilt_admin_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin-token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no token"):
        generate_admin_token(tmp_path)


def test_an_admin_token_open_to_everybody_is_refused(tmp_path: Path) -> None:
    _, path = generate_admin_token(tmp_path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="open to every user"):
        generate_admin_token(tmp_path)


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be used"):
        generate_admin_token(tmp_path / "data")
