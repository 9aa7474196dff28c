"""config.yaml as shipped: it documents every key, and what it says is true."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.config import Config, load_config
from service.config.shape import key_paths, section_of
from service.config.tree import Mapping, Node, Sequence, parse_yaml

SHIPPED = Path(__file__).parent.parent.parent / "config.yaml"
ENV = {
    "FEDIVIEWS_TOKEN": "first-token",
    "FEDIVIEWS_STATS_TOKEN": "second-token",
    "FEDIVIEWS_HOOK_SECRET": "hook",
    "FEDIVIEWS_OLD_HOOK_SECRET": "old-hook",
    "LIVEKIT_SECRET": "livekit",
}
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
FREE = re.compile(r"^(livekit\.(?:keys|rooms))\..*")


def examples_in_force() -> str:
    """The file with every example line's marker removed, as its head says."""
    return re.sub(r"^#:", "", SHIPPED.read_text(), flags=re.MULTILINE)


def keys(node: Node, path: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, Mapping):
        for entry in node.entries:
            inner = f"{path}.{entry.key}" if path else entry.key
            yield inner, entry.place.line
            yield from keys(entry.value, inner)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from keys(item, f"{path}[]")


def test_as_shipped_it_says_the_defaults() -> None:
    config = load_config(SHIPPED, {})
    default = Config()
    storage = dataclasses.replace(default.storage, directory=SHIPPED.parent / "data")
    assert config == dataclasses.replace(default, storage=storage, source_path=SHIPPED)


def test_every_example_is_valid(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(examples_in_force())
    (tmp_path / "signing-app.pem").write_text(PUBLIC_KEY)
    config = load_config(tmp_path / "config.yaml", ENV)
    for name in ("peers", "tokens", "videos", "webhooks"):
        assert getattr(config, name), name
    assert config.livekit.keys
    assert config.livekit.rooms
    assert config.pages.sites
    assert config.geoip.headers is not None


def test_every_key_is_there_and_no_other() -> None:
    written = {
        path for path, _ in keys(parse_yaml(examples_in_force().encode(), "config.yaml")) if not FREE.match(path)
    }
    assert written == set(key_paths(section_of(Config)))


def test_every_key_has_its_comment_above() -> None:
    text = examples_in_force()
    lines = text.splitlines()
    seen: set[str] = set()
    for path, line in keys(parse_yaml(text.encode(), "config.yaml")):
        if FREE.match(path) or path in seen:
            continue
        seen.add(path)
        above = lines[line - 2].strip()
        assert above.startswith("# "), f"{path} (line {line}) has no comment"
        comment = ""
        for text_line in reversed(lines[: line - 1]):
            if not text_line.strip().startswith("#"):
                break
            comment = text_line.strip(" #") + " " + comment
        sections = {"instance", "listen", "storage", "views", "federation", "logging", "geoip", "livekit", "pages"} | {
            "telemetry"
        }
        if path not in sections | {"views.watching_interval", "views.max_age"}:
            assert "Default" in comment or "needed" in comment or path.startswith("tokens[]."), path


def test_comments_state_the_default_that_is_in_force() -> None:
    """As in: Default 2m (PeerTube's), above ``viewer_lifetime: 2m``."""
    text = SHIPPED.read_text()
    found = re.findall(r"Default (\S+)[^\n]*\n(?:\s*#[^:][^\n]*\n)*\s*(\w+): (\S+)\n", text)
    assert len(found) > 50
    for default, key, value in found:
        if not value.startswith(("[", "http")):
            assert default.rstrip(":.,;") == value, key


@pytest.mark.parametrize("key", ["instance:", "views:", "peers:", "federation:"])
def test_the_marker_is_mechanical(key: str) -> None:
    assert key in examples_in_force().splitlines()
    assert "#:" not in examples_in_force().replace('"#:"', "")
