"""``fediviews completion``: what a shell asks for to complete our commands, written out of the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class _Option:
    names: Sequence[str]
    text: str
    takes_value: bool
    choices: Sequence[str]
    is_file: bool


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    text: str
    options: Sequence[_Option]
    words: Sequence[str]
    """What its first positional argument may be."""
    takes_file: bool
    """Whether its first positional argument is a file."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """``shell`` is one of ``SHELLS``."""
    writers: dict[str, Callable[[str, Sequence[_Command]], list[str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return "\n".join(writers[shell](parser.prog, _commands(parser))) + "\n"


def _commands(parser: argparse.ArgumentParser) -> list[_Command]:
    [subparsers] = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    texts = {each.dest: each.help or "" for each in subparsers._choices_actions}
    return [_command(name, texts.get(name, ""), sub) for name, sub in subparsers.choices.items()]


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> _Command:
    options: list[_Option] = []
    words: list[str] = []
    takes_file = False
    for action in parser._actions:
        choices = tuple(map(str, action.choices or ()))
        if action.option_strings:
            takes_value = action.nargs != 0
            is_file = action.type is Path
            shown = "" if action.help in (None, argparse.SUPPRESS) else parser._get_formatter()._expand_help(action)
            options.append(_Option(action.option_strings, shown, takes_value, choices, is_file))
        else:
            words += choices
            takes_file = takes_file or action.type is Path
    return _Command(name, text, options, words, takes_file)


def _bash(prog: str, commands: Sequence[_Command]) -> list[str]:
    lines = [
        f"# bash completion of {prog}:  source <({prog} completion bash)",
        f"_{prog}() {{",
        '    local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words=""',
        "    COMPREPLY=()",
        "    if [ $COMP_CWORD -eq 1 ]; then",
        f'        words="{" ".join(each.name for each in commands)} --help --version"',
        "    else",
        '        case "${COMP_WORDS[1]}:$before" in',
    ]
    for each in commands:
        for option in each.options:
            for name in option.names if option.takes_value else ():
                reply = f'words="{" ".join(option.choices)}"'
                if option.is_file:
                    reply = 'COMPREPLY=($(compgen -f -- "$current")); return'
                lines.append(f"            {each.name}:{name}) {reply} ;;")
        words = [name for option in each.options for name in option.names] + list(each.words)
        lines.append(f'            {each.name}:*) words="{" ".join(words)}" ;;')
    lines += [
        "        esac",
        "    fi",
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        f"complete -o default -F _{prog} {prog}",
    ]
    return lines


def _zsh(prog: str, commands: Sequence[_Command]) -> list[str]:
    lines = [
        f"#compdef {prog}",
        f"# zsh completion of {prog}:  {prog} completion zsh > a directory of $fpath/_{prog}",
        f"_{prog}() {{",
        "    local -a commands",
        "    commands=(",
        *(f"        {_quoted(f'{each.name}:{each.text}')}" for each in commands),
        "    )",
        "    if (( CURRENT == 2 )); then",
        "        _describe command commands",
        "        return",
        "    fi",
        "    local command=$words[2]",
        "    shift words",
        "    (( CURRENT-- ))",
        "    case $command in",
    ]
    for each in commands:
        specs = []
        for option in each.options:
            for name in option.names:
                value = ""
                if option.takes_value:
                    known = f"({' '.join(option.choices)})" if option.choices else " "
                    value = ":value:" + ("_files" if option.is_file else known)
                specs.append(_quoted(f"{name}[{_bracketed(option.text)}]{value}"))
        if each.words:
            specs.append(_quoted(f"1:what:({' '.join(each.words)})"))
        if each.takes_file:
            specs.append(_quoted("1:file:_files"))
        lines.append(f"        {each.name}) _arguments {' '.join(specs)} ;;")
    # Loaded by compinit it runs at once; sourced it only makes itself known.
    return [
        *lines,
        "    esac",
        "}",
        f'if [ "$funcstack[1]" = "_{prog}" ]; then',
        f'    _{prog} "$@"',
        "else",
        f"    compdef _{prog} {prog}",
        "fi",
    ]


def _fish(prog: str, commands: Sequence[_Command]) -> list[str]:
    lines = [
        f"# fish completion of {prog}:  {prog} completion fish > ~/.config/fish/completions/{prog}.fish",
        f"complete -c {prog} -f",
    ]
    for each in commands:
        lines.append(f"complete -c {prog} -n __fish_use_subcommand -a {each.name} -d {_quoted(each.text)}")
        inside = f"complete -c {prog} -n '__fish_seen_subcommand_from {each.name}'"
        for option in each.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = ""
            if option.is_file:
                value = " -r -F"
            elif option.takes_value:
                value = " -x" + (f" -a {_quoted(' '.join(option.choices))}" if option.choices else "")
            lines.append(f"{inside} {names}{value} -d {_quoted(option.text)}")
        if each.words:
            known = " ".join(each.words)
            first = f"__fish_seen_subcommand_from {each.name}; and not __fish_seen_subcommand_from {known}"
            lines.append(f"complete -c {prog} -n {_quoted(first)} -a {_quoted(known)}")
        if each.takes_file:
            lines.append(f"{inside} -F")
    return lines


def _quoted(text: str) -> str:
    """For a shell, in single quotes."""
    return "'" + text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"


def _bracketed(text: str) -> str:
    """zsh reads brackets and colours of its own."""
    return text.replace("[", "(").replace("]", ")").replace(":", ",")
