"""Watch progress: the newest blob per viewer, handed over when the viewer has been silent."""

from __future__ import annotations

import pytest

from foundation.errors import StorageUnavailable
from views.counters.progress import Progress, ProgressStore

A, B = b"a" * 16, b"b" * 16


def name(video: int, viewer: bytes, blob: bytes) -> bytes:
    """Of a closed stay; always the same for the same viewer."""
    return viewer[::-1] + b"!"


def test_the_newest_blob_is_kept_and_handed_over_in_the_end() -> None:
    store = ProgressStore()
    store.put(1, A, b"one", 100)
    store.put(1, A, b"two", 200)
    store.put(2, B, b"three", 150)
    assert store.get(1, A) == b"two"
    assert store.get(1, B) is None
    assert store.hand_over(149, name) == 0
    assert store.hand_over(150, name) == 1
    assert store.due(10) == [Progress(2, B[::-1] + b"!", b"three")]
    assert store.hand_over(199, name) == 0
    assert store.get(1, A) == b"two"
    assert store.hand_over(500, name) == 1
    closed = store.due(10)
    assert (len(closed), len(store), sorted(store.videos())) == (2, 2, [1, 2])
    store.saved(closed)
    assert (len(store), store.due(10), store.videos()) == (0, [], ())


def test_after_its_stay_is_closed_a_viewer_begins_anew() -> None:
    store = ProgressStore()
    assert not store.close(1, A, name)
    store.put(1, A, b"one", 100)
    assert store.close(1, A, name)
    assert store.get(1, A) is None
    store.put(1, A, b"two", 200)
    assert [each.blob for each in store.all_of(1)] == [b"two", b"one"]
    first = store.due(1)
    store.close(1, A, name)
    store.saved(first)
    store.saved(first)
    assert (len(store), store.all_of(1)) == (0, [])


def test_what_is_worth_nothing_is_not_kept() -> None:
    store = ProgressStore()
    store.put(1, A, b"one", 100)
    store.put(1, B, b"two", 100)
    assert store.hand_over(100, lambda *_: None) == 2
    assert (len(store), store.due(10), store.videos()) == (0, [], ())


def test_closed_stays_take_their_room_until_they_are_saved() -> None:
    store = ProgressStore(1)
    store.put(1, A, b"one", 100)
    store.close(1, A, name)
    with pytest.raises(StorageUnavailable):
        store.put(1, A, b"two", 100)
    store.saved(store.due(1))
    store.put(1, A, b"two", 100)


def test_pop_and_forget() -> None:
    store = ProgressStore()
    store.put(1, A, b"one", 100)
    store.put(1, B, b"two", 100)
    assert store.pop(1, A) == b"one"
    assert store.pop(1, A) is None
    assert store.all_of(1) == [Progress(1, B, b"two")]
    store.forget_video(1)
    assert (len(store), store.all_of(1)) == (0, [])
    assert store.hand_over(1_000, name) == 0
    store.put(1, A, b"one", 100)
    store.close(1, A, name)
    store.forget_video(1)
    assert (len(store), store.due(10)) == (0, [])


def test_it_is_bounded() -> None:
    store = ProgressStore(1)
    store.put(1, A, b"one", 100)
    with pytest.raises(StorageUnavailable):
        store.put(1, B, b"two", 100)
    store.put(1, A, b"three", 200)
    assert store.get(1, A) == b"three"
