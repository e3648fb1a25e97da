"""`.venv/bin/python -m bench.attacks`: what each attack of the corpus costs the server, in processor time.

Each is sent three times to the production server over HTTP, and the dearest time counts. No attack may cost over
250 ms, no bomb of fragments over 50. A try to sign in costs a password check besides, which is dear on purpose and
bounded by the limits on tries: it is measured once with an honest request, and taken off.
"""

import http.client
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.postgres import free_port
from bench.servers import Server, served
from bench.setup import environment, manage, new_key
from tests.edge.corpus import LOGIN_AS, Attack, all_attacks, ask, bomb

MOST_MS, MOST_BOMB_MS = 250.0, 50.0
TIMES = 3
SHOWN = 15
PLAIN = ask("{ __typename }", None)
HONEST_LOGIN = ask(LOGIN_AS, None, n="nobody", p="a wrong password")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="coursepay-attacks-") as name:
        folder = Path(name)
        for key in ("app", "alipay"):
            new_key(folder / f"{key}.pem", public=folder / f"{key}_public.pem")
        env = environment(folder, f"sqlite:///{folder}/shop.sqlite3")
        manage(env, "migrate", "--verbosity", "0")
        with served("backend", "backend.wsgi:application", free_port(), env) as server:
            figures, login = measure(server)
    sys.exit(report(figures, login))


def measure(server: Server) -> tuple[Mapping[str, float], float]:
    """Milliseconds of each attack, and of an honest try to sign in."""
    for _ in range(50):
        cost(server, PLAIN)
    login = min(cost(server, HONEST_LOGIN) for _ in range(TIMES))
    attacks = all_attacks()
    attacks |= {
        f"a bomb of {levels} levels": ask("{ ...F0 } " + bomb(levels), None) for levels in (5, 50, 100, 150, 200)
    }
    figures = {}
    for name, attack in attacks.items():
        dearest = max(cost(server, attack) for _ in range(TIMES))
        figures[name] = max(dearest - login, 0.0) if signs_in(attack) else dearest
    return figures, login


def signs_in(attack: Attack) -> bool:
    return attack.code is None and b"login(" in attack.body


def cost(server: Server, attack: Attack) -> float:
    """Milliseconds of processor time of the whole server for one request. An answer of 5xx ends the run."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {**attack.headers, **({"Content-Type": attack.content_type} if attack.content_type else {})}
    before = server.cpu_seconds()
    connection.request(attack.method, f"/graphql?{attack.query_string}", attack.body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        sys.exit(f"bench: an attack was answered with {answer.status}: {attack.body[:200]!r}")
    return (server.cpu_seconds() - before) * 1000


def report(figures: Mapping[str, float], login: float) -> int:
    """Print the dearest; 1 when one of them costs too much."""
    print(f"{len(figures)} attacks, the dearest of {TIMES} times each, CPU ms of the server ({os.cpu_count()} cores)\n")
    for name, milliseconds in sorted(figures.items(), key=lambda item: -item[1])[:SHOWN]:
        print(f"{name:<50}{milliseconds:>8.1f}")
    bombs = {name: milliseconds for name, milliseconds in figures.items() if "bomb" in name}
    print(f"\ndearest bomb: {max(bombs.values()):.1f} (at most {MOST_BOMB_MS:.0f})")
    print(f"dearest of all: {max(figures.values()):.1f} (at most {MOST_MS:.0f})")
    print(f"one password check, taken off where one was made: {login:.1f}")
    return int(max(figures.values()) > MOST_MS or max(bombs.values()) > MOST_BOMB_MS)


if __name__ == "__main__":
    main()
