"""`.venv/bin/python -m bench.page`: everything that docs/performance.md shows, measured now, and the page made of it.

Half an hour on a quiet machine of two cores. What it measures stays in docs/performance until it is measured again.
"""

import argparse
import signal
import subprocess
import sys

from bench import plots, results
from bench.servers import ROOT

WHOLE: dict[str, tuple[str, ...]] = {
    "run": (),
    "purchase": (),
    "growth": ("--seconds", "0"),
    "nodes": (),
    "jobs": (),
    "bill": (),
    "stream": (),
}
QUICK: dict[str, tuple[str, ...]] = {
    "run": ("--requests", "200"),
    "purchase": ("--rounds", "1", "--clients", "150", "--hold", "20"),
    "growth": ("--sizes", "10000", "100000", "--requests", "150", "--due", "5000", "--seconds", "15"),
    "nodes": ("--requests", "200"),
    "jobs": ("--orders", "500"),
    "bill": ("--rows", "100000"),
    "stream": ("--clients", "1000", "--notifies", "300", "--idle", "15"),
}


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = QUICK if options.quick else WHOLE
    for name in options.benches or chosen:
        print(f"bench.{name}…", file=sys.stderr, flush=True)
        if run("-m", f"bench.{name}", *chosen[name], "--json", str(results.PAGE / f"{name}.json")):
            print(f"bench.{name} failed: the page keeps its last figures", file=sys.stderr, flush=True)
    plots.main()


def run(*command: str) -> int:
    """Its exit status. It ends with us, and takes its servers with it."""
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    try:
        return process.wait()
    finally:
        process.terminate()
        process.wait()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.page", description=__doc__)
    parser.add_argument("benches", nargs="*", choices=[[], *WHOLE], help="only these (all of them)")
    parser.add_argument("--quick", action="store_true", help="fewer requests, smaller tables: minutes, and less exact")
    return parser.parse_args()


if __name__ == "__main__":
    main()
