"""Statements that Django writes once and the process runs many times.

Writing the SQL of a small query takes Django several times as long as sending it and reading the answer. What is asked
in every request is therefore written once, by Django, from the models; after that only the values change. The rows are
the same model instances. It is for the few statements that the load is made of, nowhere else: a queryset says more.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property, partial
from operator import itemgetter
from typing import Any, Generic, TypeVar

from django.db import connection, models
from django.db.models.expressions import Expression
from django.db.models.query import get_related_populators

Row = TypeVar("Row", bound=models.Model)


class Argument(Expression):
    """Stands in a filter for a value that is given at each run; it must be of the column's own type.

    With ``many`` it stands behind ``__in``, for a sequence of so many values.
    """

    def __init__(self, name: str, *, many: int | None = None) -> None:
        super().__init__()
        self.name, self.many = name, many

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        if self.many is None:
            return "%s", [itemgetter(self.name)]
        places = range(self.many)
        return f"({', '.join(['%s'] * self.many)})", [partial(_one_of, self.name, place) for place in places]


def _one_of(name: str, place: int, values: Mapping[str, Any]) -> Any:
    return values[name][place]


class Prepared(Generic[Row]):
    """A queryset of whole rows, made by ``build`` with Arguments in its filters; ``select_related`` works."""

    def __init__(self, build: Callable[[], models.QuerySet[Row]]) -> None:
        self.build = build

    def all(self, **values: Any) -> list[Row]:
        plan = self.plan
        with connection.cursor() as cursor:
            cursor.execute(plan.sql, [value(values) if callable(value) else value for value in plan.params])
            return [plan.row_of(columns) for columns in plan.converted(cursor.fetchall())]

    def first(self, **values: Any) -> Row | None:
        return next(iter(self.all(**values)), None)

    @cached_property
    def plan(self) -> "Plan":
        return Plan(self.build())


class Plan:
    """The SQL, and how its columns become instances: what Django's ModelIterable finds out anew for every query."""

    def __init__(self, queryset: models.QuerySet[Any]) -> None:
        self.compiler: Any = queryset.query.get_compiler(connection=connection)
        self.sql, self.params = self.compiler.as_sql()
        info, select = self.compiler.klass_info, self.compiler.select
        chosen = info["select_fields"]
        self.model, self.alias = info["model"], connection.alias
        self.columns = slice(chosen[0], chosen[-1] + 1)
        self.names = [column.target.attname for column, _, _ in select[self.columns]]
        self.related = get_related_populators(info, select, self.alias)  # type: ignore[call-arg] # as Django 5.2 has it
        self.converters = self.compiler.get_converters([column for column, _, _ in select])

    def converted(self, rows: Sequence[Any]) -> Iterable[Any]:
        return self.compiler.apply_converters(rows, self.converters) if self.converters else rows

    def row_of(self, columns: Any) -> Any:
        row = self.model.from_db(self.alias, self.names, columns[self.columns])
        for populator in self.related:
            populator.populate(columns, row)
        return row


def insert(row: Row) -> Row:
    """Store a new row and learn its key, as ``save`` does, but without signals."""
    sql = f"{_insertion(type(row), rows=1)} RETURNING {_key_column(type(row))}"
    with connection.cursor() as cursor:
        cursor.execute(sql, _columns_of(row))
        row.pk = cursor.fetchone()[0]
    row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - as save leaves it
    return row


def insert_all(rows: Sequence[models.Model]) -> None:
    """Store new rows of one model in one statement. Their keys stay unknown here."""
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_insertion(type(rows[0]), rows=len(rows)), [v for row in rows for v in _columns_of(row)])


def insert_new(rows: Sequence[models.Model], *, returning: str) -> list[Any]:
    """Store, in one statement, those rows that no unique constraint forbids; the field ``returning`` of these."""
    if not rows:
        return []
    model = type(rows[0])
    column = connection.ops.quote_name(str(model._meta.get_field(returning).column))  # type: ignore[union-attr]
    sql = f"{_insertion(model, rows=len(rows))} ON CONFLICT DO NOTHING RETURNING {column}"
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for row in rows for value in _columns_of(row)])
        return [value for (value,) in cursor.fetchall()]


@cache
def _key_column(model: type[models.Model]) -> str:
    key: Any = model._meta.pk
    return str(connection.ops.quote_name(key.column))


@cache
def _insertion(model: type[models.Model], *, rows: int) -> str:
    quote = connection.ops.quote_name
    columns = [quote(field.column) for field in _insertable(model)]
    values = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * rows)
    return f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(columns)}) VALUES {values}"  # noqa: S608


@cache
def _insertable(model: type[models.Model]) -> list[Any]:
    """All fields but a key that the database counts up."""
    return [field for field in model._meta.concrete_fields if field is not model._meta.auto_field]


def _columns_of(row: models.Model) -> list[Any]:
    return [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in _insertable(type(row))]


def update(model: type[models.Model], changes: Mapping[str, Any], **where: Any) -> int:
    """Write ``changes`` to the rows whose fields equal ``where``; how many there were."""
    sql, fields = _change(model, tuple(changes), tuple(where))
    values = zip(fields, (*changes.values(), *where.values()), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(sql, [field.get_db_prep_save(value, connection) for field, value in values])
        return int(cursor.rowcount)


@cache
def _change(model: type[models.Model], changes: tuple[str, ...], where: tuple[str, ...]) -> tuple[str, list[Any]]:
    quote, meta = connection.ops.quote_name, model._meta
    fields: list[Any] = [meta.pk if name == "pk" else meta.get_field(name) for name in (*changes, *where)]
    parts = [f"{quote(field.column)} = %s" for field in fields]
    setting, guard = ", ".join(parts[: len(changes)]), " AND ".join(parts[len(changes) :])
    return f"UPDATE {quote(meta.db_table)} SET {setting} WHERE {guard}", fields  # noqa: S608
