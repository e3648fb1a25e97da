"""A status moves only along its table, and only once: by an UPDATE that names the status it leaves."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from django.db import models

from backend.stored import update


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
        """Move this row and write ``changes`` with it, in one guarded UPDATE. Raises MoveRefused.

        The guard is the backstop behind the row locks: of two processes that both read the old status, one moves it.
        """
        if not self.may_become(status):
            raise MoveRefused(f"{self._meta.label} {self.pk}: {self.status} may not become {status}")
        rows = update(type(self), {"status": status, **changes}, pk=self.pk, status=self.status)
        if rows != 1:
            raise MoveRefused(f"{self._meta.label} {self.pk} is no longer {self.status}")
        for name, value in {"status": status, **changes}.items():
            setattr(self, name, value)
        return self
