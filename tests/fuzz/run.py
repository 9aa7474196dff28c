"""Looking for inputs that a parser cannot take: ``make fuzz`` (``TARGET=cavage SECONDS=300`` for one, and longer).

Coverage-guided, by atheris, which `make fuzz` installs. Starts from the kept corpus; what it finds on the way stays in
``build/fuzz/TARGET``. A crash is written to a file there and said on standard error: fix it, and keep the file under
``tests/fixtures/corpus/TARGET``, where the test suite replays it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "fixtures" / "corpus"
FOUND = ROOT / "build" / "fuzz"
PACKAGES = ["federation", "foundation", "service", "views", "http_sf"]
MAX_LENGTH = 4_096
SLOWEST_S = 5


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the parsers.")
    parser.add_argument("target", nargs="?", help="one target; default: all of them, one after the other")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: %(default)s)")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    if arguments.target is None:
        return _all(arguments.seconds)
    return _fuzz(arguments.target, arguments.seconds)


def _all(seconds: int) -> int:
    """Each target in a process of its own: libFuzzer never comes back from one."""
    from fuzz.targets import TARGETS

    failed = [
        name
        for name in TARGETS
        if subprocess.run([sys.executable, __file__, name, "--seconds", str(seconds)], check=False).returncode
    ]
    print(f"{len(TARGETS) - len(failed)} passed, {len(failed)} failed", *failed)
    return 1 if failed else 0


def _fuzz(name: str, seconds: int) -> int:
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris (there are wheels for Linux)", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=PACKAGES):
        from fuzz.targets import TARGETS
    found, kept = FOUND / name, CORPUS / name
    for directory in (found, kept):
        directory.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_LENGTH}",
        f"-timeout={SLOWEST_S}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(found), str(kept)], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
