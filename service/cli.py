"""The ``fediviews`` command. Exit status: 0 done, 1 it could not be done, 2 the configuration or the call is wrong."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from foundation.errors import ConfigError, FediviewsError
from service import VERSION
from service.commands import admin_client
from service.commands.completion import SHELLS, script
from service.commands.output import give_up_output, is_full
from service.commands.slips import slip_in
from service.config import EMPTY, check_config, load_config
from service.sigtool.arguments import add_arguments as add_sigtool_arguments

DEFAULT_CONFIG = Path("config.yaml")
FAILED = 1
MISUSED = 2


def main(argv: Sequence[str] | None = None) -> int:
    try:
        # Whoever called may have let Ctrl-C end the process while this module was imported.
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return _main(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it (head, less) has seen enough.
        give_up_output()
        return 0
    except OSError as problem:
        if not is_full(problem):
            raise
        print(f"the output cannot be written: {problem.strerror}", file=sys.stderr)
        give_up_output()
        return FAILED
    except KeyboardInterrupt:
        return 130


def _main(argv: Sequence[str] | None) -> int:
    parser = _parser()
    said = list(sys.argv[1:] if argv is None else argv)
    if not said:
        parser.print_help(sys.stderr)
        return MISUSED
    slip = slip_in(parser, said)
    if slip is not None:
        print(slip, file=sys.stderr)
        return MISUSED
    arguments = parser.parse_args(said)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except ConfigError as problem:
        print(f"{arguments.config}: {problem}" if "config" in arguments else problem, file=sys.stderr)
        return MISUSED
    except FediviewsError as problem:
        print(problem, file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fediviews",
        description="Counts who is watching, across instances.",
        epilog="Exit status: 0 done; 1 it could not be done; 2 the call or the configuration is wrong; 130 Ctrl-C. "
        "`fediviews COMMAND --help` says more.",
    )
    parser.add_argument("--version", action="version", version=f"fediviews {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, command: Callable[[argparse.Namespace], int], text: str, *, config: bool = True
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        if config:
            sub.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="configuration (default: %(default)s)")
        sub.set_defaults(command=command)
        return sub

    text = "run the service until Ctrl-C or SIGTERM; SIGHUP reads the configuration again: "
    text += "peers, tokens, videos, webhooks, livekit, log level and federation.open change at once"
    add("serve", _serve, text).add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the port; more than one need Redis and PostgreSQL",
    )
    add("check-config", _check_config, "say whether the configuration can be used")
    add("peers", _peers, "list the peers that a running service knows, and how deliveries to them stand").add_argument(
        "--json", action="store_true", help="as GET /api/v1/server/peers says it"
    )
    undelivered = add("undelivered", _undelivered, "list the activities that peers do not take, and why")
    undelivered.add_argument("host", nargs="?", help="of this peer alone")
    undelivered.add_argument("--json", action="store_true", help="as GET /api/v1/server/undelivered says it")
    for verdict, text in (
        ("retry", "let what a peer did not take be tried again, now"),
        ("drop", "give up what a peer does not take"),
    ):
        judged = add(verdict, _judge_undelivered, text)
        judged.set_defaults(verdict=verdict)
        judged.add_argument("host", help="the peer, as `fediviews undelivered` shows it")
        judged.add_argument("id", nargs="?", help="of the activity; all of them when there is none")
    for name, command, text in (
        ("follow", _follow, "let a running service follow a host"),
        ("unfollow", _unfollow, "let a running service stop following a host"),
        ("block", _judge, "take nothing more from a host and send it nothing, at once"),
        ("unblock", _judge, "take a block back: the rules for everybody hold again"),
        ("allow", _judge, "let a host speak where only listed ones may, with quotas of its own; takes a block back"),
        ("disallow", _judge, "take an allowance back: the rules for everybody hold again"),
    ):
        sub = add(name, command, text)
        sub.add_argument("host", help="host, host:port or the URL of an actor")
        sub.set_defaults(verdict=name)
    quarantine = add("quarantine", _quarantine, "what was not taken and why; judge it again after a rule changed")
    quarantine.add_argument("action", choices=("list", "replay", "drop"), help="what to do with it")
    quarantine.add_argument("--host", help="of this host alone")
    quarantine.add_argument("--reason", help="for this reason alone")
    history = add("backfill", _backfill, "bring history of a web site in, or make the sums of its visits anew")
    history.add_argument("file", type=Path, nargs="?", help="access log or CSV, also .gz; none: visits not counted yet")
    history.add_argument("--site", help="host of the site, where there are several")
    history.add_argument("--format", choices=("auto", "log", "csv"), default="auto", help="(default: by its name)")
    history.add_argument("--recount", action="store_true", help="forget all sums and make them anew from visits")
    history.add_argument("--json", action="store_true", help="the result as one line of JSON")
    keys = add("keys", _keys, "list this instance's own keys, or rotate them under a running service")
    keys.add_argument("action", choices=("list", "rotate"))
    keys.add_argument("--revoke", action="store_true", help="delete the old keys at once: somebody else may have them")
    demo = add("demo", _demo, "three instances on loopback, simulated viewers, one number on all of them", config=False)
    demo.add_argument("--viewers", type=int, default=300, help="simulated viewers (default: %(default)s)")
    demo.add_argument("--seconds", type=int, default=60, help="how long it runs (default: %(default)s)")
    demo.add_argument("--plain", action="store_true", help="one line per second instead of a live table")
    text = "instances on a virtual clock and a bad network: do their numbers agree after it?"
    simulation = add("sim", _sim, text, config=False)
    simulation.add_argument("--instances", type=int, default=4, help="Fediviews instances (default: %(default)s)")
    simulation.add_argument("--peertubes", type=int, default=4, help="PeerTubes among them (default: %(default)s)")
    simulation.add_argument("--viewers", type=int, default=120, help="people who come and go (default: %(default)s)")
    simulation.add_argument("--minutes", type=int, default=20, help="of trouble, 5 at least (default: %(default)s)")
    simulation.add_argument("--loss", type=float, default=0.1, help="share of exchanges lost (default: %(default)s)")
    simulation.add_argument("--no-split", action="store_true", help="the network never falls apart")
    simulation.add_argument(
        "--off", type=int, default=0, help="seconds by which two clocks are wrong (default: %(default)s)"
    )
    simulation.add_argument("--seed", type=int, default=1, help="the same seed, the same course (default: %(default)s)")
    examined = add("doctor", _doctor, "look whether everything is as it has to be, and say what to do where it is not")
    examined.add_argument("--json", action="store_true", help="as GET /api/v1/server/doctor says it")
    listed = add("videos", _videos, "list the newest videos that a running service knows, with viewers and views")
    listed.add_argument(
        "--count", type=_whole(1, 100), default=25, help="so many at most, up to 100 (default: %(default)s)"
    )
    listed.add_argument("--live", action="store_true", help="live streams alone")
    listed.add_argument("--json", action="store_true", help="as GET /api/v1/videos says it")
    measured = add("stats", _stats, "who watches a video, and its statistics, from a running service")
    measured.add_argument("video", help="number, UUID or short UUID")
    measured.add_argument("--json", action="store_true", help="all answers that it is made of")
    add("adopt", _adopt, "after instance.url changed: let its database, which says whose it is, belong to the new URL")
    text = "print what bash, zsh or fish needs to complete these commands"
    completing = commands.add_parser("completion", help=text, description=text)
    completing.set_defaults(command=lambda arguments: _completion(parser, arguments))
    completing.add_argument("shell", choices=SHELLS, help="which shell")
    text = "copy everything from one database into another, which is empty or holds a copy that was broken off"
    moving = commands.add_parser("migrate", help=text, description=text)
    moving.set_defaults(command=_migrate)
    moving.add_argument("--from", dest="source", required=True, help="sqlite:///path or postgresql://user@host/name")
    moving.add_argument("--to", dest="target", required=True, help="likewise")
    moving.add_argument("--batch", type=int, default=5_000, help="rows per transaction (default: %(default)s)")
    text = "show, make or judge the signature of an HTTP request read from standard input"
    signatures = commands.add_parser("sigtool", help=text, description=text)
    signatures.set_defaults(command=_sigtool)
    add_sigtool_arguments(signatures)
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return number


def _serve(arguments: argparse.Namespace) -> int:
    from service.commands.serve import serve, serve_workers
    from service.logs import setup_logging
    from service.workers.link import parent_link

    config = load_config(arguments.config, os.environ)
    parent = parent_link(os.environ)
    worker = None if parent is None else parent.worker.index
    setup_logging(config.logging.level, config.logging.format, worker)
    if parent is None and config.empty:
        logging.getLogger("fediviews").warning("%s: %s: everything has its default", arguments.config, EMPTY)
    if parent is None and arguments.workers != 1:
        return _run(serve_workers(config, arguments.workers))
    return _run(serve(config, os.environ, parent))


def _check_config(arguments: argparse.Namespace) -> int:
    return check_config(arguments.config, os.environ)


def _backfill(arguments: argparse.Namespace) -> int:
    from service.commands.backfill import Wish, backfill

    if arguments.file is not None and arguments.recount:
        raise ConfigError("", "--recount takes no file")
    wish = Wish(arguments.file, arguments.site, arguments.format, arguments.recount, arguments.json)
    return _run(backfill(load_config(arguments.config, os.environ), wish))


def _demo(arguments: argparse.Namespace) -> int:
    from service.commands.demo import demo

    return _run(demo(viewers=arguments.viewers, seconds=arguments.seconds, plain=arguments.plain))


def _sim(arguments: argparse.Namespace) -> int:
    from service.sim.command import plan_of, sim

    plan = plan_of(
        instances=arguments.instances,
        peertubes=arguments.peertubes,
        viewers=arguments.viewers,
        minutes=arguments.minutes,
        loss=arguments.loss,
        seed=arguments.seed,
        split=not arguments.no_split,
        off_s=arguments.off,
    )
    taken = {
        "instances": plan.instances,
        "peertubes": len(plan.peertubes),
        "viewers": plan.viewers,
        "minutes": plan.minutes,
        "loss": plan.loss,
        "off": plan.off_ms // 1_000,
    }
    for option, bound in taken.items():
        if getattr(arguments, option) != bound:
            print(
                f"--{option} {getattr(arguments, option)} cannot be simulated: the nearest is {bound}", file=sys.stderr
            )
            return 2
    return sim(plan)


def _keys(arguments: argparse.Namespace) -> int:
    from service.commands.keys import keys

    return keys(load_config(arguments.config, os.environ), arguments.action, revoke=arguments.revoke)


def _sigtool(arguments: argparse.Namespace) -> int:
    from service.sigtool.command import sigtool

    return sigtool(arguments, sys.stdin.buffer, sys.stdout.buffer)


def _videos(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, os.environ)
    return _run(admin_client.print_videos(config, count=arguments.count, live=arguments.live, as_json=arguments.json))


def _stats(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, os.environ)
    return _run(admin_client.print_stats(config, arguments.video, as_json=arguments.json))


def _completion(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    sys.stdout.write(script(parser, arguments.shell))
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from service.doctor.command import doctor

    return _run(doctor(load_config(arguments.config, os.environ), sys.stdout, as_json=arguments.json))


def _migrate(arguments: argparse.Namespace) -> int:
    from service.moving.command import move

    return _run(move(arguments.source, arguments.target, sys.stderr, batch=max(1, arguments.batch)))


def _adopt(arguments: argparse.Namespace) -> int:
    from service.commands.adopt import adopt_database

    return _run(adopt_database(load_config(arguments.config, os.environ)))


def _follow(arguments: argparse.Namespace) -> int:
    return _run(admin_client.follow(load_config(arguments.config, os.environ), arguments.host))


def _unfollow(arguments: argparse.Namespace) -> int:
    return _run(admin_client.unfollow(load_config(arguments.config, os.environ), arguments.host))


def _judge(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, os.environ)
    return _run(admin_client.judge(config, arguments.host, arguments.verdict))


def _quarantine(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, os.environ)
    return _run(admin_client.quarantine(config, arguments.action, arguments.host, arguments.reason))


def _peers(arguments: argparse.Namespace) -> int:
    return _run(admin_client.print_peers(load_config(arguments.config, os.environ), as_json=arguments.json))


def _undelivered(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, os.environ)
    return _run(admin_client.print_undelivered(config, arguments.host, as_json=arguments.json))


def _judge_undelivered(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, os.environ)
    return _run(admin_client.judge_undelivered(config, arguments.verdict, arguments.host, arguments.id))


def _run(work: Coroutine[Any, Any, int]) -> int:
    """uvloop where it exists: 1.1 to 1.4 times the requests of asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


if __name__ == "__main__":
    sys.exit(main())
