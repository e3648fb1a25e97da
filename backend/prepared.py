"""Statements that Django writes once and the process runs many times.

Writing the SQL of a small query takes Django several times as long as sending it and reading the answer. What is asked
in every request is therefore written once, by Django, from the models; after that only the values change. The rows are
the same model instances. It is for the few statements that the load is made of, nowhere else: a queryset says more.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.base import ModelState
from django.db.models.expressions import Expression
from django.utils.functional import cached_property

from backend.postgresql.statements import run_prepared

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
    """A queryset of rows, made by ``build`` with Arguments in its filters; ``select_related`` and ``annotate`` work."""

    def __init__(self, build: Callable[[], models.QuerySet[Row]]) -> None:
        self.build = build

    def all(self, **values: Any) -> list[Row]:
        plan = self.plan
        arguments = [value(values) if callable(value) else value for value in plan.params]
        cursor = execute(plan.sql, arguments, binary=not plan.converters)  # Django's converters expect text
        return [plan.row_of(columns) for columns in plan.converted(cursor.fetchall())]

    def first(self, **values: Any) -> Row | None:
        return next(iter(self.all(**values)), None)

    @cached_property
    def plan(self) -> "Plan":
        return Plan(self.build())


class PreparedIn(Generic[Row]):
    """A queryset that takes a list: ``build`` is given what stands behind ``__in``.

    One statement for 1, 2, 4, 8… values; a list between repeats its last. (An array in one parameter would be one
    statement, for which PostgreSQL makes a new plan at every run: it takes the list to be longer than it is.)
    """

    def __init__(self, build: Callable[[Argument], models.QuerySet[Row]]) -> None:
        self.build = build
        self._by_size: dict[int, Prepared[Row]] = {}

    def all(self, listed: Sequence[Any], **values: Any) -> list[Row]:
        if not listed:
            return []
        size = 1 << (len(listed) - 1).bit_length()
        if (prepared := self._by_size.get(size)) is None:
            prepared = self._by_size[size] = Prepared(lambda: self.build(Argument("listed", many=size)))
        return prepared.all(listed=[*listed, *[listed[-1]] * (size - len(listed))], **values)


class Plan:
    """The SQL, and how its columns become instances: what Django's ModelIterable finds out anew for every query."""

    def __init__(self, queryset: models.QuerySet[Any]) -> None:
        self.compiler: Any = queryset.query.get_compiler(connection=connection)
        self.sql, self.params = self.compiler.as_sql()
        select = self.compiler.select
        self.whole = Instances(self.compiler.klass_info, select)
        self.annotations = self.compiler.annotation_col_map
        self.converters = self.compiler.get_converters([column for column, _, _ in select])

    def converted(self, rows: Sequence[Any]) -> Iterable[Any]:
        return self.compiler.apply_converters(rows, self.converters) if self.converters else rows

    def row_of(self, columns: Any) -> Any:
        row = self.whole.instance(columns)
        for name, place in self.annotations.items():
            row.__dict__[name] = columns[place]
        return row


class Instances:
    """Makes instances of one model, and of those that come along, from the columns of a row.

    As ``Model.from_db`` makes them, without the call of ``__init__`` and its signals, which take longer than the
    query: no model of ours has either. A column that was not asked for is fetched when it is looked at.
    """

    def __init__(self, info: Mapping[str, Any], select: Sequence[Any]) -> None:
        chosen = info["select_fields"]
        self.model, self.columns = info["model"], slice(chosen[0], chosen[-1] + 1)
        self.names = [column.target.attname for column, _, _ in select[self.columns]]
        self.key = chosen[0] + self.names.index(self.model._meta.pk.attname)
        self.related = [
            (Instances(part, select), part["local_setter"], part["remote_setter"])
            for part in info.get("related_klass_infos", ())
        ]

    def instance(self, columns: Any) -> Any:
        row = self.model.__new__(self.model)
        row.__dict__.update(zip(self.names, columns[self.columns], strict=True))
        row._state = ModelState()
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
        for part, of_row, of_related in self.related:
            related = part.instance(columns) if columns[part.key] is not None else None
            of_row(row, related)
            if related is not None:
                of_related(related, row)
        return row


def execute(sql: str, values: Sequence[Any], *, binary: bool = True) -> Any:
    """Run a statement; its cursor, or what can be asked of one: ``fetchone``, ``fetchall``, ``rowcount``.

    To PostgreSQL it goes past what Django's cursor does for those who watch, and once it is prepared past psycopg's.
    Only when nobody watches: no ``execute_wrapper``, no log of queries. PostgreSQL's binary form is read faster than
    its text, and as the same types.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]  # looked up once: ``connection`` does it for every attribute
    if database.vendor != "postgresql" or database.execute_wrappers or database.queries_logged:
        cursor: Any = database.cursor()
        cursor.execute(sql, values)
        return cursor
    database.ensure_connection()
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        if (answer := run_prepared(database.connection, sql, values, binary=binary)) is not None:
            return answer
        cursor = database.connection.cursor(binary=binary)
        cursor.execute(sql, values)
    return cursor
