"""``fediviews`` and ``python -m service``: the command line."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    # Until everything is imported, Ctrl-C ends the process as it ends any program, without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from service.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
