"""What the command line says of calls that it cannot follow, and how it fits what it shows into a terminal."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import main
from service.commands.peer_table import table


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["folow", "x"], "no command 'folow' (did you mean follow"),
        (["xyzzy"], "no command 'xyzzy'; `fediviews --help`"),
        (["\x1b[31m"], "no command '\\x1b[31m'"),
        (["peers", "--jsn"], "no option '--jsn' (did you mean --json?)"),
        (["backfill", "--formt=csv"], "did you mean --format"),
        (["videos", "--count", "1000"], "no whole number from 1 to 100"),
        (["videos", "--count", "\u0663"], "no whole number from 1 to 100"),
        (["follow"], "required: host"),
        (["demo", "--config", "x.yaml"], "--config"),
        (["sim", "--config", "x.yaml"], "--config"),
        (["serve", "--workers", "0", "--config", "config.yaml"], "between 1 and 256"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_call_is_told_and_ends_with_two(said: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(said)
    except SystemExit as ended:
        status = int(ended.code or 0)
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert told in shown.err


@pytest.mark.parametrize("said", [["completion", "bash"], ["check-config"]])
def test_output_that_is_full_is_one_sentence(said: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run([sys.executable, "-m", "service", *said], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert ran.returncode == 1
    assert ran.stderr == b"the output cannot be written: No space left on device\n"


def test_ctrl_c_while_it_is_imported_ends_without_a_traceback() -> None:
    program = (
        "import builtins, os, signal, sys\n"
        "import service.__main__ as entry\n"
        "real = builtins.__import__\n"
        "def imported(name, *rest):\n"
        "    if name == 'service.cli': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = imported\n"
        "sys.exit(entry.main())\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert ran.returncode == -signal.SIGINT
    assert ran.stderr == b""


@pytest.mark.parametrize("said", [["--help"], ["peers", "--help"], ["--version"]])
def test_what_was_asked_for_goes_to_standard_output(said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(said)
    shown = capsys.readouterr()
    assert (ended.value.code, shown.err) == (0, "")
    assert shown.out


def test_a_beginning_that_only_one_option_has_is_no_slip(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peers", "--js", "--conf", "nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "nowhere.yaml: cannot be read: No such file or directory\n"


TITLES = ("HOST", "SOFTWARE", "TROUBLE")
ROWS = [("one.example", "-", "timeout"), ("two.example", "\x1b[31mevil\r\n", "-")]


def test_a_table_is_as_wide_as_it_is_in_a_pipe() -> None:
    lines = table(TITLES, ROWS)
    assert [line.split()[0] for line in lines] == ["HOST", "one.example", "two.example"]
    assert "\x1b" not in "".join(lines)
    assert len(lines) == 3
    assert table(TITLES, ROWS, 80) == lines


def test_what_does_not_fit_becomes_paragraphs() -> None:
    lines = table(TITLES, ROWS, 30)
    assert lines[:3] == ["one.example", "  TROUBLE   timeout", ""]
    assert lines[3] == "two.example"
    assert max(map(len, lines)) <= 30
    assert table(TITLES, [], 5) == ["HOST  SOFTWARE  TROUBLE"]
