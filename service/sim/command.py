"""``fediviews sim``: runs a plan and says what came of it."""

from __future__ import annotations

from service.sim.instance import LIFE_MS
from service.sim.peertube import Version
from service.sim.scenario import GHOSTS_MS, Plan, Report, simulate
from service.sim.timeline import run

MAX_INSTANCES = 50
MAX_VIEWERS = 20_000
MAX_MINUTES = 24 * 60
MAX_OFF_S = 850
"""Between the two whose clocks are wrong lies twice as much, and half an hour is what anybody believes."""
SHORTEST_MINUTES = GHOSTS_MS // 60_000 + 3


def plan_of(
    *,
    instances: int,
    peertubes: int,
    viewers: int,
    minutes: int,
    loss: float,
    seed: int,
    split: bool = True,
    off_s: int = 0,
) -> Plan:
    """Within what can be simulated; PeerTubes take turns at being of each version."""
    versions = list(Version)
    return Plan(
        instances=min(max(instances, 1), MAX_INSTANCES),
        peertubes=tuple(versions[n % len(versions)] for n in range(min(max(peertubes, 0), MAX_INSTANCES))),
        viewers=min(max(viewers, 1), MAX_VIEWERS),
        minutes=min(max(minutes, SHORTEST_MINUTES), MAX_MINUTES),
        loss=min(max(loss, 0.0), 0.9),
        split=split,
        off_ms=min(max(off_s, -MAX_OFF_S), MAX_OFF_S) * 1_000,
        seed=seed,
    )


def sim(plan: Plan) -> int:
    """0 when all instances agreed within one lifetime of the healing, else 1."""
    versions = ", ".join(version.value for version in plan.peertubes) or "none"
    print(f"{plan.instances} Fediviews, PeerTube {versions}; {plan.viewers} people, one video on each instance")
    print(f"{plan.minutes} minutes, {plan.loss:.0%} of the exchanges go wrong, seed {plan.seed}", flush=True)
    report = run(simulate(plan))
    for line in lines(plan, report):
        print(line)
    return 0 if report.converged else 1


def lines(plan: Plan, report: Report) -> list[str]:
    """The report for people."""
    said = [
        "",
        f"off by {report.error:.2f} viewers on average until then, who had just left included",
        f"our videos, on all Fediviews:      {_after(report.agreed_ms)}",
    ]
    if plan.peertubes:
        said[1] += f"; PeerTubes by {report.peertube_error:.2f}"
        said.append(f"our videos, as told to PeerTubes:  {_after(report.told_ms)}")
        said.append(f"our videos, on all PeerTubes:      {_after(report.shown_ms)}")
        said.append(f"videos of PeerTube 7.1 and later:  {_after(report.peertube_ms)}")
    hours = max(report.viewer_hours, 1e-9)
    said.append(f"{report.posts} POSTs of Fediviews, {report.posts / hours:.1f} per viewer-hour, {report.bytes} bytes")
    if plan.peertubes:
        said.append(f"{report.peertube_posts} POSTs of PeerTube, {report.peertube_posts / hours:.1f} per viewer-hour")
    return [*said, *report.wrong, "" if report.converged else "THE NUMBERS DIFFER"]


def _after(held_ms: int | None) -> str:
    if held_ms is None:
        return "not the number of people within three lifetimes"
    late = "" if held_ms <= LIFE_MS else ", later than one lifetime"
    return f"the number of people {held_ms / 1000:.0f} s after the network healed{late}"
