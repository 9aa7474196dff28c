from __future__ import annotations

import gc

import pytest

from foundation.errors import ConfigError
from foundation.principal import Role
from foundation.tokens import MAX_TOKEN_CHARS, TokenBook, TokenGrant

GRANTS = [
    TokenGrant("root", Role.ADMIN, "first-secret"),
    TokenGrant("site", Role.HOST, "second-secret"),
    TokenGrant("reader", Role.STATS, "third-secret", frozenset({"films"})),
]


def test_a_token_is_its_principal() -> None:
    book = TokenBook(GRANTS)
    reader = book.authenticate("third-secret")
    assert reader is not None
    assert (reader.name, reader.role, reader.channels) == ("reader", Role.STATS, frozenset({"films"}))
    assert [found.name for grant in GRANTS if (found := book.authenticate(grant.value))] == ["root", "site", "reader"]
    assert len(book) == 3


@pytest.mark.parametrize("bearer", ["", "first-secre", "first-secret ", "FIRST-SECRET", "x" * 10_000, "\udcff", "ü"])
def test_nobody_else_holds_one(bearer: str) -> None:
    assert TokenBook(GRANTS).authenticate(bearer) is None
    assert TokenBook().authenticate(bearer) is None


def test_a_mark_stands_for_a_token_for_as_long_as_that_is_one() -> None:
    book = TokenBook([TokenGrant("chief", Role.ADMIN, "first-token"), TokenGrant("app", Role.HOST, "second-token")])
    mark = book.mark("first-token", b"key")
    assert mark is not None
    assert b"first-token" not in mark
    assert book.mark("third-token", b"key") is None
    assert book.mark("second-token", b"key") != mark
    found = book.marked(mark, b"key")
    assert found is not None
    assert found.name == "chief"
    assert book.marked(mark, b"another key") is None
    assert book.marked(b"", b"key") is None
    book.replace([TokenGrant("chief", Role.ADMIN, "another-token")])
    assert book.marked(mark, b"key") is None


def test_a_new_configuration_replaces_the_old_one_at_once() -> None:
    book = TokenBook(GRANTS)
    book.replace([TokenGrant("new", Role.HOST, "fourth-secret")])
    assert book.authenticate("first-secret") is None
    assert book.authenticate("fourth-secret") is not None


@pytest.mark.parametrize("value", ["", "short", "x" * (MAX_TOKEN_CHARS + 1), "second-secret"])
def test_an_unusable_configuration_changes_nothing(value: str) -> None:
    book = TokenBook(GRANTS)
    with pytest.raises(ConfigError) as error:
        book.replace([GRANTS[1], TokenGrant("bad", Role.HOST, value)])
    assert error.value.path == "tokens[1].value"
    assert value not in error.value.message or not value
    assert book.authenticate("first-secret") is not None


def test_the_secret_is_shown_and_kept_nowhere() -> None:
    assert "first-secret" not in repr(GRANTS[0])
    book = TokenBook([TokenGrant("root", Role.ADMIN, "first" + "-" + "unique")])
    gc.collect()
    held = [each for each in gc.get_referents(*book._entries) if isinstance(each, str)]
    assert not any("unique" in text for text in held)
