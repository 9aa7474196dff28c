"""Keys: our own pairs on disk here, and (from :mod:`federation.remote_keys`) everybody else's.

A key file is PKCS#8 PEM that others on the machine cannot read. Writers never leave half a file, and two processes that
start at once end up with the same key.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from federation.public_keys import load_public_key
from federation.remote_keys import KeyCache, KeyPolicy, RemoteKey
from foundation.errors import ConfigError

__all__ = ["DEFAULT_BITS", "KeyCache", "KeyPair", "KeyPolicy", "RemoteKey", "load_or_create", "load_public_key"]

DEFAULT_BITS = 2048
"""What PeerTube, Mastodon and the rest use; a longer key costs every peer more at every View."""
_MINIMUM_BITS = 2048
_EXPONENT = 65537
_CONFIG_KEY = "storage.directory"
_OTHERS = 0o007


@dataclass(frozen=True, slots=True)
class KeyPair:
    """One of our RSA keys. ``public_pem`` is SPKI (``BEGIN PUBLIC KEY``), the only form PeerTube 6.3 reads."""

    private_key: rsa.RSAPrivateKey = field(repr=False)
    public_pem: str

    @classmethod
    def of(cls, private_key: rsa.RSAPrivateKey) -> KeyPair:
        pem = private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(private_key, pem.decode("ascii"))

    @classmethod
    def generate(cls, bits: int = DEFAULT_BITS) -> KeyPair:
        """A new pair; takes a tenth of a second or so."""
        return cls.of(rsa.generate_private_key(_EXPONENT, bits))

    @classmethod
    def load(cls, path: Path) -> KeyPair:
        """The pair in a file. ConfigError when it is missing, readable by everybody, or no RSA key of 2048 bits."""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                pem = file.read(100_000)
        except OSError as error:
            raise ConfigError(_CONFIG_KEY, f"cannot read the key file {path}: {error.strerror}") from None
        if mode & _OTHERS:
            raise ConfigError(
                _CONFIG_KEY, f"the private key {path} is open to every user of this machine; run: chmod 600 {path}"
            )
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # The library's own words may quote the file.
            raise ConfigError(_CONFIG_KEY, f"{path} is not an unencrypted PEM private key") from None
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _MINIMUM_BITS:
            raise ConfigError(_CONFIG_KEY, f"{path} is not an RSA key of at least {_MINIMUM_BITS} bits")
        return cls.of(key)

    def save(self, path: Path) -> None:
        """Write the private key with mode 600, in place of whatever was there, all or nothing."""
        with _temporary(path, self._private_pem()) as temporary:
            temporary.replace(path)

    def save_new(self, path: Path) -> bool:
        """As :meth:`save`, but False, and nothing written, where a file of this name exists."""
        with _temporary(path, self._private_pem()) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
        return True

    def _private_pem(self) -> bytes:
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def load_or_create(directory: Path, name: str) -> KeyPair:
    """The pair kept as ``<directory>/<name>.pem``; made on first use. ConfigError as in :meth:`KeyPair.load`."""
    path = directory / f"{name}.pem"
    if not path.exists():
        pair = KeyPair.generate()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if pair.save_new(path):
                return pair
        except OSError as error:
            raise ConfigError(_CONFIG_KEY, f"cannot write the key file {path}: {error.strerror}") from None
    return KeyPair.load(path)


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
