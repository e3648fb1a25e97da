"""T21: what is secret in a run may stand in no log of the shop's programs, and in no answer that a buyer gets."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.canaries import IN_LOGS, Watch, planted
from tests.engine.programs import Program
from tests.events.endpoint import SECRET

IN_ANSWERS = {name: IN_LOGS[name] for name in ("a token", "a private key")}
"""Nobody signs in here; a signature belongs into the address of the cashier."""


@cache
def secrets() -> dict[str, str]:
    return {**planted(), "EVENT_SECRET": SECRET}


def watch() -> Watch:
    return Watch(secrets())


def in_logs(programs: Sequence[Program], postgres: Path | None = None) -> list[str]:
    """PostgreSQL writes a statement that failed with its values, a notify's signature among them: of its log only the
    secrets themselves are asked."""
    found = watch()
    for program in programs:
        found.look(program.said(), program.log.name, IN_LOGS)
    if postgres is not None:
        found.look(postgres.read_text(errors="replace"), "the log of PostgreSQL")
    return sorted(found.seen)
