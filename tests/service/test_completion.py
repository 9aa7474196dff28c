"""Completion is written out of the parser: every command and option is in it, and bash completes with it."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import pytest

from service.cli import _parser, main
from service.commands.completion import SHELLS, script


def commands() -> dict[str, argparse.ArgumentParser]:
    [subparsers] = [each for each in _parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(subparsers.choices)


@pytest.mark.parametrize("shell", SHELLS)
def test_everything_is_in_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    for name, parser in commands().items():
        assert name in said
        for action in parser._actions:
            for option in action.option_strings:
                assert option.lstrip("-") in said, (name, option)


def test_a_command_that_is_added_is_completed() -> None:
    parser = argparse.ArgumentParser(prog="tool")
    added = parser.add_subparsers().add_parser("it's-new", help="nothing [that] was: there")
    added.add_argument("--file", type=Path, help="50 %% of it")
    added.add_argument("--colour", choices=("red", "green"))
    added.add_argument("what", choices=("this", "that"))
    for shell in SHELLS:
        said = script(parser, shell)
        assert all(word in said for word in ("new", "file", "red green", "this that")), said
        if shell != "bash":
            assert "50 % of it" in said


def completed(words: list[str]) -> set[str]:
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    asked = (
        f"source /dev/stdin; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _fediviews;"
        ' [ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\\n" "${COMPREPLY[@]}"'
    )
    text = script(_parser(), "bash")
    ran = subprocess.run(["bash", "-uc", asked], input=text, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return set(ran.stdout.split())


def test_bash_offers_what_fits() -> None:
    assert completed(["fediviews", ""]) >= set(commands())
    assert completed(["fediviews", "quar"]) == {"quarantine"}
    assert completed(["fediviews", "quarantine", "re"]) == {"replay"}
    assert completed(["fediviews", "completion", ""]) >= set(SHELLS)
    assert completed(["fediviews", "sigtool", "--scheme", ""]) == {"cavage", "rfc9421"}
    assert completed(["fediviews", "doctor", "--j"]) == {"--json"}
    assert completed(["fediviews", "nonsense", ""]) == set()


def test_bash_offers_files_where_a_file_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    assert completed(["fediviews", "serve", "--config", f"{tmp_path}/m"]) == {f"{tmp_path}/mine.yaml"}
