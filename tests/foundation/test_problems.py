from __future__ import annotations

import json

from foundation.errors import Refused
from foundation.problems import refused


def test_a_reason_of_ours_is_explained_by_nobody_else() -> None:
    answer = refused(Refused("no_such_site", "no such site", 404))
    assert isinstance(answer.body, bytes)
    said = json.loads(answer.body)
    assert (said["type"], said["title"], said["status"], said["code"]) == (
        "about:blank", "Not Found", 404, "no_such_site",
    )  # fmt: skip
