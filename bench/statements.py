"""`.venv/bin/python -m bench.statements`: what the shop and the floor send to PostgreSQL for a request of each kind.

The floor is a floor only as long as it sends no more than the shop does. Ends with 1 where it does.
"""

import argparse
import re
import signal
import sys
import time
from collections.abc import Sequence

import psycopg

from bench import postgres
from bench.load import send
from bench.operations import FLOOR, SERVER, Buyer, Paths
from bench.peers import NAMES, TITLES
from bench.run import asking
from bench.servers import served
from bench.setup import Ground, ground, seed
from bench.tables import Table

WARM = 5
STATEMENT = re.compile(r"(?:statement|execute [^:]*): (.*?)(?=\n\d{4}-\d\d-\d\d |\Z)", re.DOTALL)
SIDES: dict[str, tuple[str, Paths]] = {
    "ours": ("backend.wsgi:application", SERVER),
    "floor": ("bench.floor:application", FLOOR),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.statements", description=__doc__)
    parser.add_argument("--texts", action="store_true", help="print each statement, not only how many")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ground(log_statement="all", log_destination="stderr") as here:
        buyers = seed(here.env, here.folder / "tokens", len(SIDES) * (WARM + 1))
        groups = {side: buyers[place :: len(SIDES)] for place, side in enumerate(SIDES)}
        sent = {side: all_sent(here, *SIDES[side], groups[side]) for side in SIDES}
    if options.texts:
        for side, by_name in sent.items():
            for name in NAMES:
                print(f"--- {side}: {TITLES[name]}", *by_name[name], sep="\n")
    rows = [[TITLES[name], *(str(len(sent[side][name])) for side in SIDES)] for name in NAMES]
    print(Table("Statements", "For one request, BEGIN and COMMIT included.", ["", *SIDES], rows).text())
    sys.exit(any(len(sent["floor"][name]) > len(sent["ours"][name]) for name in NAMES))


def all_sent(here: Ground, application: str, paths: Paths, buyers: Sequence[Buyer]) -> dict[str, list[str]]:
    """By operation: the statements of the last buyer's, after the others have warmed the server up."""
    found = {}
    with served(application, application, postgres.free_port(), here.env) as server:
        for name in NAMES:
            operation = asking(here, paths)[name]
            send(server.port, [operation(buyer) for buyer in buyers[:-1]])
            time.sleep(1)  # what the publishing thread still tells
            before = len(log_of(here))
            send(server.port, [operation(buyers[-1])])
            time.sleep(1)
            found[name] = [" ".join(text.split()) for text in STATEMENT.findall(log_of(here)[before:])]
    return found


def log_of(here: Ground) -> str:
    """PostgreSQL's own, of this run."""
    with psycopg.connect(here.url, autocommit=True, options="-c log_statement=none") as server:
        row = server.execute("SELECT pg_read_file('../log')").fetchone()
    return str(row[0]) if row else ""


if __name__ == "__main__":
    main()
