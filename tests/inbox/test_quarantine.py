"""The ring of refusals: bounded, newest first, safe to show and to log."""

from __future__ import annotations

from federation.vocabulary import View
from foundation.clock import ManualClock
from foundation.errors import Refused
from foundation.metrics import Metrics
from inbox.quarantine import MAX_TEXT, Quarantine
from inbox.reasons import InboxReason, drop
from inbox.sender import Sender


def test_the_newest_come_first_and_the_oldest_go(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(3, clock, metrics)
    for number in range(5):
        ring.add(drop(InboxReason.DUPLICATE, f"detail {number}"), host="peer.example", verified=True, kind="View")
        clock.advance(1_000)
    assert len(ring) == 3
    assert [entry.detail for entry in ring.newest(10)] == ["detail 4", "detail 3", "detail 2"]
    assert [entry.number for entry in ring.newest(2)] == [5, 4]
    newest = ring.newest(1)[0]
    assert (newest.host, newest.verified, newest.kind, newest.reason, newest.status) == (
        "peer.example",
        True,
        "View",
        "duplicate",
        202,
    )
    assert newest.at_ms == clock.now_ms() - 1_000


def test_what_nobody_proved_drives_out_nothing_that_was_proven(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(3, clock, metrics, max_bytes=10_000)
    sender = Sender("https://peer.example/actor", "peer.example", clock.now_ms(), clock.now_ms())
    view = View("https://peer.example/views/1", sender.actor, "https://here.example/v", None)
    ring.hold(drop(InboxReason.TOO_MANY_VIEWS), view, sender)
    for _ in range(5):
        ring.add(drop(InboxReason.DUPLICATE), host="peer.example", verified=True)
    for _ in range(50):
        ring.add(Refused("unsigned", "", 401))
    assert [entry.number for entry in ring.newest(100)] == [56, 55, 54, 6, 5, 4, 1]
    assert ring.held() == [1]
    assert len(ring) == 7
    assert ring.drop(reason="unsigned") == 3
    assert [entry.number for entry in ring.newest(2)] == [6, 5]


def test_one_host_can_be_asked_for(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(10, clock, metrics)
    for host in ("a.example", "b.example", "a.example"):
        ring.add(drop(InboxReason.EXPIRED), host=host)
    assert [entry.number for entry in ring.newest(10, host="a.example")] == [3, 1]
    assert [entry.number for entry in ring.newest(1, host="a.example")] == [3]
    assert ring.newest(10, host="c.example") == []


def test_every_refusal_is_counted_even_when_none_is_kept(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(0, clock, metrics)
    ring.add(Refused("stale", "", 401))
    ring.add(Refused("stale", "", 401))
    assert len(ring) == 0
    assert metrics.registry.get_sample_value("fediviews_inbox_refused_total", {"reason": "stale"}) == 2


def test_foreign_text_stays_on_one_short_line(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(1, clock, metrics)
    ring.add(Refused("bad_shape", "a\r\nFORGED line\x1b[31m" + "x" * 1_000), host="h\n\u2028", kind="V\tw")
    entry = ring.newest(1)[0]
    for text in (entry.detail, entry.host, entry.kind):
        assert text.isprintable()
        assert len(text) <= MAX_TEXT
    assert entry.detail.startswith("a\ufffd\ufffdFORGED line\ufffd[31m")


def view_of(host: str, number: int) -> tuple[View, Sender]:
    sender = Sender(f"https://{host}/actor", host, 0, 0)
    return View(f"https://{host}/views/{number}", sender.actor, "https://here.example/v", None), sender


def test_one_site_that_fills_the_rings_drives_out_nobody_else(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(
        20, clock, metrics, max_bytes=1_000_000, party_of=lambda host: host.rpartition("evil.")[1] or host
    )
    for number in range(5):
        ring.hold(drop(InboxReason.TOO_MANY_VIEWS), *view_of("honest.example", number))
        ring.add(drop(InboxReason.DUPLICATE), host="honest.example", verified=True)
    for number in range(500):
        host = f"{number % 50}.evil.example"
        ring.hold(drop(InboxReason.TOO_MANY_VIEWS), *view_of(host, number))
        ring.add(drop(InboxReason.DUPLICATE), host=host, verified=True)
    assert len(ring) == 40
    assert len(ring.held(host="honest.example")) == 5
    assert len(ring.newest(100, host="honest.example")) == 10
    assert ring.newest(1)[0].host == "49.evil.example", "its own newest are there"


def test_one_site_that_fills_the_memory_drives_out_nobody_elses_messages(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(1_000, clock, metrics, max_bytes=20_000)
    for number in range(5):
        ring.hold(drop(InboxReason.TOO_MANY_VIEWS), *view_of("honest.example", number))
    for number in range(200):
        ring.hold(drop(InboxReason.TOO_MANY_VIEWS), *view_of("evil.example", number))
    assert len(ring.held(host="honest.example")) == 5
    assert 5 < len(ring.held()) < 50


def test_what_is_forgotten_while_it_is_judged_is_not_held_on(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(10, clock, metrics, max_bytes=10_000)
    ring.hold(drop(InboxReason.TOO_MANY_VIEWS), *view_of("peer.example", 1))
    number = ring.held()[0]
    taken = ring.take(number)
    assert taken is not None
    assert ring.drop() == 1
    ring.put_back(number, taken)
    assert not ring.holds(number)
    assert metrics.registry.get_sample_value("fediviews_quarantine_held_bytes") == 0


def test_junk_of_one_network_drives_out_nobody_elses_refusals(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(20, clock, metrics)
    ring.add(Refused("wrong_signature", "", 401), host="honest.example", address="192.0.2.7")
    for number in range(1_600):
        address = f"198.51.100.{number % 256}" if number % 2 else f"2001:db8:7:{number:x}::1"
        ring.add(Refused("no_signature", "", 401), host=f"{number}.evil.example", address=address)
    assert len(ring) == 20
    assert [entry.reason for entry in ring.newest(9, host="honest.example")] == ["wrong_signature"]


def test_behind_one_proxy_the_loudest_claimed_host_loses(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(20, clock, metrics)
    ring.add(Refused("wrong_signature", "", 401), host="honest.example", address="127.0.0.1")
    for _ in range(1_600):
        ring.add(Refused("no_signature", "", 401), address="127.0.0.1")
    assert len(ring.newest(9, host="honest.example")) == 1


def test_what_is_too_much_is_counted_and_noted_once(clock: ManualClock, metrics: Metrics) -> None:
    ring = Quarantine(20, clock, metrics)
    for number in range(100):
        ring.add(Refused("too_many_requests", "", 429), address=f"192.0.2.{number}")
        ring.add(Refused("too_many_requests", "", 429), host="loud.example", verified=True)
    assert len(ring) == 2
    assert metrics.registry.get_sample_value("fediviews_inbox_refused_total", {"reason": "too_many_requests"}) == 200
    clock.advance(60_000)
    ring.add(Refused("too_many_requests", "", 429), address="192.0.2.1")
    ring.add(Refused("too_many_requests", "", 429), address="203.0.113.1")
    assert len(ring) == 4
    assert "192.0.2" not in repr(vars(ring))
