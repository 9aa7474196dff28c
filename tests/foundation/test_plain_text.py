from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.plain_text import on_one_line, with_lines


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("A film", "A film"),
        ("🎥 \u202egnp.exe film", "🎥 gnp.exe film"),
        ("\u2067one\u2069 \u202btwo\u202c", "one two"),
        ("a\x1b[31mb\x07\x85c\nd", "a [31mb  c d"),
        ("a\u2028b\u2029c", "a b c"),
        # What scripts and emoji are written with stays.
        ("👩\u200d💻 می\u200cخواهم \u200fא", "👩\u200d💻 می\u200cخواهم \u200fא"),
    ],
)
def test_what_turns_text_round_or_moves_a_cursor_is_gone(said: str, shown: str) -> None:
    assert on_one_line(said) == shown


def test_a_text_of_several_lines_keeps_them() -> None:
    assert with_lines("one\r\n\ttwo\x1b\u202e\nthree") == "one\r\n\ttwo \nthree"


@given(st.text())
def test_once_is_enough_and_nothing_grows(text: str) -> None:
    for cleaned in (on_one_line, with_lines):
        assert cleaned(cleaned(text)) == cleaned(text)
        assert len(cleaned(text)) <= len(text)
