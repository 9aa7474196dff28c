"""Every number of the list of bad inputs is somewhere: the tables of the README here are held to what there is."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LIST = frozenset(range(1, 121))

ROW = re.compile(r"""["'](\d{3})-|def test_row_(\d{3})_""")


def table(first: str, second: str) -> list[list[str]]:
    """The cells below the header ``| first | second …``."""
    lines = iter((HERE / "README.md").read_text().splitlines())
    next(line for line in lines if line.startswith(f"| {first} | {second}"))
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def numbers(cell: str) -> set[int]:
    """The numbers that a cell begins with: ``1-44 header``, ``106-109, 111 players``, ``73 a name``."""
    found: set[int] = set()
    for low, high in re.findall(r"(?:^|, )(\d{1,3})(?:-(\d{1,3}))?(?=[, ])", cell):
        found |= set(range(int(low), int(high or low) + 1))
    return found


def rows_of(path: Path) -> set[int]:
    """The numbers of the rows that a module tests."""
    return {int(one or other) for one, other in ROW.findall(path.read_text())} - {0}


def here() -> dict[str, set[int]]:
    return {path.name: rows_of(path) for path in sorted(HERE.glob("test_rows_*.py"))}


def elsewhere() -> dict[int, str]:
    return {number: cells[1] for cells in table("row", "where") for number in numbers(cells[0])}


def waiting() -> set[int]:
    return {number for cells in table("row", "waits for") for number in numbers(cells[0])}


def test_every_number_is_accounted_for() -> None:
    runs = set().union(*here().values())
    assert runs | elsewhere().keys() | waiting() == LIST
    assert not elsewhere().keys() & waiting()


def test_what_waits_does_not_run_yet_but_in_part() -> None:
    """A row that waits says who brings the rest; once that is there, the row has to leave the table."""
    for cells in table("row", "waits for"):
        assert len(cells) == 3
        assert cells[2], f"nobody owes row {cells[0]}"


def test_the_rows_are_in_the_files_that_the_table_names() -> None:
    written = here()
    for cells in table("rows", "file"):
        (name,) = re.findall(r"`(test_rows_\w+\.py)`", cells[1])
        missing = numbers(cells[0]) - written[name] - elsewhere().keys()
        # A twin may be left out where it makes no sense.
        assert not missing or "as far as" in cells[0], f"{name} has no test for {sorted(missing)}"
    named = {name for cells in table("rows", "file") for name in re.findall(r"`(test_rows_\w+\.py)`", cells[1])}
    assert named == set(written)


def test_the_rows_that_stand_elsewhere_are_there() -> None:
    for number, where in elsewhere().items():
        paths = re.findall(r"`(tests/[\w/]+\.py)`", where)
        names = re.findall(r"`(test_\w+)`", where)
        assert paths, f"row {number} names no file"
        assert names, f"row {number} names no test"
        text = "\n".join((ROOT / path).read_text() for path in paths)
        for name in names:
            assert re.search(rf"def {name}\(", text), f"row {number}: there is no {name}"
