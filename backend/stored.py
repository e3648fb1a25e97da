"""Rows stored by statements that are written once, as ``prepared`` reads them: without signals, ``save`` or a SELECT.

For the few writes that the load is made of, nowhere else: ``save`` says more.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models

from backend.prepared import execute

Row = TypeVar("Row", bound=models.Model)


def insert(row: Row, *, on_conflict: str = "") -> Row:
    """Store a new row and learn its key, as ``save`` does, but without signals.

    With ``on_conflict``, a clause of SQL, the key may be that of a row which was there already.
    """
    sql = f"{_insertion(type(row), rows=1)} {on_conflict} RETURNING {_column(type(row), 'pk')}"
    row.pk = execute(sql, _columns_of(row)).fetchone()[0]
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    return row


def insert_all(rows: Sequence[models.Model]) -> None:
    """Store new rows of one model in one statement. Their keys stay unknown here."""
    if rows:
        execute(_insertion(type(rows[0]), rows=len(rows)), [value for row in rows for value in _columns_of(row)])


def insert_together(*groups: Sequence[models.Model]) -> None:
    """Store new rows of several models, one model a group, in one statement where the database can.

    A row may refer to the one row of an earlier group, which has no key yet. Of a group of one row the key is known
    afterwards, and the reference of whoever refers to it.
    """
    groups = tuple(rows for rows in groups if rows)
    if connection.vendor == "postgresql" and len(groups) > 1:
        _insert_as_one(groups)
        return
    for rows in groups:
        _follow_references(rows)
        if len(rows) == 1:
            insert(rows[0])
        else:
            insert_all(rows)


def _insert_as_one(groups: Sequence[Sequence[models.Model]]) -> None:
    new = {id(rows[0]): place for place, rows in enumerate(groups) if len(rows) == 1}
    shape = tuple((type(rows[0]), len(rows), _references(rows[0], new)) for rows in groups)
    values = [
        value
        for rows, (_, _, references) in zip(groups, shape, strict=True)
        for row in rows
        for place, value in enumerate(_columns_of(row))
        if place not in dict(references)
    ]
    keys = execute(_family(shape), values).fetchone()
    for place, key in zip(new.values(), keys, strict=False):  # a column stands there also where no key is asked for
        row = groups[place][0]
        row.pk = key
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    for rows in groups:
        _follow_references(rows)


Shape = tuple[tuple[type[models.Model], int, tuple[tuple[int, int], ...]], ...]
"""Of each group: its model, how many rows, and which of its columns (by place) refers to which group."""


def _references(row: models.Model, new: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
    """The columns of a row whose value is the key of a row that is stored with it."""
    found = []
    for place, field in enumerate(_insertable(type(row))):
        if field.is_relation and getattr(row, field.attname) is None and field.is_cached(row):
            found.append((place, new[id(field.get_cached_value(row))]))
    return tuple(found)


def _follow_references(rows: Sequence[models.Model]) -> None:
    """Learn the keys of rows that had none when they were referred to, as ``save`` does."""
    for row in rows:
        for field in _insertable(type(row)):
            if field.is_relation and getattr(row, field.attname) is None and field.is_cached(row):
                setattr(row, field.attname, field.get_cached_value(row).pk)


@cache
def _family(shape: Shape) -> str:
    """One INSERT for each group, as parts of one statement (PostgreSQL manual, 7.8.4); it returns the keys."""
    parts, keys = [], []
    for group, (model, many, references) in enumerate(shape):
        parts.append(f"g{group} AS ({_insertion(model, rows=many, references=references)}")
        if many == 1:
            keys.append(f"(SELECT {_column(model, 'pk')} FROM g{group})")  # noqa: S608 - names of ours alone
            parts[-1] += f" RETURNING {_column(model, 'pk')}"
        parts[-1] += ")"
    return f"WITH {', '.join(parts)} SELECT {', '.join(keys) or '1'}"


def insert_new(rows: Sequence[models.Model], *, returning: str) -> list[Any]:
    """Store, in one statement, those rows that no unique constraint forbids; the field ``returning`` of these."""
    if not rows:
        return []
    model = type(rows[0])
    sql = f"{_insertion(model, rows=len(rows))} ON CONFLICT DO NOTHING RETURNING {_column(model, returning)}"
    return [value for (value,) in execute(sql, [value for row in rows for value in _columns_of(row)]).fetchall()]


@cache
def _column(model: type[models.Model], name: str) -> str:
    field: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
    return str(connection.ops.quote_name(field.column))


@cache
def _insertion(model: type[models.Model], *, rows: int, references: tuple[tuple[int, int], ...] = ()) -> str:
    quote, group_of = connection.ops.quote_name, dict(references)
    fields = _insertable(model)
    row = ", ".join(_place(field, group_of.get(place)) for place, field in enumerate(fields))
    columns = ", ".join(quote(field.column) for field in fields)
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES {', '.join([f'({row})'] * rows)}"  # noqa: S608


def _place(field: Any, group: int | None) -> str:
    """Where a value goes; or the key of a row that is stored in the same statement."""
    return "%s" if group is None else f"(SELECT {_column(field.related_model, 'pk')} FROM g{group})"  # noqa: S608


@cache
def _insertable(model: type[models.Model]) -> list[Any]:
    """All fields but a key that the database counts up."""
    return [field for field in model._meta.concrete_fields if field is not model._meta.auto_field]


def _columns_of(row: models.Model) -> Sequence[Any]:
    fields, take, whole_numbers = _taken(type(row))
    if take is None:
        return [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    return _typed(list(take(row)), whole_numbers)


PLAIN = (
    *(models.CharField, models.TextField, models.BooleanField, models.ForeignKey, models.DateTimeField),
    *(models.DateField, models.IntegerField, models.BigIntegerField, models.BigAutoField),
)
"""Fields whose values go to PostgreSQL as they are; whole numbers with the size of their column."""
WholeNumbers = Sequence[tuple[int, Callable[[Any], Any]]]
"""Where in a list of values a whole number is, and what says the size of its column to the driver."""


@cache
def _taken(model: type[models.Model]) -> tuple[list[Any], Callable[[Any], Sequence[Any]] | None, WholeNumbers]:
    """The fields of a new row; how to take all their values at once, where all are plain; where whole numbers are."""
    fields = _insertable(model)
    whole_numbers = _whole_numbers(fields)
    if whole_numbers is None or len(fields) < 2:
        return fields, None, ()
    return fields, attrgetter(*(field.attname for field in fields)), whole_numbers


def _whole_numbers(fields: Sequence[Any]) -> WholeNumbers | None:
    """Where whole numbers are among the values of these fields; None where any value needs more than that."""
    if connection.vendor != "postgresql" or any(type(field) not in PLAIN for field in fields):
        return None
    sizes = connection.ops.integerfield_type_map  # type: ignore[attr-defined] # of PostgreSQL's
    numbers = [(place, sizes.get(field.get_internal_type())) for place, field in enumerate(fields)]
    return [(place, size) for place, size in numbers if size is not None]


def _typed(values: list[Any], whole_numbers: WholeNumbers) -> list[Any]:
    for place, typed in whole_numbers:
        if values[place] is not None:
            values[place] = typed(values[place])
    return values


Change = tuple[type[models.Model], Mapping[str, Any], Mapping[str, Any]]
"""A model, what is written (field → value), and to the rows where these fields have these values."""


def update(model: type[models.Model], changes: Mapping[str, Any], **where: Any) -> int:
    """Write ``changes`` to the rows whose fields equal ``where``; how many there were."""
    sql, fields, whole_numbers = _change(model, tuple(changes), tuple(where))
    values = [*changes.values(), *where.values()]
    return int(execute(sql, _as_stored(values, fields, whole_numbers)).rowcount)


def update_together(*changes: Change) -> list[int]:
    """Make each change, in one statement where the database can; of each, how many rows there were.

    In no certain order: who shares the rows with others has locked them before.
    """
    if connection.vendor != "postgresql" or len(changes) < 2:
        return [update(model, written, **where) for model, written, where in changes]
    sql, fields, whole_numbers = _changes(*((model, tuple(to), tuple(where)) for model, to, where in changes))
    values = [value for _, written, where in changes for value in (*written.values(), *where.values())]
    return list(execute(sql, _as_stored(values, fields, whole_numbers)).fetchone())


def _as_stored(values: list[Any], fields: Sequence[Any], whole_numbers: WholeNumbers | None) -> list[Any]:
    if whole_numbers is not None:
        return _typed(values, whole_numbers)
    return [field.get_db_prep_save(value, connection) for field, value in zip(fields, values, strict=True)]


@cache
def _change(
    model: type[models.Model], changes: tuple[str, ...], where: tuple[str, ...]
) -> tuple[str, list[Any], WholeNumbers | None]:
    """The statement of one change; the fields of its values, and where among these whole numbers are."""
    quote, meta = connection.ops.quote_name, model._meta
    fields: list[Any] = [meta.pk if name == "pk" else meta.get_field(name) for name in (*changes, *where)]
    parts = [f"{quote(field.column)} = %s" for field in fields]
    setting, guard = ", ".join(parts[: len(changes)]), " AND ".join(parts[len(changes) :])
    sql = f"UPDATE {quote(meta.db_table)} SET {setting} WHERE {guard}"  # noqa: S608 - names of ours alone
    return sql, fields, _whole_numbers(fields)


@cache
def _changes(
    *shapes: tuple[type[models.Model], tuple[str, ...], tuple[str, ...]],
) -> tuple[str, list[Any], WholeNumbers | None]:
    """All of them as parts of one statement (PostgreSQL manual, 7.8.4), which returns how many rows each met."""
    each = [_change(*shape) for shape in shapes]
    parts = ", ".join(f"c{place} AS ({sql} RETURNING 1)" for place, (sql, _, _) in enumerate(each))
    counts = ", ".join(f"(SELECT count(*) FROM c{place})" for place in range(len(each)))  # noqa: S608
    fields = [field for _, of_one, _ in each for field in of_one]
    return f"WITH {parts} SELECT {counts}", fields, _whole_numbers(fields)
