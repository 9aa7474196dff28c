"""The dashboard and the alerting rules that ship: every metric and label in them is there, and of the right kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from docs.documents import DOCS, METRICS, rows, text_of, ticked
from docs.test_docs import metrics_of

from service.app import Service

DASHBOARD = DOCS / "monitoring" / "grafana-dashboard.json"
ALERTS = DOCS / "monitoring" / "alerts.yaml"

OURS = re.compile(r"\b((?:fediviews|peertube)_[a-z0-9_]+)(?:\{([^}]*)\})?(\[[^\]]+\])?")
TARGETS = frozenset({"job", "instance"})
"""Labels that Prometheus adds."""


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(text_of(DASHBOARD))["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text_of(ALERTS))["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


EXPRESSIONS = list(expressions())


def family(name: str) -> tuple[str, bool]:
    """The metric a series belongs to, and whether it is a histogram's."""
    plain = re.sub(r"_(bucket|sum|count)$", "", name)
    return (plain, True) if plain != name else (name, False)


async def test_every_expression_asks_for_what_is_there(running: Service) -> None:
    known = metrics_of(running)
    for where, expression in EXPRESSIONS:
        _check(known, where, expression)


def _check(known: dict[str, tuple[str, tuple[str, ...]]], where: str, expression: str) -> None:
    labels: set[str] = set(TARGETS)
    used = OURS.findall(expression)
    assert used or expression.startswith("up{"), where
    for name, matchers, window in used:
        plain, of_histogram = family(name)
        assert plain in known, f"{where}: no metric {name}"
        kind, its = known[plain]
        assert of_histogram == (kind == "histogram"), f"{where}: {name} is a {kind}"
        # The rate of a gauge, or the value of a counter, means nothing.
        assert bool(window) == (kind in ("counter", "histogram")), f"{where}: {name}"
        labels |= set(its) | ({"le"} if of_histogram else set())
        for label in re.findall(r"([a-zA-Z_]+)\s*(?:=~|!~|!=|=)", matchers):
            assert label in set(its) | TARGETS, f"{where}: {name} has no label {label}"
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(re.split(r",\s*", grouped)) <= labels, f"{where}: by ({grouped})"
    assert expression.count("(") == expression.count(")"), where
    assert expression.count("{") == expression.count("}"), where


def test_every_panel_says_what_it_shows() -> None:
    found = panels()
    assert len(found) > 20
    assert len({panel["id"] for panel in found}) == len(found)
    assert len({panel["title"] for panel in found}) == len(found)
    for panel in found:
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        at = panel["gridPos"]
        assert 0 <= at["x"] <= 24 - at["w"], panel["title"]
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = {label for by in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in by.split(",")}
            assert named <= grouped, panel["title"]


def test_no_two_panels_lie_on_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} and {taken[x, y]}"
                taken[x, y] = panel["title"]


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found)
    for rule in found:
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["description"], rule["alert"]
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m")), rule["alert"]
        named = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        grouped = {label for by in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for label in re.split(r",\s*", by)}
        assert named <= grouped | ({"instance"} if rule["expr"].startswith("up{") else set()), rule["alert"]


def test_what_is_worth_an_alert_has_one() -> None:
    worth = text_of(METRICS).partition("## Worth an alert")[2]
    named = set(re.findall(r"`((?:fediviews|peertube)_[a-z0-9_]+)`", worth))
    assert named
    watched = {name for rule in rules() for name, _, _ in OURS.findall(rule["expr"])}
    assert named <= watched


async def test_every_label_is_bounded_by_something_documented(running: Service) -> None:
    """A label whose values nobody bounds fills a Prometheus."""
    used = {label for _, labels in metrics_of(running).values() for label in labels}
    documented = {label for cells in rows(METRICS, "label", "values", "how many") for label in ticked(cells[0])}
    assert documented == used
