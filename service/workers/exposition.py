"""Metrics of several processes as one page of Prometheus' text format: every sample says whose it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping

LABEL = "worker"


def merge(pages: Mapping[str, str]) -> str:
    """``pages`` by the value of the label ``worker``; what is said of a family (HELP, TYPE) is said once."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for worker, page in pages.items():
        family = ""
        for line in page.splitlines():
            if line.startswith("# "):
                name = line.split(" ", 3)[2]
                family = family if line.startswith("# TYPE") and family == name else name
                known = heads.setdefault(family, [])
                if not any(head.split(" ", 2)[1] == line.split(" ", 2)[1] for head in known):
                    known.append(line)
            elif line:
                samples.setdefault(family, []).append(_labelled(line, worker))
    lines = [line for family, head in heads.items() for line in (*head, *samples.get(family, ()))]
    return "\n".join(lines) + "\n"


def _labelled(sample: str, worker: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{{LABEL}="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{{LABEL}="{worker}"}} {value}'
