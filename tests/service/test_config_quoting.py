"""No message about a mistake in the configuration repeats a password."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from foundation.database_urls import driver_url
from foundation.errors import ConfigError
from service.config import check_config
from service.config.quoting import is_quotable

LONG = "swordfish" * 4

MISTAKES = [
    'storage: {database: "postgresql://u:swordfish@host:99999/x"}',
    'storage: {database: "postgres://u:swordfish@h/x"}',
    'storage: {database: "postgresql://u:sword#swordfish@h/x"}',
    'storage: {database: "postgresql://u:1#swordfish@h/x"}',
    'storage: {database: "postgresql://u:1/swordfish@h/x"}',
    'storage: {database: "postgresql://u:sword swordfish@h/x"}',
    'storage: {database: "postgresql://u:swordfish@h"}',
    'storage: {database: "host=h password=swordfish"}',
    'storage: {"postgresql://u:swordfish@h/x": x}',
    'storage: ["postgresql://u:swordfish@h/x"]',
    'storage: {live: "redis://:swordfish@host:bad/0"}',
    'storage: {live: "reddis://:swordfish@host/0"}',
    'storage: {live: "redis://:swordfish"}',
    'storage: {live: "redis://u:1#swordfish@host/0"}',
    'storage: {live: "redis://u:1/swordfish@host/0"}',
    'storage: {live: "redis://u:1?swordfish@host/0"}',
    'storage: {live: "redis+cluster://u:swordfish@a:1,b:bad"}',
    'storage: {live: "redis+cluster://u:1#swordfish@a:1,b:2"}',
    'storage: {live: "redis+sentinel://u:swordfish@a:1,b:2"}',
    'storage: {live: "redis+sentinel://u:1/swordfish@a:1,b:2/main"}',
    'storage: {live: "unix://:swordfish/run/redis.sock"}',
    'instance: {url: "https://u:swordfish@tube.example"}',
    'instance: {url: "https://u:swordfish"}',
    'logging: {opentelemetry: "https://u:swordfish@h/x"}',
    'telemetry: {opentelemetry: "https://u:swordfish@h/x"}',
    'geoip: {city: "ftp://h/x?license_key=swordfish"}',
    'pages: {sites: [{host: a.example, catalog: "ftp://u:swordfish@a.example/feed"}]}',
    'pages: {sites: [{host: "https://u:swordfish@a.example/"}]}',
    'peers: [{host: "https://u:swordfish@a.example/"}]',
    'webhooks: [{url: "hooks.example/services/swordfish", key: x, secret: y}]',
    'webhooks: [{url: "https://u:swordfish@hooks.example/", key: x, secret: y}]',
    'webhooks: [{url: "https://hooks.example/", key: "sword swordfish", secret: y}]',
    "tokens: [{name: x, role: admin, public_key: swordfish}]",
    "tokens: [{name: x, role: swordfish}]",
    "tokens: [{name: x, role: admin, value: 'sword swordfish'}]",
    f"tokens: [{{{LONG}: x}}]",
    f'livekit: {{keys: {{{LONG}: ""}}}}',
    f'livekit: {{keys: {{"{LONG}+/=": API}}}}',
]


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_said_without_the_password(tmp_path: Path, text: str) -> None:
    path, said = tmp_path / "config.yaml", io.StringIO()
    path.write_text(text)
    assert check_config(path, {}, out=said, err=said) == 2
    assert "swordfish" not in said.getvalue()
    assert text.partition(":")[0] in said.getvalue()
    assert "line 1" in said.getvalue()


def test_what_holds_no_password_is_repeated(tmp_path: Path) -> None:
    path, said = tmp_path / "config.yaml", io.StringIO()
    path.write_text('instance: {url: "https://tube.example:8443/path"}')
    assert check_config(path, {}, out=said, err=said) == 2
    assert '"https://tube.example:8443/path" has a path' in said.getvalue()


@pytest.mark.parametrize(
    ("text", "quotable"),
    [
        ("2", True),
        ("a b", True),
        ("https://tube.example/a", True),
        ("https://tube.example:99999/a", True),
        ("https://u:pass", False),
        ("https://u:pass/word", False),
        ("u:pass@h", False),
        ("https://h/?key=1", False),
        ("https://h/#1", False),
        ("x" * 61, False),
        ("two\nlines", False),
    ],
)
def test_what_may_be_repeated(text: str, quotable: bool) -> None:
    assert is_quotable(text) is quotable


@pytest.mark.parametrize("url", ["postgresql://u:pw@host:swordfish/x", "mysql://u:swordfish@h/x", "u:swordfish@h"])
def test_a_database_of_the_command_line_is_named_without_it(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        driver_url(url)
    assert "swordfish" not in str(raised.value)
