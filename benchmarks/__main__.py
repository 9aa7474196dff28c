"""``python -m benchmarks [name...]``: each within half a minute, one table at the end."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

from benchmarks import counter_store, delivery, group_commit, heartbeat, outgoing, signed_view, telemetry, totals_fanout
from benchmarks.load import Row

BENCHMARKS: dict[str, Callable[[float, int], list[Row]]] = {
    "heartbeat": heartbeat.run,
    "signed_view": signed_view.run,
    "outgoing": outgoing.run,
    "group_commit": group_commit.run,
    "totals_fanout": totals_fanout.run,
    "delivery": delivery.run,
    "counter_store": counter_store.run,
    "telemetry": telemetry.run,
}


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    return f"{row.ratio:.0%}" if row.ratio < 2 else f"{row.ratio:.3g}x"


def _goal(row: Row) -> str:
    if row.goal is None or row.ratio is None:
        return ""
    wanted = f"{row.goal:.0%}" if row.goal < 2 else f"{row.goal:.3g}x"
    return f"({wanted} wanted)" if row.ratio >= row.goal else f"({wanted} wanted: MISSED)"


def _table(rows: Sequence[tuple[str, Row]]) -> str:
    lines, before = [], ""
    for name, row in rows:
        if name != before:
            lines.append(f"\n{name}")
            before = name
        lines.append(f"  {row.what:<32} {row.measured}")
        if row.against:
            lines.append(f"  {'':<32} = {_ratio(row)} {_goal(row)} of {row.against}".replace("  of ", " of "))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}; all when none is named")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one round under load")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    unknown = set(options.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    rows: list[tuple[str, Row]] = []
    for name in options.names or BENCHMARKS:
        started = time.monotonic()
        rows += [(name, row) for row in BENCHMARKS[name](options.seconds, options.rounds)]
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    print(_table(rows))


if __name__ == "__main__":
    main()
