from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from handmade import rsa_key
from hypothesis import given
from hypothesis import strategies as st

from federation.key_files import write_new_private_key
from federation.keys import KeyPair
from federation.multikey import decode_multikey, encode_multikey
from federation.own_keys import ED25519_NAME, OVERLAP_MS, RSA_NAME, KeyRing, key_files, rotate_keys
from foundation.clock import ManualClock
from foundation.errors import ConfigError, FediviewsError, Refused

GOOD = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
"""A key and its text as did:key gives them."""
DAY_MS = 86_400_000


@pytest.fixture
def directory(tmp_path: Path, clock: ManualClock) -> Path:
    """With a first key in it, as old as the clock."""
    write_new_private_key(tmp_path / "instance.pem", rsa_key(), modified_ms=clock.now_ms())
    return tmp_path


def test_the_first_start_makes_one_key(tmp_path: Path, clock: ManualClock) -> None:
    ring = KeyRing(tmp_path / "data", clock)
    assert ring.keys.current.fragment == "main-key"
    assert (ring.keys.previous, ring.keys.ed25519) == (None, ())
    assert KeyRing(tmp_path / "data", clock).keys.current.published == ring.keys.current.published
    assert [file.path.name for file in key_files(tmp_path / "data", RSA_NAME)] == ["instance.pem"]


def test_a_rotation_is_seen_and_ends(directory: Path, clock: ManualClock) -> None:
    ring = KeyRing(directory, clock)
    first = ring.keys.current
    assert not ring.reload()
    (made,) = rotate_keys(directory, clock.now_ms())
    assert (made.path.name, made.since_ms) == ("instance-2.pem", clock.now_ms())
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert ring.keys.current is first
    assert ring.reload()
    assert ring.keys.current.fragment == "main-key-2"
    assert ring.keys.previous is not None
    assert (ring.keys.previous.fragment, ring.keys.previous.published) == ("main-key", first.published)
    assert ring.retire() == []
    # Whoever starts now sees the same.
    assert KeyRing(directory, clock).keys.current.published == ring.keys.current.published

    clock.advance(OVERLAP_MS)
    assert ring.reload()
    assert (ring.keys.current.fragment, ring.keys.previous) == ("main-key-2", None)
    assert [path.name for path in ring.retire()] == ["instance.pem"]
    assert [file.generation for file in key_files(directory, RSA_NAME)] == [2]
    assert KeyRing(directory, clock).keys.current.fragment == "main-key-2"


def test_two_rotations_in_a_row_keep_two_keys(directory: Path, clock: ManualClock) -> None:
    ring = KeyRing(directory, clock)
    rotate_keys(directory, clock.now_ms())
    clock.advance(DAY_MS)
    rotate_keys(directory, clock.now_ms())
    assert ring.reload()
    assert ring.keys.current.fragment == "main-key-3"
    assert ring.keys.previous is not None
    assert ring.keys.previous.fragment == "main-key-2"
    assert [file.generation for file in key_files(directory, RSA_NAME)] == [2, 3]


def test_processes_that_look_at_different_times_change_their_key_together(directory: Path, clock: ManualClock) -> None:
    one, two = (KeyRing(directory, clock, settle_ms=15_000) for _ in range(2))
    rotate_keys(directory, clock.now_ms())
    clock.advance(1_000)
    assert one.reload()
    clock.advance(4_000)
    assert two.reload()
    clock.advance(9_999)
    assert [ring.keys.current.fragment for ring in (one, two)] == ["main-key", "main-key"]
    clock.advance(1)
    assert [ring.keys.current.fragment for ring in (one, two)] == ["main-key-2", "main-key-2"]
    late = KeyRing(directory, clock, settle_ms=15_000)
    assert late.keys.current.fragment == "main-key-2"


def test_a_revoked_key_is_gone_at_once(directory: Path, clock: ManualClock) -> None:
    ring = KeyRing(directory, clock)
    rotate_keys(directory, clock.now_ms(), revoke=True)
    assert ring.reload()
    assert (ring.keys.current.fragment, ring.keys.previous) == ("main-key-2", None)
    assert [file.path.name for file in key_files(directory, RSA_NAME)] == ["instance-2.pem"]


def test_there_must_be_something_to_rotate(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(FediviewsError, match="no key yet"):
        rotate_keys(tmp_path, clock.now_ms())


def test_a_bad_new_key_leaves_the_old_one_in_use(directory: Path, clock: ManualClock) -> None:
    ring = KeyRing(directory, clock)
    first = ring.keys.current
    (directory / "instance-2.pem").write_text("SECRET garbage")
    (directory / "instance-2.pem").chmod(0o600)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"instance-2\.pem is not"):
            ring.reload()
        assert ring.keys.current is first
    (directory / "instance-2.pem").unlink()
    assert not ring.reload()
    for name in ("instance.pem", "instance-2.pem"):
        (directory / name).unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="is gone"):
        ring.reload()


def test_other_files_are_no_keys_of_ours(directory: Path, clock: ManualClock) -> None:
    for name in ("instance-0.pem", "instance-02.pem", "instance-x.pem", "instance-2.pem.bak", "instance2.pem"):
        (directory / name).write_text("x")
    assert KeyRing(directory, clock).keys.current.fragment == "main-key"


def test_ed25519_on_wish(directory: Path, clock: ManualClock) -> None:
    ring = KeyRing(directory, clock, with_ed25519=True)
    (key,) = ring.keys.ed25519
    assert isinstance(key.private_key, Ed25519PrivateKey)
    assert key.fragment == "ed25519-key"
    assert key.published.startswith("z6Mk")
    rotate_keys(directory, clock.now_ms())
    assert ring.reload()
    assert [key.fragment for key in ring.keys.ed25519] == ["ed25519-key-2", "ed25519-key"]
    # Switched off, it stays where it is.
    assert KeyRing(directory, clock).keys.ed25519 == ()
    assert len(key_files(directory, ED25519_NAME)) == 2


def test_keys_do_not_print_themselves(directory: Path, clock: ManualClock) -> None:
    assert "private" not in repr(KeyRing(directory, clock, with_ed25519=True).keys).lower()


def test_an_rsa_key_is_no_ed25519_key(directory: Path, clock: ManualClock) -> None:
    KeyPair.of(rsa_key()).save(directory / "instance-ed25519.pem")
    with pytest.raises(ConfigError, match="not an Ed25519 key"):
        KeyRing(directory, clock, with_ed25519=True)


# Multikeys


def test_a_published_multikey() -> None:
    key = decode_multikey(GOOD)
    assert not isinstance(key, Refused)
    assert encode_multikey(key) == GOOD


def test_any_key_survives() -> None:
    for _ in range(20):
        key = Ed25519PrivateKey.generate().public_key()
        assert decode_multikey(encode_multikey(key)) == key


@pytest.mark.parametrize(
    "text",
    [None, 1, "", "z", GOOD[1:], "u" + GOOD[1:], GOOD + "1", "z1" + GOOD[1:], GOOD[:-1], GOOD[:-1] + "0", "z" * 200,
     "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc", "zé"],
)  # fmt: skip
def test_what_is_no_ed25519_key(text: object) -> None:
    """The last but one is an X25519 key."""
    verdict = decode_multikey(text)
    assert isinstance(verdict, Refused)
    assert verdict.reason == "bad_key"


@given(st.one_of(st.text(max_size=120), st.text("123456789ABCDEFGHJKz", max_size=120).map("z6Mk".__add__)))
def test_no_text_is_too_much(text: str) -> None:
    decode_multikey(text)
