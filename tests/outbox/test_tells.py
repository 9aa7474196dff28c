from __future__ import annotations

from outbox.tells import TellSlots
from views.model import Privacy, Video
from views.ports import Tell


def video(number: int, origin: str = "o.example") -> Video:
    url = f"https://{origin}/v/{number}"
    return Video(number, f"u{number}", url, origin, False, "name", 1, False, "c", Privacy.PUBLIC, 0, 0, owner="x")


def tell(viewer: bytes, expires_ms: int = 100, origin: str = "o.example") -> Tell:
    return Tell(video(1, origin), viewer, viewer.hex(), expires_ms)


def test_newest_wins_in_one_slot() -> None:
    slots = TellSlots()
    slots.put(tell(b"a", 10))
    slots.put(tell(b"a", 20))
    slots.put(tell(b"b", 30))
    assert len(slots) == 2
    assert slots.take("o.example", 10, 0) == ([tell(b"a", 20), tell(b"b", 30)], 0)
    assert not slots.has("o.example")


def test_expired_slots_are_never_told() -> None:
    slots = TellSlots()
    slots.put(tell(b"a", 10))
    slots.put(tell(b"b", 30))
    assert slots.take("o.example", 10, 10) == ([tell(b"b", 30)], 1)


def test_giving_back_keeps_the_order_and_what_is_newer() -> None:
    slots = TellSlots()
    for viewer in (b"a", b"b", b"c"):
        slots.put(tell(viewer))
    taken, _ = slots.take("o.example", 2, 0)
    slots.put(tell(b"a", 200))
    slots.give_back(taken)
    assert slots.take("o.example", 10, 0)[0] == [tell(b"b"), tell(b"c"), tell(b"a", 200)]


def test_room_is_bounded_per_host() -> None:
    slots = TellSlots(max_per_host=2)
    assert [slots.put(tell(viewer)) for viewer in (b"a", b"b", b"c")] == [0, 0, 1]
    assert slots.put(tell(b"a", origin="other.example")) == 0
    slots.give_back([tell(b"a")])
    assert [one.viewer for one in slots.take("o.example", 9, 0)[0]] == [b"b", b"c"]


def test_sweep_and_forget() -> None:
    slots = TellSlots()
    slots.put(tell(b"a", 10))
    slots.put(tell(b"b", 30))
    slots.put(tell(b"c", 30, "other.example"))
    assert slots.sweep(10) == 1
    slots.forget("o.example")
    assert slots.hosts() == ["other.example"]


def test_all_slots_together_are_bounded_and_counted() -> None:
    slots = TellSlots(max_slots=2)
    assert [slots.put(tell(name, origin=f"{name.hex()}.example")) for name in (b"a", b"b", b"c")] == [0, 0, 1]
    assert slots.put(tell(b"a", 120, "61.example")) == 0
    assert (len(slots), slots.hosts()) == (2, ["61.example", "62.example"])
    taken, _ = slots.take("61.example", 10, 0)
    assert slots.put(tell(b"c")) == 0
    slots.give_back(taken)
    assert (len(slots), slots.has("61.example")) == (2, False)
    slots.forget("62.example")
    slots.give_back(taken)
    assert len(slots) == 2
    assert slots.sweep(110) == 1
    assert slots.take("61.example", 10, 130) == ([], 1)
    assert len(slots) == 0
