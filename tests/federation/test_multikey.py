from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.keys import load_public_key
from federation.multikey import decode_multikey, encode_multikey
from foundation.errors import Refused

P = 2**255 - 19
Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL = [y + high for y in (0, 1, P - 1, P, P + 1, Y8, P - Y8) for high in (0, 2**255)]
"""The points whose order divides 8, with either sign, and the encodings above p that some libraries take."""


@pytest.mark.parametrize("number", SMALL)
def test_a_point_of_small_order_is_nobodys_key(number: int) -> None:
    key = Ed25519PublicKey.from_public_bytes(number.to_bytes(32, "little"))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for verdict in (decode_multikey(encode_multikey(key)), load_public_key(pem)):
        assert isinstance(verdict, Refused)
        assert verdict.reason == "weak_key"


def test_a_real_key_survives_both_ways() -> None:
    for _ in range(20):
        key = Ed25519PrivateKey.generate().public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        assert decode_multikey(encode_multikey(key)) == load_public_key(pem) == key
