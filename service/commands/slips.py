"""Commands and options that do not exist, with those that were probably meant. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def slip_in(parser: argparse.ArgumentParser, said: Sequence[str]) -> str | None:
    """The sentence for a call that begins with no command of ours, or has an option that its command has not."""
    [subparsers] = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    command = said[0]
    if command.startswith("-"):
        return None
    chosen = subparsers.choices.get(command)
    if chosen is None:
        meant = _meant(command, subparsers.choices)
        return f"{parser.prog}: there is no command {command!r}{meant}; `{parser.prog} --help` lists them all"
    known = {name for action in chosen._actions for name in action.option_strings}
    before_end = said[1 : said.index("--")] if "--" in said else said[1:]
    for word in before_end:
        name = word.partition("=")[0]
        # A beginning that only one option has stands for it; a negative number is no option.
        if name.startswith("--") and not any(each.startswith(name) for each in known):
            meant = _meant(name, known)
            return f"{chosen.prog}: there is no option {name!r}{meant}; `{chosen.prog} --help` lists them all"
    return None


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, sorted(known), n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
