from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from federation.signatures.cavage import SignatureParams, find_signature, parse_signature, signing_string
from federation.signatures.digest import check_digest
from federation.signatures.verifier import Inspected, Profile, SignedRequest, inspect
from foundation.errors import Refused

SHARDS = st.sampled_from(
    ['keyId="https://a.example/b"', 'signature="AAAA"', 'headers="date"', "created=1", "expires=2", ",", '"', "=", " ",
     "\\", "algorithm=", "x=y", "\n", "é", "\ud800"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=300), st.lists(SHARDS, max_size=30).map("".join))


def params(text: str) -> SignatureParams:
    parsed = parse_signature(text)
    assert isinstance(parsed, SignatureParams)
    return parsed


def test_every_parameter_is_read() -> None:
    parsed = params(
        'keyId="https://a.example/b?c=d,e#main-key" , algorithm="RSA-SHA256",created=1,expires=22,'
        'unknown=x,headers="(request-target) Host (created)",signature="AAE="'
    )
    assert parsed == SignatureParams(
        key_id="https://a.example/b?c=d,e#main-key",
        signature=b"\0\1",
        headers=("(request-target)", "host", "(created)"),
        algorithm="rsa-sha256",
        created=1,
        expires=22,
    )


def test_headers_default_to_created() -> None:
    assert params('keyId="a",signature="AAAA"').signed_names == ("(created)",)


def test_a_trailing_comma_is_refused() -> None:
    assert isinstance(parse_signature('keyId="a",signature="AAAA",'), Refused)
    assert isinstance(parse_signature('keyId="a" signature="AAAA"'), Refused)


def test_lists_are_bounded() -> None:
    many = ",".join(f'p{number}="x"' for number in range(20))
    names = " ".join(f"x-{number}" for number in range(40))
    assert isinstance(parse_signature(f'keyId="a",signature="AAAA",{many}'), Refused)
    assert isinstance(parse_signature(f'keyId="a",signature="AAAA",headers="{names}"'), Refused)
    assert isinstance(parse_signature(f'keyId="a",signature="{"A" * 4000}"'), Refused)


def test_the_text_under_a_signature() -> None:
    parsed = params('keyId="a",created=5,headers="(request-target) (created) host",signature="AAAA"')
    assert signing_string(parsed, "POST", "/inbox?x", {"host": "a.example"}) == (
        b"(request-target): post /inbox?x\n(created): 5\nhost: a.example"
    )


def test_bytes_that_are_no_utf8_are_signed_as_they_came() -> None:
    parsed = params('keyId="a",headers="x",signature="AAAA"')
    assert signing_string(parsed, "GET", "/", {"x": b"\xff".decode("utf-8", "surrogateescape")}) == b"x: \xff"
    assert isinstance(signing_string(parsed, "GET", "/", {"x": "\ud800"}), Refused)


@given(
    st.lists(
        st.sampled_from(
            ['keyId="a"', 'signature="AAAA"', 'signature="BBBB"', 'xsignature="CCCC"', 'signature=""', 'signature="',
             'headers="host date"', "created=1", ",", ",", ",", '"', " ", 'Signature="AAAA"', "x y"]
        ),
        max_size=12,
    ).map("".join)
)  # fmt: skip
@example('keyId="a",signature="",xsignature="CCCC"')
@example('keyId="a,signature="AAAA"')
@example('keyId="a",signature="AAAA",signature="BBBB"')
def test_what_is_remembered_of_a_header_changes_nothing_in_how_it_is_read(text: str) -> None:
    remembered, unremembered = parse_signature(text), parse_signature(text + ",z=1")
    if isinstance(remembered, Refused):
        assert isinstance(unremembered, Refused)
    else:
        assert remembered == unremembered


@given(TEXTS)
@example('a="')
def test_no_text_is_too_much_for_the_parser(text: str) -> None:
    assert isinstance(parse_signature(text), SignatureParams | Refused)
    assert isinstance(find_signature([("Signature", text)]), str | Refused)


@given(TEXTS, TEXTS, TEXTS, TEXTS, st.binary(max_size=20), st.sampled_from(["GET", "POST", "\ud800"]))
def test_no_request_is_too_much_for_the_verifier(
    signature: str, host: str, date: str, digest: str, body: bytes, method: str
) -> None:
    headers = [("Host", host), ("Date", date), ("Digest", digest), ("Signature", signature), (host, date)]
    verdict = inspect(SignedRequest(method, host, headers, body), Profile(frozenset({"a.example"})), 0)
    assert isinstance(verdict, Inspected | Refused)
    assert check_digest(digest, body) is None or isinstance(check_digest(digest, body), Refused)
