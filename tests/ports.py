"""Ports for servers that a test starts."""

import random
import socket
from contextlib import ExitStack

LOWEST, HIGHEST = 20_000, 32_000
"""Below the range from which Linux takes clients' ports: none of them takes the port before the server does."""

CHANCE = random.SystemRandom()  # another run beside this one must not draw the same


def free_ports(count: int) -> list[int]:
    """So many ports of 127.0.0.1 that nobody listens at."""
    with ExitStack() as stack:
        return [_bound(stack.enter_context(socket.socket())) for _ in range(count)]


def _bound(probe: socket.socket) -> int:
    for _ in range(100):
        port = CHANCE.randrange(LOWEST, HIGHEST)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    raise OSError("no free port")
