"""Keys: one of our pairs here, all of ours in :mod:`federation.own_keys`, everybody else's in
:mod:`federation.remote_keys`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from federation.key_files import CONFIG_KEY, read_private_key, write_new_private_key, write_private_key
from federation.key_policy import KeyPolicy
from federation.public_keys import load_public_key
from federation.remote_key import RemoteKey
from federation.remote_keys import KeyCache
from foundation.errors import ConfigError

__all__ = ["DEFAULT_BITS", "KeyCache", "KeyPair", "KeyPolicy", "RemoteKey", "load_or_create", "load_public_key"]

DEFAULT_BITS = 2048
"""What PeerTube, Mastodon and the rest use; a longer key costs every peer more at every View."""
_MINIMUM_BITS = 2048
_EXPONENT = 65537


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
        key = read_private_key(path)
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _MINIMUM_BITS:
            raise ConfigError(CONFIG_KEY, f"{path} is not an RSA key of at least {_MINIMUM_BITS} bits")
        return cls.of(key)

    def save(self, path: Path) -> None:
        """Write the private key with mode 600, in place of whatever was there, all or nothing."""
        write_private_key(path, self.private_key)

    def save_new(self, path: Path) -> bool:
        """As :meth:`save`, but False, and nothing written, where a file of this name exists."""
        return write_new_private_key(path, self.private_key)


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
            raise ConfigError(CONFIG_KEY, f"cannot write the key file {path}: {error.strerror}") from None
    return KeyPair.load(path)
