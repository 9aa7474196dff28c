"""The kept inputs of the fuzzers, and some that hypothesis makes: nothing of it is a bug."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parents[1] / "fixtures" / "corpus"
MAX_FILES, MAX_BYTES = 40, 4_096

Target = Callable[[bytes], None]


def inputs(name: str) -> list[Path]:
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs(name: str) -> None:
    assert inputs(name), f"there is no corpus of {name}"
    for path in inputs(name):
        TARGETS[name](path.read_bytes())


def test_the_corpus_is_small_and_has_no_strangers() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} == set(TARGETS)
    for name in TARGETS:
        assert len(inputs(name)) <= MAX_FILES, name
        assert all(path.stat().st_size <= MAX_BYTES for path in inputs(name)), name


def mutated(name: str) -> st.SearchStrategy[bytes]:
    """A kept input in which something was cut out, put in, or said again."""
    kept = st.sampled_from([path.read_bytes() for path in inputs(name)])

    @st.composite
    def draw_one(draw: st.DrawFn) -> bytes:
        data = draw(kept)
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, len(data)))
            end = draw(st.integers(start, min(len(data), start + 40)))
            piece = draw(st.one_of(st.just(b""), st.binary(max_size=8), st.just(data[start:end] * 2)))
            data = data[:start] + piece + data[end:]
        return data

    return draw_one()


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs(name: str) -> None:
    @settings(max_examples=150, deadline=None)
    @given(st.one_of(mutated(name), st.binary(max_size=200)))
    def holds(data: bytes) -> None:
        TARGETS[name](data)

    holds()
