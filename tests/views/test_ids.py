from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from views.ids import SHORT_ALPHABET, VideoRef, canonical_uuid, is_uuid4, long_uuid, parse_video_ref, short_uuid

PAIRS = [
    ("9c9de5e8-0a1e-484a-b099-e80766180a6d", "kkGMgK9ZtnKfYAgnEtQxbv"),
    ("a44521d0-0fb8-4ade-8002-3385545c3318", "mhvXdrZT4jP5T8vBxuvm75"),
    ("00000000-0000-0000-0000-000000000000", "1111111111111111111111"),
    ("00000000-0000-0000-0000-000000000001", "1111111111111111111112"),
    ("ffffffff-ffff-ffff-ffff-ffffffffffff", "xBuEXKpA6iqZQK5Kf2TnkV"),
]


@pytest.mark.parametrize(("long", "short"), PAIRS)
def test_known_pairs(long: str, short: str) -> None:
    assert short_uuid(long) == short
    assert long_uuid(short) == long


@given(st.uuids())
def test_every_uuid_survives_the_round_trip(value: uuid.UUID) -> None:
    short = short_uuid(str(value))
    assert len(short) == 22
    assert long_uuid(short) == str(value)
    assert parse_video_ref(short) == parse_video_ref(str(value).upper()) == str(value)


@given(st.text(SHORT_ALPHABET, min_size=22, max_size=22))
def test_a_short_form_is_either_none_or_exactly_one_uuid(short: str) -> None:
    long = long_uuid(short)
    assert long is None or short_uuid(long) == short


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert isinstance(parse_video_ref(text), int | str | None)


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("1", 1),
        ("042", 42),
        ("0", 0),
        ("999999999999999999", 999_999_999_999_999_999),
        ("9999999999999999999", None),
        ("-1", None),
        ("1.0", None),
        (" 1", None),
        ("1\n", None),
        ("١", None),
        ("", None),
        ("9C9DE5E8-0A1E-484A-B099-E80766180A6D", "9c9de5e8-0a1e-484a-b099-e80766180a6d"),
        ("9c9de5e8-0a1e-484a-b099-e80766180a6d\n", None),
        ("9c9de5e80a1e484ab099e80766180a6d", None),
        ("{9c9de5e8-0a1e-484a-b099-e80766180a6d}", None),
        ("kkGMgK9ZtnKfYAgnEtQxbv", "9c9de5e8-0a1e-484a-b099-e80766180a6d"),
        ("kkGMgK9ZtnKfYAgnEtQxb", None),
        ("kkGMgK9ZtnKfYAgnEtQxb0", None),
        ("ZZZZZZZZZZZZZZZZZZZZZZ", None),
        ("xBuEXKpA6iqZQK5Kf2TnkW", None),
    ],
)
def test_parse_video_ref(text: str, ref: VideoRef | None) -> None:
    assert parse_video_ref(text) == ref


def test_forms_of_uuid() -> None:
    assert canonical_uuid("A44521D0-0FB8-1ADE-8002-3385545C3318") == "a44521d0-0fb8-1ade-8002-3385545c3318"
    assert not is_uuid4("a44521d0-0fb8-1ade-8002-3385545c3318")
    assert not is_uuid4("A44521D0-0FB8-4ADE-8002-3385545C3318")
    assert is_uuid4("a44521d0-0fb8-4ade-8002-3385545c3318")
