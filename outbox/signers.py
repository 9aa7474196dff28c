"""Who signs what we send: one key of the instance, under the key id of the actor that speaks."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from federation.signatures.signer import Signer


class ActorSigners:
    """Signers by actor URL. The instance actor signs nearly everything; Updates and Deletes of a video are the owner's,
    because PeerTube takes them from nobody else."""

    def __init__(self, private_key: RSAPrivateKey) -> None:
        self._key = private_key
        self._signers: dict[str, Signer] = {}

    def __call__(self, actor: str) -> Signer:
        """The signer of one of our actors."""
        signer = self._signers.get(actor)
        if signer is None:
            signer = self._signers[actor] = Signer(f"{actor}#main-key", self._key)
        return signer
