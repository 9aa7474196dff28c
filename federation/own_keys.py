"""All keys of ours: the one we sign with, the one before it while peers learn the new one, and Ed25519 on wish.

They lie in one directory: ``instance.pem``, after a rotation ``instance-2.pem`` beside it; ``instance-ed25519.pem``
likewise. The greatest number is in use from the moment its file is there, and its file's time is when that began: a
rotation is one new file, in one step, and needs nothing else to be written anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from federation.key_files import CONFIG_KEY, read_private_key, write_new_private_key
from federation.keys import KeyPair
from federation.multikey import encode_multikey
from federation.signatures.message_signer import PrivateKey
from foundation.clock import Clock
from foundation.errors import ConfigError, FediviewsError

RSA_NAME = "instance"
ED25519_NAME = "instance-ed25519"
OVERLAP_MS = 3 * 86_400_000
"""For so long the key before is kept: PeerTube 6.3 looks at an actor again after two days, and not for a signature."""

_FRAGMENTS = {RSA_NAME: "main-key", ED25519_NAME: "ed25519-key"}


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One generation of a key; ``since_ms`` is when it came into use."""

    path: Path
    generation: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key of ours and the fragment of its key id: ``main-key``, after a rotation ``main-key-2``."""

    fragment: str
    private_key: PrivateKey = field(repr=False)
    published: str
    """As documents say it: PEM for RSA, multibase for Ed25519."""

    @property
    def rsa(self) -> RSAPrivateKey:
        """The private key, where only RSA can be used."""
        assert isinstance(self.private_key, RSAPrivateKey), "the draft is signed by RSA keys alone"
        return self.private_key


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """What we sign with and publish. ``previous`` is the RSA key before ``current``, while peers may know only that.

    ``ed25519`` is newest first and empty unless wanted.
    """

    current: OwnKey
    previous: OwnKey | None = None
    ed25519: tuple[OwnKey, ...] = ()
    since_ms: int = 0
    """When ``current`` came into use."""


def key_files(directory: Path, name: str) -> list[KeyFile]:
    """The generations of a key, oldest first."""
    pattern = re.compile(rf"{re.escape(name)}(?:-([1-9][0-9]{{0,5}}))?\.pem")
    found = []
    for path in directory.glob(f"{name}*.pem"):
        match = pattern.fullmatch(path.name)
        if match is not None:
            try:
                since_ms = path.stat().st_mtime_ns // 1_000_000
            except FileNotFoundError:
                continue
            found.append(KeyFile(path, int(match[1] or 1), since_ms))
    return sorted(found, key=lambda file: file.generation)


class KeyRing:
    """Our keys as they stand; :meth:`reload` sees what another process did. ``overlap_ms``: see :data:`OVERLAP_MS`.

    ``settle_ms``: where several processes answer for us, a new key is published and signed with from so long after its
    file came, by all of them at once: else one would sign with what another does not publish yet.

    Loads (and on the first start makes) the keys: ConfigError as in :meth:`federation.keys.KeyPair.load`.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        *,
        with_ed25519: bool = False,
        overlap_ms: int = OVERLAP_MS,
        settle_ms: int = 0,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._names = (RSA_NAME, ED25519_NAME) if with_ed25519 else (RSA_NAME,)
        self._overlap_ms = overlap_ms
        for name in self._names:
            if not key_files(directory, name):
                create_key(directory, name, 1, None)
        self._settle_ms = settle_ms
        self._seen = self._in_use()
        self._keys = self._load()
        self._next: OwnKeys | None = None

    @property
    def keys(self) -> OwnKeys:
        if self._next is not None and self._clock.now_ms() >= self._next.since_ms + self._settle_ms:
            self._keys, self._next = self._next, None
        return self._keys

    def reload(self) -> bool:
        """Whether keys came or went since the last time. ConfigError: the old ones stay in use."""
        seen = self._in_use()
        if seen == self._seen:
            return False
        before, self._seen = self._seen, seen
        try:
            loaded = self._load()
        except ConfigError:
            self._seen = before
            raise
        if loaded.previous is not None and self._clock.now_ms() < loaded.since_ms + self._settle_ms:
            self._next = loaded
        else:
            self._keys, self._next = loaded, None
        return True

    def retire(self) -> list[Path]:
        """Delete the files of keys that nobody needs any more; which those were."""
        kept = {file.path for files in self._in_use() for file in files}
        old = [file.path for name in self._names for file in key_files(self._directory, name)]
        gone = [path for path in old if path not in kept]
        for path in gone:
            path.unlink(missing_ok=True)
        return gone

    def _in_use(self) -> tuple[tuple[KeyFile, ...], ...]:
        """Per name the newest key, and the one before it as long as it is kept."""
        now_ms, found = self._clock.now_ms(), []
        for name in self._names:
            files = key_files(self._directory, name)[-2:]
            over = len(files) == 2 and now_ms - files[-1].since_ms >= self._overlap_ms
            found.append(tuple(files[-1:] if over else files))
        return tuple(found)

    def _load(self) -> OwnKeys:
        rsa_files, *others = self._seen
        newest, *older = [_rsa_key(file) for file in reversed(rsa_files)] or [self._lost()]
        return OwnKeys(
            current=newest,
            previous=older[0] if older else None,
            ed25519=tuple(_ed25519_key(file) for files in others for file in reversed(files)),
            since_ms=rsa_files[-1].since_ms,
        )

    def _lost(self) -> OwnKey:
        raise ConfigError(CONFIG_KEY, f"the key {self._directory / RSA_NAME}.pem is gone")


def create_key(directory: Path, name: str, generation: int, modified_ms: int | None) -> bool:
    """Make and write one generation of a key; False where somebody else just did. ConfigError."""
    path = directory / (f"{name}.pem" if generation == 1 else f"{name}-{generation}.pem")
    key = ed25519.Ed25519PrivateKey.generate() if name == ED25519_NAME else KeyPair.generate().private_key
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return write_new_private_key(path, key, modified_ms=modified_ms)
    except OSError as error:
        raise ConfigError(CONFIG_KEY, f"cannot write the key file {path}: {error.strerror}") from None


def rotate_keys(directory: Path, now_ms: int, *, revoke: bool = False) -> list[KeyFile]:
    """A new generation of every key there is; the new files. ``revoke``: the old ones are deleted at once.

    FediviewsError when there is nothing to rotate, or somebody else just rotated it.
    """
    if not key_files(directory, RSA_NAME):
        raise FediviewsError(f"{directory} holds no key yet: the first start makes it")
    made = []
    for name in (RSA_NAME, ED25519_NAME):
        files = key_files(directory, name)
        if not files:
            continue
        if not create_key(directory, name, files[-1].generation + 1, now_ms):
            raise FediviewsError("somebody else rotates the keys at this moment")
        made.append(key_files(directory, name)[-1])
        for file in files if revoke else files[:-1]:
            file.path.unlink(missing_ok=True)
    return made


def _fragment(name: str, generation: int) -> str:
    return _FRAGMENTS[name] if generation == 1 else f"{_FRAGMENTS[name]}-{generation}"


def _rsa_key(file: KeyFile) -> OwnKey:
    pair = KeyPair.load(file.path)
    return OwnKey(_fragment(RSA_NAME, file.generation), pair.private_key, pair.public_pem)


def _ed25519_key(file: KeyFile) -> OwnKey:
    key = read_private_key(file.path)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ConfigError(CONFIG_KEY, f"{file.path} is not an Ed25519 key")
    return OwnKey(_fragment(ED25519_NAME, file.generation), key, encode_multikey(key.public_key()))
