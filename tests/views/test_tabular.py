from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from views.routes.tabular import csv_text


def test_a_header_and_rows_as_rfc_4180_wants_them() -> None:
    text = csv_text(("a", "b"), [("x,y", 1), ('say "hi"', None), ("two\r\nlines", 0.5)])
    assert text == 'a,b\r\n"x,y",1\r\n"say ""hi""",\r\n"two\r\nlines",0.5\r\n'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "  =", "＝"])
def test_a_spreadsheet_runs_nothing(start: str) -> None:
    text = csv_text(("name",), [(start + "cmd()",)])
    [_, [cell]] = list(csv.reader(io.StringIO(text, newline="")))
    assert cell == "'" + start + "cmd()"


def test_numbers_are_no_formulas() -> None:
    assert csv_text(("value",), [(-5,)]) == "value\r\n-5\r\n"


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=2, max_size=2)))
def test_every_text_comes_back(rows: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(("a", "b"), rows), newline="")))
    assert [[cell.removeprefix("'") for cell in row] for row in read[1:]] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
