"""The documentation tells the whole truth: everything there is stands in it, and nothing that is not there."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
from docs.documents import (
    CHANGELOG,
    DECISIONS,
    DOCS,
    FEDERATION,
    HOUSE,
    METRICS,
    OPERATIONS,
    README,
    REST,
    ROOT,
    WRITTEN,
    Block,
    blocks,
    prose,
    rows,
    text_of,
    ticked,
)
from docs.refusals import PACKAGES, reasons

from federation.vocabulary import parse_activity
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.redis.leases import RedisLeases
from foundation.redis.link import RedisLink
from foundation.redis.news import RedisNews
from foundation.redis.shards import Shards
from service.app import Service
from service.cli import _parser
from service.config import Config, load_config
from service.config.shape import key_paths, section_of

EVERYWHERE = (*WRITTEN, *sorted(DECISIONS.glob("*.md")))
SIGNS = {"GET", "POST", "PUT", "DELETE"}
SECRETS = {
    "FEDIVIEWS_TOKEN": "a-token-of-a-host-app",
    "FEDIVIEWS_STATS_TOKEN": "a-token-for-statistics",
    "FEDIVIEWS_HOOK_SECRET": "a-secret-of-thirty-two-characters-or-more",
}


# Metrics


def metrics_of(service: Service) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Type and labels of every metric, by the name that a scrape shows."""
    found = {}
    elsewhere = Metrics()
    # What a service with live state in Redis, and one of several processes, has beside the others.
    link, clock = RedisLink("unix:///nowhere", metrics=elsewhere), service.ground.clock
    shards = Shards(link, clock, prefix="docs", count=1, ttl_ms=1)
    RedisLeases(shards, clock, elsewhere)
    RedisNews(shards, clock, elsewhere)
    registries = (service.ground.metrics.registry, elsewhere.registry)
    for collector in [collector for registry in registries for collector in registry._collector_to_names]:
        name, kind = collector._name, collector._type
        labels = tuple(collector._labelnames)
        found[f"{name}_total" if kind == "counter" else name] = (kind, labels)
    return found


async def test_every_metric_is_documented_with_its_type_and_labels(running: Service) -> None:
    documented = {
        ticked(cells[0])[0]: (cells[1], tuple(ticked(cells[2]))) for cells in rows(METRICS, "metric", "type", "labels")
    }
    assert documented == metrics_of(running)


async def test_no_document_names_a_metric_that_is_not_there(running: Service) -> None:
    known = metrics_of(running)
    scraped = known.keys() | {
        name + end for name, (kind, _) in known.items() if kind == "histogram" for end in ("_bucket", "_sum", "_count")
    }
    for path in EVERYWHERE:
        named = set(re.findall(r"\b(?:fediviews|peertube)_[a-z_]*[a-z]\b", text_of(path)))
        # ``fediviews_fetch_…`` means all that begin like that.
        prefixes = {name for name in named if f"{name}_…" in text_of(path)}
        assert named - prefixes <= scraped, path.name
        assert all(any(name.startswith(prefix) for name in scraped) for prefix in prefixes), path.name


# Endpoints


def routes_of(service: Service) -> set[tuple[str, str]]:
    found = set()
    for route in service.app.router.routes():
        if route.method in SIGNS and route.resource is not None:
            found.add((route.method, route.resource.canonical))
    return found


async def test_every_route_is_documented(running: Service) -> None:
    listed = [(method, ticked(cells[1])[0]) for cells in rows(REST, "method", "path") for method in ticked(cells[0])]
    assert len(listed) == len(set(listed))
    assert set(listed) == routes_of(running)


async def test_no_document_names_a_route_that_is_not_there(running: Service) -> None:
    patterns = [
        (method, re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))) for method, path in routes_of(running)
    ]
    for path in EVERYWHERE:
        for method, target in re.findall(r"\b(GET|POST|PUT|DELETE) (/[^\s`?]*)", text_of(path)):
            matching = [pattern for known, pattern in patterns if known == method and pattern.fullmatch(target)]
            assert matching, f"{path.name}: {method} {target}"


def test_every_answer_to_a_method_says_who_may_ask() -> None:
    for cells in rows(REST, "method", "path", "who", "answers"):
        assert len(cells) == 4, cells
        assert all(cells), cells


# Refusals


def documented_reasons() -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for cells in rows(FEDERATION, "reason", "status", "meaning"):
        statuses = {int(status) for status in re.findall(r"\d{3}", cells[1])}
        found.setdefault(ticked(cells[0])[0], set()).update(statuses)
    return found


def test_every_reason_is_documented_and_no_other() -> None:
    assert documented_reasons().keys() == reasons(ROOT).keys()


def test_documented_statuses_are_those_of_the_code() -> None:
    """A reason without a documented status never reaches an answer: it is why a request of ours failed."""
    given = reasons(ROOT)
    answered = {reason: statuses for reason, statuses in documented_reasons().items() if statuses}
    undocumented = {reason: given[reason] - statuses for reason, statuses in answered.items()}
    assert {reason: statuses for reason, statuses in undocumented.items() if statuses} == {}


def test_the_walk_sees_what_it_should() -> None:
    """A walk that finds nothing would agree with any document."""
    found = reasons(ROOT)
    assert found["forwarded"] == {202}
    assert found["token_missing"] == {401}
    assert found["bad_number"] == set()
    assert found["broken_off"] == {503}
    assert found["key_unavailable"] == {401, 503}


# Command line


def verbs() -> set[str]:
    subparsers = next(action for action in _parser()._actions if isinstance(action.choices, dict))
    assert isinstance(subparsers.choices, dict)
    return set(subparsers.choices)


def test_every_command_is_documented_and_no_other() -> None:
    listed = [ticked(cells[0])[0] for cells in rows(OPERATIONS, "command", "does")]
    assert {line.removeprefix("fediviews ") for line in listed} == verbs()


def test_no_document_names_a_command_that_is_not_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for path in EVERYWHERE:
        for words in ticked(prose(path)) + [line for block in blocks(path) for line in block.text.splitlines()]:
            command = re.match(r"(?:\.venv/bin/)?fediviews ([a-z][a-z-]*)", words)
            assert command is None or command[1] in verbs(), f"{path.name}: {words}"
            target = re.match(r"make ([a-z-]+)", words)
            assert target is None or target[1] in targets, f"{path.name}: {words}"


# Configuration


@pytest.mark.parametrize(
    "block",
    [block for path in WRITTEN for block in blocks(path) if block.language == "yaml"],
    ids=lambda block: block.name,
)
def test_examples_of_configuration_are_valid(block: Block, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(block.text)
    load_config(tmp_path / "config.yaml", SECRETS)


def test_keys_named_in_the_documents_exist() -> None:
    known = set(key_paths(section_of(Config)))
    sections = {path.split(".")[0].removesuffix("[]") for path in known}
    not_a_key = re.compile(r"\.(example|pem)$|^views\.videos\.")  # hosts, files, members of an answer
    for path in WRITTEN:
        for word in ticked(prose(path)):
            key = re.fullmatch(r"([a-z]+)(?:\[\])?(?:\.[a-z_]+)+(?=: .*|$).*", word)
            if key is None or key[1] not in sections or not_a_key.search(word):
                continue
            assert word.partition(":")[0] in known, f"{path.name}: {word}"


# Activities


@pytest.mark.parametrize(
    "block", [block for block in blocks(FEDERATION) if block.language == "json"], ids=lambda block: block.name
)
def test_examples_of_activities_would_be_taken(block: Block) -> None:
    activity = parse_activity(block.text.encode(), max_items=10)
    assert not isinstance(activity, Refused), activity
    assert json.loads(block.text)["actor"] == activity.actor


# The house


def test_the_readme_lists_the_packages_that_ship() -> None:
    listed = re.findall(r"^- `([a-z]+)/`:", text_of(README), re.MULTILINE)
    shipped = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(listed) == sorted(name.removesuffix("*") for name in shipped) == sorted(PACKAGES)
    assert all((ROOT / name / "__init__.py").is_file() for name in listed)


def test_every_room_is_shown_with_its_own_words() -> None:
    rooms = {
        f"{path.parent.relative_to(ROOT).as_posix()}/": ast.get_docstring(ast.parse(text_of(path))) or ""
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    said = {room: " ".join(words.split("\n\n")[0].split()).replace("``", "`") for room, words in rooms.items()}
    shown = {ticked(cells[0])[0]: cells[1] for cells in rows(HOUSE, "room", "what is there")}
    assert shown == said


def test_modules_named_in_the_house_are_there() -> None:
    named = re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", text_of(HOUSE))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_licence_is_the_stated_one() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    assert project["license"] == {"text": "MIT"}
    assert text_of(ROOT / "LICENSE").startswith("MIT License")
    assert "The Fediviews authors" in text_of(ROOT / "LICENSE")


def test_every_decision_is_in_the_index_under_its_title() -> None:
    index = text_of(DECISIONS / "README.md")
    listed = dict(re.findall(r"^\| \[\d{4}\]\(([^)]+)\) \| (.+) \|$", index, re.MULTILINE))
    titles = {}
    for path in sorted(DECISIONS.glob("[0-9]*.md")):
        number, title = re.match(r"# (\d+)\. (.+)\n", text_of(path)).groups()  # type: ignore[union-attr]
        assert path.name.startswith(f"{int(number):04}-")
        titles[path.name] = title
    assert listed == titles


LINKING = sorted({*EVERYWHERE, *DOCS.rglob("*.md"), *ROOT.glob("tests/*.md"), *ROOT.glob("examples/*.md")})


@pytest.mark.parametrize("path", LINKING, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        found = path if not name else (path.parent / name)
        assert found.exists(), target
        if anchor:
            assert anchor in _anchors(found), target


def _anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_picture_is_drawn_for_light_and_dark() -> None:
    picture = text_of(DOCS / "house.svg")
    assert "prefers-color-scheme: dark" in picture
    assert all(f">{name}<" in picture for name in PACKAGES)
    assert "docs/house.svg" in text_of(README)


def test_the_changelog_has_something_to_come() -> None:
    assert "## Unreleased" in text_of(CHANGELOG)
