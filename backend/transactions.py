"""Transactions that try again when the database asks for it."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import OperationalError, transaction

P = ParamSpec("P")
R = TypeVar("R")

TRIES = 3
SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"


def in_transaction(use_case: Callable[P, R]) -> Callable[P, R]:
    """Run the whole use case in one transaction; on a deadlock or serialization failure roll back and run it again.

    Tried at most three times, with a short random pause. Inside an outer transaction it runs once, because only the
    outermost can be run again as a whole.
    """

    @functools.wraps(use_case)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, TRIES + 1):
            try:
                with transaction.atomic():
                    return use_case(*args, **kwargs)
            except OperationalError as error:
                if attempt == TRIES or transaction.get_connection().in_atomic_block or not wants_another_try(error):
                    raise
                time.sleep(random.uniform(0.005, 0.02) * attempt)  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    return run


def wants_another_try(error: OperationalError) -> bool:
    """Whether PostgreSQL undid the transaction for another's sake and expects it again (PostgreSQL manual, 13.5)."""
    return getattr(error.__cause__, "sqlstate", None) in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED)
