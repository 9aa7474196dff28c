"""Signing what we send: draft-cavage, RSA with SHA-256, the one form that every server of the fediverse accepts.

``httpsig`` composes the text and the header; the key is a `cryptography` key, several times faster than httpsig's own.
httpsig never verifies anything: it lets the sender choose the algorithm, and so takes a public key for a shared secret.
"""

from __future__ import annotations

import base64
import threading
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from federation.signatures.digest import sha256_digest
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.httpdate import format_http_date
from foundation.urls import parse_url

Sign = Callable[[str, str, bytes], Mapping[str, str]]
"""``(method, url, body)`` to the headers that sign such a request now; what ``foundation.http`` asks for."""

ALGORITHM = "rsa-sha256"
_SIGNED_WITH_BODY = ("(request-target)", "host", "date", "digest")
_SIGNED_WITHOUT = ("(request-target)", "host", "date")
_PADDING = PKCS1v15()
_HASH = SHA256()
_import_lock = threading.Lock()


class Signer:
    """Signs requests with one key. ``key_id`` is the actor's URL with ``#main-key``; usable from several threads."""

    def __init__(self, key_id: str, private_key: RSAPrivateKey) -> None:
        self.key_id = key_id
        self._key = private_key
        httpsig = _httpsig()
        self._message = httpsig.sign.generate_message
        # httpsig fills the signature into its template with the % operator.
        escaped = key_id.replace("%", "%%")
        self._templates: dict[tuple[str, ...], str] = {
            names: httpsig.sign.build_signature_template(escaped, ALGORITHM, names, "signature")
            for names in (_SIGNED_WITH_BODY, _SIGNED_WITHOUT)
        }

    def sign_headers(self, method: str, url: str, body: bytes, now_ms: int) -> dict[str, str]:
        """``Host``, ``Date``, ``Signature``, and ``Digest`` when there is a body (a POST always has one).

        The whole request target is signed, query included, also on GET: PeerTube 6.3 leaves the query out, but takes
        ours, and Mastodon insists on it. ValueError for a URL that is none.
        """
        target = parse_url(url)
        if isinstance(target, Refused):
            raise ValueError(f"cannot sign a request to this URL: {target.detail}")
        headers = {"Host": target.authority, "Date": format_http_date(now_ms)}
        names: tuple[str, ...] = _SIGNED_WITHOUT
        if body or method.upper() not in ("GET", "HEAD"):
            headers["Digest"] = sha256_digest(body)
            names = _SIGNED_WITH_BODY
        text: bytes = self._message(names, headers, method=method, path=target.target)
        signature = base64.b64encode(self._key.sign(text, _PADDING, _HASH)).decode("ascii")
        headers["Signature"] = self._templates[names] % signature
        return headers

    def at(self, clock: Clock) -> Sign:
        """This signer with its time taken from a clock, in the form an HTTP client asks for."""

        def sign(method: str, url: str, body: bytes) -> dict[str, str]:
            return self.sign_headers(method, url, body, clock.now_ms())

        return sign


def _httpsig() -> ModuleType:
    """httpsig, imported when the first signer is made: it takes a fifth of a second, and says one thing we know."""
    with _import_lock, warnings.catch_warnings():
        for category in (UserWarning, DeprecationWarning):
            warnings.filterwarnings("ignore", "pkg_resources is deprecated", category)
        warnings.filterwarnings("ignore", "Deprecated call to `pkg_resources", DeprecationWarning)
        import httpsig.sign

    module: ModuleType = httpsig
    return module
