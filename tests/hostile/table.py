"""What every row of the table of bad inputs promises: ``from hostile.table import Row, check``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from support.wire import Answer

if TYPE_CHECKING:
    from hostile.scene import Scene

Act = Callable[["Scene"], Awaitable[Answer]]

ACCEPTED = (204, "")
ONE_VIEWER = {"ours": 1}


@dataclass(frozen=True, slots=True)
class Row:
    """One bad input, and what comes of it.

    ``fetches``: how many documents the speaker is asked for. ``moved``: which numbers move, by how much. ``federation``
    and ``listen`` are settings of the service that differ from the scene's.
    """

    id: str
    outcome: tuple[int, str]
    act: Act
    fetches: int = 0
    moved: dict[str, int] = field(default_factory=dict)
    federation: dict[str, Any] = field(default_factory=dict)
    listen: dict[str, Any] = field(default_factory=dict)


def rows(*table: Row) -> pytest.MarkDecorator:
    names = [row.id for row in table]
    assert len(set(names)) == len(names)
    return pytest.mark.parametrize("row", table, ids=names)


async def check(scene: Scene, row: Row) -> None:
    """Status, reason and its metric; nobody asked for more than stated; the numbers; and the server is well."""
    before = await scene.numbers()
    answer = await row.act(scene)
    assert (answer.status, answer.reason) == row.outcome
    assert len(scene.peer.fetched) == row.fetches, scene.peer.fetched
    if row.fetches == 0 and answer.status >= 400:
        assert scene.peer.asked == []
    assert scene.bystander.asked == []
    assert await scene.numbers() == before.moved(**row.moved)
    _, reason = row.outcome
    if reason:
        assert reason in scene.reasons
        counted = scene.service.ground.metrics.registry.get_sample_value(
            "fediviews_inbox_refused_total", {"reason": reason}
        )
        noted = scene.reasons.count(reason)
        # Of a flood each one is counted, but noted once a minute.
        assert counted is not None
        assert counted >= noted if answer.status == 429 else counted == noted
    assert await scene.is_well()
