"""One spelling for one page, whatever is said (row 108 of bad inputs)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from views.pages.paths import MAX_KEY_BYTES, MAX_PATH_BYTES, OTHER, Path, normalised, referrer_host


def text(said: str) -> str:
    path = normalised(said)
    assert path is not None
    return path.text


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("a", "/a"),
        ("/a?b=c#d", "/a"),
        ("/a#b?c", "/a"),
        ("?q", "/"),
        ("https://blog.example/post?x", "/post"),
        ("https://blog.example", "/"),
        ("/<script>alert(1)</script>", "/%3Cscript%3Ealert(1)%3C/script%3E"),
        ("/%3cscript%3e", "/%3Cscript%3E"),
        ("/a/../../b", "/b"),
        ("../../etc/passwd", "/etc/passwd"),
        ("/%2e%2e/%2E/b", "/b"),
        ("/a/b/..", "/a/"),
        ("//evil.example//x", "/evil.example/x"),
        ("/\\..\\x", "/%5C..%5Cx"),
        ("/a%2fb", "/a%2Fb"),
        ("/%", "/%25"),
        ("/%zz%4", "/%25zz%254"),
        ("/%00", "/%00"),
        ("/%ff%fe", "/%FF%FE"),
        ("/%c3%bcber", "/über"),
        ("/u\u0308ber", "/über"),
        ("/%E2%80%AEgnp", "/%E2%80%AEgnp"),
        ("/\u202egnp", "/%E2%80%AEgnp"),
        ("/a b\tc\n", "/a%20b%09c"),
        ("/\ud800", "/%ED%A0%80"),
        ("/%41%7e", "/A~"),
        (OTHER, "/*"),
    ],
)
def test_spellings(said: str, path: str) -> None:
    assert text(said) == path


@pytest.mark.parametrize("said", ["", " ", "\n\t"])
def test_nothing_is_no_path(said: str) -> None:
    assert normalised(said) is None


def test_a_long_path_is_cut_and_keeps_a_key_of_its_own() -> None:
    long, longer = text("/" + "a" * 10_000), normalised("/" + "a" * 900)
    assert long == "/" + "a" * (MAX_PATH_BYTES - 1)
    assert longer is not None
    other = normalised("/" + "a" * 901)
    assert other is not None
    assert longer.key != other.key
    assert longer.key.startswith("/aaa")
    assert "#" in longer.key


@given(st.one_of(st.text(max_size=300), st.text("/.%2eE?# é<", max_size=3_000)))
def test_every_text_has_one_harmless_spelling(said: str) -> None:
    path = normalised(said)
    if path is None:
        assert not said.strip()
        return
    assert normalised(path.text) == path
    assert path.text.startswith("/")
    assert len(path.text.encode()) <= MAX_PATH_BYTES
    assert len(path.key.encode()) <= MAX_KEY_BYTES
    assert path.text.isprintable()
    assert not set(path.text) & set("<>\"'?#\\ ") - {"'"}
    assert not {".", ".."} & set(path.text.split("/"))


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("https://Search.Example/find?q=x", "search.example"),
        ("https://blog.example/other", None),
        ("https://www.blog.example/", None),
        ("http://news.example:8080/x", "news.example:8080"),
        ("javascript:alert(1)", None),
        ("android-app://com.x", None),
        ("", None),
        ("https://" + "a" * 3_000, None),
    ],
)
def test_of_a_referrer_the_host_stays(said: str, host: str | None) -> None:
    assert referrer_host(said, "blog.example") == host


def test_a_short_path_is_its_own_key() -> None:
    assert normalised("/a") == Path("/a", "/a")
