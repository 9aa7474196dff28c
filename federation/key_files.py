"""Private keys on disk: PKCS#8 PEM that others on the machine cannot read, written all or nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from foundation.errors import ConfigError

CONFIG_KEY = "storage.directory"
_OTHERS = 0o007
_MAX_BYTES = 100_000


def read_private_key(path: Path) -> RSAPrivateKey | Ed25519PrivateKey:
    """ConfigError when the file is missing, open to everybody, or no unencrypted RSA or Ed25519 key."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(_MAX_BYTES)
    except OSError as error:
        raise ConfigError(CONFIG_KEY, f"cannot read the key file {path}: {error.strerror}") from None
    if mode & _OTHERS:
        raise ConfigError(
            CONFIG_KEY, f"the private key {path} is open to every user of this machine; run: chmod 600 {path}"
        )
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own words may quote the file.
        raise ConfigError(CONFIG_KEY, f"{path} is not an unencrypted PEM private key") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ConfigError(CONFIG_KEY, f"{path} is neither an RSA nor an Ed25519 key")
    return key


def write_private_key(path: Path, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
    """Write with mode 600, in place of whatever was there."""
    with _temporary(path, _pem(key)) as temporary:
        temporary.replace(path)


def write_new_private_key(
    path: Path, key: RSAPrivateKey | Ed25519PrivateKey, *, modified_ms: int | None = None
) -> bool:
    """As :func:`write_private_key`, but False, and nothing written, where a file of this name exists.

    ``modified_ms`` is the file's time, Unix milliseconds, when it should not be the system's.
    """
    with _temporary(path, _pem(key)) as temporary:
        if modified_ms is not None:
            os.utime(temporary, ns=(modified_ms * 1_000_000, modified_ms * 1_000_000))
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    return True


def _pem(key: RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@contextlib.contextmanager
def _temporary(path: Path, content: bytes) -> Iterator[Path]:
    """A synced file of mode 600 beside ``path``, gone afterwards unless it was renamed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
