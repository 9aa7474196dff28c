"""Why a signature, or the key behind it, is not believed: a closed set of words for answers, metrics and quarantine."""

from __future__ import annotations

import enum

from foundation.errors import Refused

UNAUTHORIZED = 401


class SignatureReason(enum.StrEnum):
    """The ``reason`` of every refusal made by :mod:`federation.signatures` and :mod:`federation.keys`."""

    NO_SIGNATURE = "no_signature"
    """Neither a ``Signature`` header nor ``Authorization: Signature``."""
    BAD_SIGNATURE_HEADER = "bad_signature_header"
    """The header cannot be read: syntax, a parameter missing or given twice, base64, two headers."""
    MISSING_COMPONENT = "missing_component"
    """Something that has to be signed is not, or a signed header is not in the request."""
    NO_DATE = "no_date"
    """Neither ``date`` nor ``(created)`` is signed."""
    BAD_DATE = "bad_date"
    """``date`` is signed and is not an HTTP date."""
    STALE = "stale"
    """Signed too long ago, in the future, or past its own ``expires``."""
    NO_DIGEST = "no_digest"
    """A body without a ``Digest`` header that is signed."""
    BAD_DIGEST = "bad_digest"
    """The ``Digest`` header does not describe the body, or only by a hash that proves nothing."""
    HOST_MISMATCH = "host_mismatch"
    """Signed for another host than ours."""
    ALGORITHM = "algorithm"
    """The named algorithm is not one for this type of key."""
    WRONG_SIGNATURE = "wrong_signature"
    """The key did not make this signature."""
    BAD_KEY_ID = "bad_key_id"
    """The keyId is no URL we would ever fetch: scheme, user info, ``acct:``, length."""
    OWN_KEY = "own_key"
    """The keyId lies on our own host: we would ask ourselves."""
    KEY_UNAVAILABLE = "key_unavailable"
    """The document behind the keyId could not be fetched: 503 where it may be there when it is asked for again."""
    ACTOR_GONE = "actor_gone"
    """The document behind the keyId answers 404 or 410."""
    BAD_ACTOR = "bad_actor"
    """What was fetched is no actor: content type, JSON, a required member, an id that is not its address."""
    KEY_OWNER = "key_owner"
    """Actor and key do not name each other."""
    BAD_KEY = "bad_key"
    """The PEM text is no public key we understand."""
    WEAK_KEY = "weak_key"
    """The RSA key is too short, or its exponent is not sane."""
    PRIVATE_KEY = "private_key"
    """Somebody published a private key; its text is never repeated anywhere."""
    TOO_MANY_FETCHES = "too_many_fetches"
    """This host made us fetch too many keys within a minute (429), or too many fetches are under way (503)."""


def refuse(reason: SignatureReason, detail: str = "") -> Refused:
    """A refusal as signatures make them: always 401, so that senders try their other signature scheme."""
    return Refused(reason, detail, UNAUTHORIZED)
