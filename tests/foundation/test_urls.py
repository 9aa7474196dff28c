from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import Refused
from foundation.urls import (
    WebUrl,
    authority,
    canonical_url,
    is_web_url,
    parse_host,
    parse_url,
    same_origin_authority,
)

GOOD = [
    ("https://peertube.example/videos/watch/1", "peertube.example"),
    ("https://peertube.example", "peertube.example"),
    ("https://peertube.example?x", "peertube.example"),
    ("https://peertube.example#x", "peertube.example"),
    ("HTTPS://PeerTube.Example:443/", "peertube.example"),
    ("https://peertube.example:0443/", "peertube.example"),
    ("http://peertube.example:80/", "peertube.example"),
    ("http://peertube.example:443/", "peertube.example:443"),
    ("https://peertube.example:80/", "peertube.example:80"),
    ("https://peertube.example:8443/", "peertube.example:8443"),
    ("https://peertube.example./", "peertube.example"),
    ("https://peertube.example.:9000/", "peertube.example:9000"),
    ("https://www.peertube.example/", "www.peertube.example"),
    ("https://Bücher.example/", "xn--bcher-kva.example"),
    ("https://BÜCHER.example:443/", "xn--bcher-kva.example"),
    ("https://XN--BCHER-KVA.example/", "xn--bcher-kva.example"),
    ("https://faß.example/", "xn--fa-hia.example"),
    ("https://ｐｅｅｒ。example/", "peer.example"),
    ("https://my_peer.example/", "my_peer.example"),
    ("http://localhost:9000/inbox", "localhost:9000"),
    ("http://127.0.0.1:9000/inbox", "127.0.0.1:9000"),
    ("http://127.0.0.1.:9000/inbox", "127.0.0.1:9000"),
    ("https://[2001:DB8:0:0::1]/", "[2001:db8::1]"),
    ("https://[2001:db8::1]:443/", "[2001:db8::1]"),
    ("http://[::1]:9000/x", "[::1]:9000"),
    ("http://[::ffff:127.0.0.1]/", "[::ffff:7f00:1]"),
    ("https://peertube.example/@me:x@y", "peertube.example"),
    ("https://peertube.example/a?u=https://other.example/", "peertube.example"),
]

BAD = [
    *("", "x", "peertube.example", "//peertube.example/", "/path", "https:", "https:/", "https://", "https:///x"),
    *("https:peertube.example", "ftp://peertube.example/", "file:///etc/passwd", "data:text/html,x", "javascript:1"),
    *("https://user@peertube.example/", "https://u:p@peertube.example/", "https://@peertube.example/"),
    *("https://peertube.example@127.0.0.1/", "https://peertube.example\\@evil.example/", "https://a\\b/"),
    *("https://peertube.example/\\evil", " https://peertube.example/", "https://peertube.example/ ", "https://a b/"),
    *(
        "https://peertube.example/\r\nX: y",
        "https://peertube.example/\t",
        "https://peer\ttube.example/",
        "https://a/\x00",
    ),
    *(
        "https://a/\x7f",
        "https://a/\x85",
        "https://a/\xa0",
        "https://a/\u2028",
        "https://a\u200b.example/",
        "https://a/\ud800",
    ),
    *("https://:443/", "https://peertube.example:/", "https://peertube.example:0/", "https://peertube.example:65536/"),
    *("https://peertube.example:-1/", "https://peertube.example:+1/", "https://peertube.example:٣/", "https://a:1:2/"),
    *("https://peertube.example:9999999/", "https://a..b/", "https://.a/", "https://a../", "https://./", "https://-a/"),
    *("https://a-/", "https://%61.example/", "https://a%00/", "https://a!b/", "https://a*b/", "https://" + "a" * 64),
    *("https://" + "a." * 127 + "aa", "https://" + "ü" * 400 + "/", "https://2130706433/", "https://0x7f.1/"),
    *(
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.256/",
        "https://١٢٧.1/",
        "https://[::1/",
        "https://[]/",
    ),
    *("https://::1/", "https://[::1]x/", "https://[::1]:/", "https://[fe80::1%25eth0]/", "https://[127.0.0.1]/"),
    *(
        "https://[v1.x]/",
        "https://peertube.example/" + "x" * 2000,
        "https://peertube.example/" + "\u4e00" * 660,
        "https://\u0300.example/",
        "https://xn--\u00fc.example/",
    ),
]


@pytest.mark.parametrize(("url", "expected"), GOOD)
def test_authority(url: str, expected: str) -> None:
    assert authority(url) == expected
    assert is_web_url(url)


@pytest.mark.parametrize("url", BAD)
def test_no_authority(url: str) -> None:
    assert authority(url) is None
    assert not is_web_url(url)
    refusal = parse_url(url)
    assert isinstance(refusal, Refused)
    assert refusal.reason in {"bad_url", "scheme_refused", "address_refused"}


@pytest.mark.parametrize("value", [None, 1, True, b"https://a/", ["https://a/"], {"id": "https://a/"}])
def test_only_strings_are_urls(value: object) -> None:
    assert not is_web_url(value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://peertube.example/", "scheme_refused"),
        ("file:///etc/passwd", "scheme_refused"),
        ("javascript:alert(1)", "scheme_refused"),
        ("https://2130706433/", "address_refused"),
        ("https://0x7f.1/", "address_refused"),
        ("https://u@peertube.example/", "bad_url"),
        ("peertube.example", "bad_url"),
    ],
)
def test_why_a_url_is_refused(url: str, reason: str) -> None:
    refusal = parse_url(url)
    assert isinstance(refusal, Refused)
    assert refusal.reason == reason


@given(st.text(max_size=40), st.sampled_from(["https://", "http://", ""]))
def test_the_canonical_form_is_a_fixed_point(text: str, scheme: str) -> None:
    host = authority(scheme + text)
    if host is not None:
        again = scheme.rstrip("/") + "//" + host if scheme else text
        assert authority(again) == host
        assert host == host.lower()
        assert host.isascii()
        canonical = canonical_url(scheme + text)
        assert canonical is not None
        assert canonical_url(canonical) == canonical


def test_targets_keep_their_spelling() -> None:
    assert parse_url("HTTPS://Peer.example:443/%7Ea/../b%2fc?d=%20&e=ü#f") == WebUrl(
        "https", "peer.example", "peer.example", 443, "/%7Ea/../b%2fc?d=%20&e=%C3%BC"
    )
    assert canonical_url("http://[::1]:8080?x#y") == "http://[::1]:8080/?x"
    assert canonical_url("https://peer.example") == "https://peer.example/"
    assert canonical_url("nonsense") is None


def test_same_origin_authority() -> None:
    assert same_origin_authority("https://A.example:443/x", "https://a.example./y")
    assert not same_origin_authority("https://a.example/x", "https://a.example:8443/x")
    assert not same_origin_authority("https://a.example/x", "https://www.a.example/x")
    assert not same_origin_authority("nonsense", "nonsense")


@pytest.mark.parametrize(
    ("text", "scheme", "expected"),
    [
        ("PeerTube.example", "https", "peertube.example"),
        ("peertube.example:443", "https", "peertube.example"),
        ("peertube.example:443", "http", "peertube.example:443"),
        ("localhost:9000", "http", "localhost:9000"),
        ("[::1]:9000", "http", "[::1]:9000"),
        ("bücher.example", "https", "xn--bcher-kva.example"),
    ],
)
def test_parse_host(text: str, scheme: str, expected: str) -> None:
    assert parse_host(text, scheme=scheme) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "https://peertube.example", "peertube.example/", "a b", "u@a", "a:99999", "a?b", "a#b", "1.2", "x" * 999],
)
def test_parse_host_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        parse_host(text)
