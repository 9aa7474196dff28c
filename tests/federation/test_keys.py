from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from handmade import ed25519_key, rsa_key
from hypothesis import given
from hypothesis import strategies as st

from federation.keys import KeyPair, load_or_create, load_public_key
from foundation.errors import ConfigError, Refused

PAIR = KeyPair.of(rsa_key())


def spki(key: object) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[attr-defined, no-any-return]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- our own


def test_a_pair_is_made_once_and_then_found(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "keys"
    made = load_or_create(directory, "peertube")
    path = directory / "peertube.pem"
    assert mode(path) == 0o600
    assert mode(directory) == 0o700
    assert made.private_key.key_size == 2048
    assert made.public_pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert load_or_create(directory, "peertube").public_pem == made.public_pem
    assert [file.name for file in directory.iterdir()] == ["peertube.pem"]


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        PAIR.save(tmp_path / "a.pem")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a.pem") == 0o600


def test_a_key_is_replaced_only_by_save(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    assert PAIR.save_new(path)
    other = KeyPair.of(rsa_key(number=1))
    assert not other.save_new(path)
    assert KeyPair.load(path).public_pem == PAIR.public_pem
    other.save(path)
    assert KeyPair.load(path).public_pem == other.public_pem
    assert [file.name for file in tmp_path.iterdir()] == ["a.pem"]


def test_starting_twice_at_once_gives_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        pems = set(pool.map(lambda _: load_or_create(tmp_path, "a").public_pem, range(4)))
    assert len(pems) == 1


@pytest.mark.parametrize("bits", [0o604, 0o644, 0o666, 0o602])
def test_a_private_key_open_to_everybody_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "a.pem"
    PAIR.save(path)
    path.chmod(bits)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_or_create(tmp_path, "a")


def test_a_group_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pem"
    PAIR.save(path)
    path.chmod(0o640)  # how orchestrators mount secrets
    assert KeyPair.load(path).public_pem == PAIR.public_pem


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"SECRET garbage",
        spki(rsa_key().public_key()).encode(),
        rsa_key(1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ed25519_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ],
    ids=["empty", "garbage", "public", "short", "ed25519"],
)
def test_a_file_that_is_no_key_of_ours(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as error:
        load_or_create(tmp_path, "a")
    assert error.value.path == "storage.directory"
    assert "SECRET" not in str(error.value)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot"):
        load_or_create(tmp_path / "file", "a")
    with pytest.raises(ConfigError, match="cannot read"):
        KeyPair.load(tmp_path / "absent.pem")


def test_a_pair_does_not_print_its_key() -> None:
    assert "private" not in repr(PAIR).lower()


# --- those of others


@pytest.mark.parametrize(
    "pem",
    [
        PAIR.public_pem,
        f"\n {PAIR.public_pem.strip()}  \n",
        PAIR.public_pem.replace("\n", "\r\n"),
        spki(ed25519_key().public_key()),
        spki(rsa_key(2048, exponent=3).public_key()),
    ],
    ids=["spki", "spaces", "crlf", "ed25519", "exponent 3"],
)
def test_public_keys_that_are_taken(pem: str) -> None:
    assert not isinstance(load_public_key(pem), Refused)


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (spki(rsa_key(1024).public_key()), "weak_key"),
        ("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "bad_key"),
        ("-----BEGIN PUBLIC KEY-----\n123", "bad_key"),
        (
            rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode(),
            "bad_key",
        ),
        (spki(ec.generate_private_key(ec.SECP256R1()).public_key()), "bad_key"),
        (
            rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode(),
            "private_key",
        ),
        (
            ed25519.Ed25519PrivateKey.generate()
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            "private_key",
        ),
        (PAIR.public_pem + "x" * 200_000, "bad_key"),
        ("", "bad_key"),
        ("é", "bad_key"),
        (None, "bad_key"),
        (7, "bad_key"),
        ([PAIR.public_pem], "bad_key"),
    ],
    ids=[
        "86 RSA-1024",
        "87 cut DER",
        "87 cut PEM",
        "pkcs1",
        "elliptic curve",
        "88 private",
        "88 private ed25519",
        "89 200 kB",
        "empty",
        "not ascii",
        "none",
        "number",
        "list",
    ],
)
def test_public_keys_that_are_not(pem: object, reason: str) -> None:
    refusal = load_public_key(pem)
    assert isinstance(refusal, Refused)
    assert (refusal.reason, refusal.status) == (reason, 401)
    assert not isinstance(pem, str) or not any(line and line in refusal.detail for line in pem.splitlines())


def test_87_exponent_one_is_refused() -> None:
    modulus = rsa_key().public_key().public_numbers().n.to_bytes(257)
    for exponent in (1, 4):
        inner = b"\x02\x82\x01\x01" + modulus + b"\x02\x01" + bytes([exponent])
        rsa = b"\x30\x82" + len(inner).to_bytes(2) + inner
        bits = b"\x03\x82" + (len(rsa) + 1).to_bytes(2) + b"\0" + rsa
        name = bytes.fromhex("300d06092a864886f70d0101010500")
        der = b"\x30\x82" + (len(name) + len(bits)).to_bytes(2) + name + bits
        import base64

        pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
        refusal = load_public_key(pem)
        assert isinstance(refusal, Refused)
        assert refusal.reason in ("weak_key", "bad_key")


@given(st.one_of(st.text(max_size=100), st.binary(max_size=100).map(lambda raw: raw.decode("latin-1"))))
def test_no_text_is_too_much(text: str) -> None:
    assert isinstance(load_public_key(text), Refused)
    wrapped = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----"
    assert isinstance(load_public_key(wrapped), Refused)
