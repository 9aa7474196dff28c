"""What zsh and fish offer after our completion was loaded, typed into the real shells. No shell is a failure, never a
skip."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from service.cli import _parser
from service.commands.completion import script

PATIENCE_S = 30

Complete = Callable[[Path, str, Sequence[str]], str]
"""What a shell shows in a directory for a line after the tabulator, once all of what is to be offered is there."""


def found(shell: str) -> str:
    path = shutil.which(shell)
    assert path, f"no {shell}: install Debian's package {shell}"
    return path


def test_nothing_is_missing() -> None:
    assert found("zsh")
    assert found("fish")


def fish(directory: Path, line: str, _offered: Sequence[str]) -> str:
    loaded = directory / "fediviews.fish"
    loaded.write_text(script(_parser(), "fish"))
    asked = f"source {loaded}; cd {directory}; complete -C '{line}'"
    home = {"HOME": str(directory), "XDG_CONFIG_HOME": str(directory), "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        [found("fish"), "--no-config", "-c", asked], capture_output=True, text=True, check=True, env=home
    )
    assert ran.stderr == ""
    return ran.stdout


class Zsh:
    """An interactive zsh on a terminal of ours."""

    def __init__(self, directory: Path) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            home = {"HOME": str(directory), "PATH": os.environ["PATH"], "TERM": "dumb", "COLUMNS": "200"}
            os.execve(found("zsh"), ["zsh", "-f", "-i"], home)

    def read(self, until: Callable[[str], bool]) -> str:
        said, deadline = "", time.monotonic() + PATIENCE_S
        while not until(said):
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"zsh went on saying {said!r}"
            said += os.read(self.terminal, 65_536).decode(errors="replace")
        return said

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def zsh(directory: Path, line: str, offered: Sequence[str], *, sourced: bool = False) -> str:
    functions = directory / "functions"
    functions.mkdir()
    (functions / "_fediviews").write_text(script(_parser(), "zsh"))
    path = "" if sourced else f"fpath=({functions} $fpath); "
    after = f"source {functions}/_fediviews; " if sourced else ""
    shell = Zsh(directory)
    try:
        shell.type(f"{path}autoload -Uz compinit; compinit -u -D; {after}LISTMAX=1000; PROMPT='> '\n")
        # Split in two: the echo of the line is no answer. A shell that does not wait yet lists nothing.
        shell.type("print -r -- loa''ded\n")
        shell.read(lambda said: "> " in said.partition("loaded")[2])
        shell.type(f"{line}\t")
        return shell.read(lambda said: all(word in said for word in offered))
    finally:
        shell.end()


SHELLS: dict[str, Complete] = {"fish": fish, "zsh": zsh, "zsh, sourced": partial(zsh, sourced=True)}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("fediviews ", ("check-config", "backfill", "run the service until"), ("--recount",)),
        ("fediviews quarantine ", ("drop", "list", "replay"), ("backfill", "a-file")),
        ("fediviews quarantine list --", ("--host", "--reason", "--config", "of this host alone"), ("--recount",)),
        ("fediviews backfill --format ", ("auto", "csv", "log"), ("a-file",)),
        ("fediviews backfill a-fi", ("a-file.log",), ()),
        ("fediviews peers --config a-fi", ("a-file.log",), ()),
        ("fediviews completion ", ("bash", "fish", "zsh"), ("a-file",)),
    ],
)
def test_what_fits_is_offered(
    tmp_path: Path,
    shell: str,
    line: str,
    offered: tuple[str, ...],
    not_offered: tuple[str, ...],
) -> None:
    (tmp_path / "a-file.log").touch()
    said = SHELLS[shell](tmp_path, line, offered)
    for word in offered:
        assert word in said
    for word in not_offered:
        assert word not in said


def test_fish_offers_a_first_word_once(tmp_path: Path) -> None:
    assert fish(tmp_path, "fediviews keys ro", ()).strip() == "rotate"
    assert fish(tmp_path, "fediviews keys rotate ", ()).strip() == ""
