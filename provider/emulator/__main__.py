"""`python -m provider.emulator`: the server without the command line of ApiQL around it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from provider.emulator.server import LOOPBACK, serve
from provider.errors import Error


def main() -> int:
    """Serves until interrupted; answers the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m provider.emulator", description="A local server that speaks the Assistants API."
    )
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8089, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="directory of the stored objects (default: memory)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to each answer")
    parser.add_argument("--fail-rate", type=float, default=0.0, help="share of requests answered 500, 0 to 1")
    parser.add_argument("--rate-limit", type=int, help="requests per minute before 429")
    parser.add_argument("--seed", type=int, default=0, help="of ids and of the requests that fail")
    parser.add_argument("--step-seconds", type=float, default=0.2, help="how long a run stays in a status")
    options = vars(parser.parse_args())
    try:
        serve(**options)
    except Error as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


sys.exit(main())
