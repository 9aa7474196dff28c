from __future__ import annotations

import hmac
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.clock import ManualClock
from foundation.errors import ConfigError, Refused
from views.sessions import (
    DAY_MS,
    ELSEWHERE,
    MAX_TTL_MS,
    Identity,
    ViewerToken,
    ViewerTokens,
    is_session_id,
    load_or_create_secret,
)

SECRET = bytes(range(32))
VIDEO = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
OTHER = "7e6f5d4c-3b2a-4190-8f7e-6d5c4b3a2910"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a", True),
        ("0-9", True),
        ("9c9de5e8-0a1e-484a-b099-e80766180a6d", True),
        ("x" * 200, True),
        ("", False),
        ("x" * 201, False),
        ("tito_t", False),
        ("a b", False),
        ("a\n", False),
        ("ü", False),
        ("１", False),
        ("a/b", False),
    ],
)
def test_session_ids(text: str, valid: bool) -> None:
    assert is_session_id(text) is valid


def test_a_session_is_one_viewer_for_good(clock: ManualClock) -> None:
    identity = Identity(SECRET, clock)
    key = identity.from_session("tab")
    clock.advance(40 * DAY_MS)
    assert identity.from_session("tab") == key == Identity(SECRET, clock).from_session("tab")
    assert len(key) == 16
    assert identity.from_session("tab2") != key
    assert Identity(bytes(32), clock).from_session("tab") != key


def test_a_key_is_an_hmac_sha256(clock: ManualClock) -> None:
    derived = hmac.digest(SECRET, b"viewer by session", "sha256")
    for session in ("tab", "x" * 200):
        expected = hmac.digest(derived, session.encode(), "sha256")[:16]
        assert Identity(SECRET, clock).from_session(session) == expected


def test_kinds_of_viewers_never_meet(clock: ManualClock) -> None:
    identity = Identity(SECRET, clock)
    keys = {identity.from_session("192.0.2.1"), identity.from_user("192.0.2.1"), *identity.from_address("192.0.2.1")}
    assert len(keys) == 4


def test_an_address_has_another_key_every_utc_day(clock: ManualClock) -> None:
    identity = Identity(SECRET, clock)
    clock.set_wall(clock.now_ms() // DAY_MS * DAY_MS + DAY_MS - 1)
    before, day_before = identity.from_address("192.0.2.1")
    clock.advance(1)
    today, yesterday = identity.from_address("192.0.2.1")
    assert yesterday == before
    assert len({today, before, day_before}) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
    ],
)
def test_what_counts_as_one_address(clock: ManualClock, one: str, other: str, same: bool) -> None:
    identity = Identity(SECRET, clock)
    assert (identity.from_address(one) == identity.from_address(other)) is same


def test_a_user_agent_tells_people_behind_one_address_apart(clock: ManualClock) -> None:
    identity = Identity(SECRET, clock)
    assert identity.from_address("192.0.2.1", "A") != identity.from_address("192.0.2.1", "B")
    assert identity.from_address("192.0.2.1", "\udcff")


def test_a_trusted_session_goes_before_the_user_and_both_before_the_address(clock: ManualClock) -> None:
    trusting, strict = Identity(SECRET, clock), Identity(SECRET, clock, trust_session_id=False)
    assert trusting.viewer("tab", "anna", "192.0.2.1") == (trusting.from_session("tab"), None)
    assert trusting.viewer(None, "anna", "192.0.2.1") == (trusting.from_user("anna"), None)
    assert strict.viewer("tab", "anna", "192.0.2.1") == (strict.from_user("anna"), None)
    assert strict.viewer("tab", None, "192.0.2.1") == strict.from_address("192.0.2.1")


def test_a_weak_secret_is_a_bug(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="too short"):
        Identity(b"short", clock)


def test_the_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "viewer-secret"
    secret = load_or_create_secret(path)
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_secret(path) == secret
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_together_agree_on_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "viewer-secret"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: load_or_create_secret(path), range(8)))
    assert len(secrets) == 1


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_secret_is_not_replaced_silently(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "viewer-secret"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="32 bytes"):
        load_or_create_secret(path)


def test_a_token_opens_its_video_until_its_end(clock: ManualClock) -> None:
    tokens = ViewerTokens(SECRET, clock)
    token = tokens.issue(VIDEO, "anna", 60_000)
    assert tokens.verify(token, VIDEO) == ViewerToken(VIDEO, "anna", clock.now_ms() + 60_000)
    assert tokens.verify(token, OTHER) is ELSEWHERE
    clock.advance(59_999)
    assert isinstance(tokens.verify(token, VIDEO), ViewerToken)
    clock.advance(1)
    expired = tokens.verify(token, VIDEO)
    assert isinstance(expired, Refused)
    assert (expired.reason, expired.status) == ("viewer_token_expired", 401)


def test_the_longest_token_is_taken_back(clock: ManualClock) -> None:
    tokens = ViewerTokens(SECRET, clock)
    for user in ("x" * 200, "\x01" * 200, "😀" * 200):
        assert isinstance(tokens.verify(tokens.issue(VIDEO, user, MAX_TTL_MS), VIDEO), ViewerToken)


@pytest.mark.parametrize(("user", "ttl_ms"), [(None, 0), (None, -1), (None, MAX_TTL_MS + 1), ("", 1), ("x" * 201, 1)])
def test_tokens_out_of_bounds_are_not_made(clock: ManualClock, user: str | None, ttl_ms: int) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        ViewerTokens(SECRET, clock).issue(VIDEO, user, ttl_ms)


def test_every_character_of_a_token_matters() -> None:
    clock = ManualClock()
    tokens = ViewerTokens(SECRET, clock)
    token = tokens.issue(VIDEO, "anna", 60_000)
    for index, character in enumerate(token[:-1]):
        changed = token[:index] + ("A" if character != "A" else "B") + token[index + 1 :]
        assert isinstance(tokens.verify(changed, VIDEO), Refused), index
    assert isinstance(ViewerTokens(bytes(32), clock).verify(token, VIDEO), Refused)


@given(st.text(max_size=300))
def test_garbage_is_no_token(text: str) -> None:
    tokens = ViewerTokens(SECRET, ManualClock())
    for candidate in (text, f"fvt1.{text}", f"fvt1.{text}.{text}", f"fvt1.{text * 20}"):
        verdict = tokens.verify(candidate, VIDEO)
        assert isinstance(verdict, Refused)
        assert verdict.status == 401


def test_a_secret_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "viewer-secret"
    load_or_create_secret(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        load_or_create_secret(path)
