"""Every curl in the documents is run, in reading order, against one running service, and answers what is written."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from docs.documents import Example, examples

from service.app import Service

WRITTEN_URL, WRITTEN_HOST = "http://127.0.0.1:8080", "127.0.0.1:8080"
ANYTHING = "…"


async def run(example: Example, host: str, directory: Path) -> str:
    """What the commands print. They stop at the first one that fails; an HTTP error is a failure."""
    commands = example.commands.text.replace(WRITTEN_HOST, host).replace("curl ", "curl --noproxy '*' --fail ")
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euc",
        commands,
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        said, complained = await process.communicate()
    assert process.returncode == 0, f"{example.commands.name}: {complained.decode()}{said.decode()}"
    return said.decode()


def lacks(written: Any, answered: Any, where: str = "$") -> str | None:
    """Where the answer differs from what is written; it may hold more members than are written."""
    if written == ANYTHING:
        return None if isinstance(answered, str) and answered else f"{where} is not a text"
    if isinstance(written, dict) and isinstance(answered, dict):
        for name, value in written.items():
            if name not in answered:
                return f"{where}.{name} is not there"
            if (found := lacks(value, answered[name], f"{where}.{name}")) is not None:
                return found
        return None
    if isinstance(written, list) and isinstance(answered, list) and len(written) == len(answered):
        pairs = zip(written, answered, strict=True)
        return next((found for i, (a, b) in enumerate(pairs) if (found := lacks(a, b, f"{where}[{i}]"))), None)
    return None if written == answered else f"{where} is {answered!r}, not {written!r}"


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash")
async def test_examples_answer_what_is_written(running: Service, tmp_path: Path) -> None:
    host = running.url.removeprefix("http://")
    found = examples()
    assert len(found) >= 10
    for example in found:
        said = await run(example, host, tmp_path)
        if example.answer is None:
            continue
        written = example.answer.text.replace(WRITTEN_HOST, host)
        if example.answer.language == "text":
            missing = [line for line in written.splitlines() if line not in said]
            assert not missing, f"{example.answer.name}: {missing} not in {said}"
        else:
            # Of several commands the last one's answer is shown; the others print theirs directly before it.
            answered = last_document(said)
            assert lacks(json.loads(written), answered) is None, f"{example.answer.name}: {said}"


def last_document(text: str) -> Any:
    decoder, position, value = json.JSONDecoder(), 0, None
    while position < len(text.rstrip()):
        value, position = decoder.raw_decode(text, position)
        while position < len(text) and text[position].isspace():
            position += 1
    return value


@pytest.mark.parametrize(
    ("written", "answered", "difference"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({"a": ANYTHING}, {"a": "2026"}, None),
        ({"a": 1}, {"b": 1}, "$.a is not there"),
        ({"a": [1]}, {"a": [1, 2]}, "$.a is [1, 2], not [1]"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "$.a[0].b is 2, not 1"),
    ],
)
def test_the_comparison_sees_differences(written: Any, answered: Any, difference: str | None) -> None:
    assert lacks(written, answered) == difference
