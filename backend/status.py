"""A status moves only along its table, and only once: by an UPDATE that names the status it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from django.db import models

from backend.stored import update_together


class MoveRefused(Exception):
    """The table knows no such move, or another process moved the row first. The transaction must be rolled back."""


class HasStatus(models.Model):
    """A row with a ``status`` that follows ``ALLOWED``: from each status, the statuses that may come next."""

    ALLOWED: ClassVar[Mapping[str, frozenset[str]]] = {}
    status: Any

    class Meta:
        abstract = True

    def may_become(self, status: str) -> bool:
        return status in self.ALLOWED[self.status]

    def move_to(self, status: str, **changes: Any) -> Self:
        """Move this row and write ``changes`` with it, in one guarded UPDATE. Raises MoveRefused."""
        move_together(Move(self, status, changes))
        return self


@dataclass(frozen=True, slots=True)
class Move:
    """A row's next status, and what is written with it."""

    row: HasStatus
    status: str
    changes: Mapping[str, Any]

    @property
    def written(self) -> dict[str, Any]:
        return {"status": self.status, **self.changes}

    def __str__(self) -> str:
        return f"{self.row._meta.label} {self.row.pk}"


def move_together(*moves: Move) -> None:
    """Make each move, by a guarded UPDATE; in one statement where the database can. Raises MoveRefused.

    The guard is the backstop behind the row locks: of two processes that both read the old status, one moves it.
    """
    for move in moves:
        if not move.row.may_become(move.status):
            raise MoveRefused(f"{move}: {move.row.status} may not become {move.status}")
    counts = update_together(
        *((type(move.row), move.written, {"pk": move.row.pk, "status": move.row.status}) for move in moves)
    )
    for move, count in zip(moves, counts, strict=True):
        if count != 1:
            raise MoveRefused(f"{move} is no longer {move.row.status}")
    for move in moves:
        for name, value in move.written.items():
            setattr(move.row, name, value)
