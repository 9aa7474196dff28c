from __future__ import annotations

import pytest

from views.pages.words import clean_title


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("  A\n title ", "A title"),
        ("\u202egnp.exe\u202c\x1b[31m", "gnp.exe [31m"),
        ("👩\u200d💻 می\u200cخواهم", "👩\u200d💻 می\u200cخواهم"),
        ("half \ud800 and nul \0", "half and nul"),
        ("\u2067\u2069 \x00", None),
        ("x" * 300, "x" * 200),
    ],
)
def test_titles_are_what_can_be_shown(said: str, title: str | None) -> None:
    assert clean_title(said) == title
