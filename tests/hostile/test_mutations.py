"""Whatever a peer that signs correctly makes of real messages: never an error of ours, never a number from nothing."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hostile.scene import Build, Scene
from support.recorded import exchange_names, load_exchange

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    "",
    "x",
    "https://",
    "https://a.example",
    "\u202e",
    "a" * 3_000,
    [],
    [[]],
    {},
    {"id": 1},
    {"type": "Video"},
    {"type": "Follow", "id": "https://a.example/f"},
    ["https://a.example/a"],
    "2026-11-22T05:46:29.050Z",
    "9999-12-31T23:59:59.999Z",
]
TYPES = ["View", "Follow", "Accept", "Reject", "Undo", "Announce", "Create", "Update", "Delete", "Collection", "Video"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        for name, member in value.items():
            found += places(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


def mutated(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    for _ in range(chance.randint(1, 3)):
        found = places(changed)
        if not found:
            break
        *way, last = chance.choice(found)
        parent: Any = changed
        for step in way:
            parent = parent[step]
        match chance.randint(0, 3):
            case 0:
                del parent[last]
            case 1:
                parent[last] = copy.deepcopy(chance.choice(ODD))
            case 2 if "type" in changed:
                changed["type"] = chance.choice(TYPES)
            case _:
                parent[last] = [parent[last]] if chance.random() < 0.5 else {"id": parent[last], "type": "View"}
    return changed


def documents(scene: Scene) -> list[dict[str, Any]]:
    """Every recorded activity, as if it were between the peer and us."""
    made = []
    for name in exchange_names():
        exchange = load_exchange(name)
        if exchange.method != "POST" or not exchange.body.startswith(b"{"):
            continue
        text = exchange.body.decode()
        said = exchange.json
        speaker = "/".join(str(said["actor"]).split("/")[:3])
        listener = f"http://{exchange.header('host')}"
        text = text.replace(speaker, scene.peer.url).replace(listener, scene.url)
        text = text.replace("769a1aec-66f1-420f-a6ba-66e89a533026", scene.ours.uuid)
        made.append(json.loads(text))
    return made


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_an_error_of_ours(build: Build, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    scene = await build()
    chance = random.Random(seed)
    known = documents(scene)
    assert len(known) > 40
    outcomes: dict[int, int] = {}
    for _ in range(250):
        said = mutated(chance.choice(known), chance)
        body = json.dumps(said).encode()
        answer = await scene.say(body)
        assert answer.status in (202, 204, 400), (answer, body[:2_000])
        outcomes[answer.status] = outcomes.get(answer.status, 0) + 1
    assert set(outcomes) == {202, 204, 400}
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
    numbers = await scene.numbers()
    assert numbers.ours >= 0
    assert numbers.videos == 3
    assert await scene.is_well()
