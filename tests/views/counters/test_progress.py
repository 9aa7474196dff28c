"""Watch progress: the newest blob per viewer, handed over when the viewer has been silent."""

from __future__ import annotations

import pytest

from foundation.errors import StorageUnavailable
from views.counters.progress import Progress, ProgressStore

A, B = b"a" * 16, b"b" * 16


def test_the_newest_blob_is_kept_and_handed_over_in_the_end() -> None:
    store = ProgressStore()
    store.put(1, A, b"one", 100)
    store.put(1, A, b"two", 200)
    store.put(2, B, b"three", 150)
    assert store.get(1, A) == b"two"
    assert store.get(1, B) is None
    assert store.sweep(149) == []
    assert store.sweep(150) == [Progress(2, B, b"three")]
    assert store.sweep(199) == []
    assert store.get(1, A) == b"two"
    assert store.sweep(500) == [Progress(1, A, b"two")]
    assert len(store) == 0
    assert store.videos() == ()


def test_pop_and_forget() -> None:
    store = ProgressStore()
    store.put(1, A, b"one", 100)
    store.put(1, B, b"two", 100)
    assert store.pop(1, A) == b"one"
    assert store.pop(1, A) is None
    assert store.all_of(1) == [Progress(1, B, b"two")]
    store.forget_video(1)
    assert (len(store), store.all_of(1)) == (0, [])
    assert store.sweep(1_000) == []


def test_it_is_bounded() -> None:
    store = ProgressStore(1)
    store.put(1, A, b"one", 100)
    with pytest.raises(StorageUnavailable):
        store.put(1, B, b"two", 100)
    store.put(1, A, b"three", 200)
    assert store.get(1, A) == b"three"
