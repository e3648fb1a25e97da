"""Transactions that try again when the database asks for it, and only then."""

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from backend import transactions
from backend.limits.models import Counter
from backend.transactions import in_transaction


class DatabaseSays(Exception):
    def __init__(self, sqlstate):
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def failure(sqlstate):
    error = OperationalError(f"sqlstate {sqlstate}")
    error.__cause__ = DatabaseSays(sqlstate)
    return error


@pytest.fixture
def pauses(monkeypatch):
    """How long was waited, without waiting."""
    found = []
    monkeypatch.setattr(transactions.time, "sleep", found.append)
    return found


def work(*outcomes):
    """A use case that writes a row and then meets each of these in turn; and what it was called with."""
    calls = []

    @in_transaction
    def run(*args, **more):
        calls.append((args, more, connection.in_atomic_block))
        Counter.objects.create(key=f"try {len(calls)}", began_at=0, times=0)
        outcome = outcomes[len(calls) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return run, calls


def rows():
    return list(Counter.objects.order_by("key").values_list("key", flat=True))


@pytest.mark.django_db(transaction=True)
def test_it_runs_once_in_a_transaction(pauses):
    run, calls = work("done")
    assert run(1, two=2) == "done"
    assert calls == [((1,), {"two": 2}, True)]
    assert (rows(), pauses) == (["try 1"], [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_it_runs_again_after_a_deadlock_or_serialization_failure(pauses, sqlstate):
    run, calls = work(failure(sqlstate), failure(sqlstate), "done")
    assert run(1, two=2) == "done"
    assert calls == [((1,), {"two": 2}, True)] * 3
    assert rows() == ["try 3"]  # what the first two wrote is undone
    assert len(pauses) == 2
    assert 0.005 <= pauses[0] <= 0.02
    assert 0.01 <= pauses[1] <= 0.04


@pytest.mark.django_db(transaction=True)
def test_it_runs_three_times_at_the_most(pauses):
    last = failure("40001")
    run, calls = work(failure("40001"), failure("40P01"), last, "never")
    with pytest.raises(OperationalError) as raised:
        run()
    assert raised.value is last
    assert (len(calls), rows(), len(pauses)) == (3, [], 2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "error",
    [failure("55P03"), failure("57014"), failure("08006"), OperationalError("database is locked"), failure(None),
     IntegrityError("unique"), ValueError("a bug")],
    ids=str,
)  # fmt: skip
def test_no_other_failure_is_tried_again(pauses, error):
    run, calls = work(error, "never")
    with pytest.raises(type(error)) as raised:
        run()
    assert raised.value is error
    assert (len(calls), rows(), pauses) == (1, [], [])


@pytest.mark.django_db(transaction=True)
def test_within_an_outer_transaction_it_runs_once(pauses):
    """Only the outermost can be run again as a whole."""
    run, calls = work(failure("40001"), "never")

    @transaction.atomic
    def outer():
        Counter.objects.create(key="outer", began_at=0, times=0)
        run()

    with pytest.raises(OperationalError):
        outer()
    assert (len(calls), rows(), pauses) == (1, [], [])


@pytest.mark.django_db(transaction=True)
def test_of_two_the_outer_one_runs_again(pauses):
    inner, inner_calls = work(failure("40P01"), "done")
    outer_calls = []

    @in_transaction
    def outer():
        outer_calls.append(1)
        return inner()

    assert outer() == "done"
    assert (len(outer_calls), len(inner_calls), rows(), len(pauses)) == (2, 2, ["try 2"], 1)


def test_it_keeps_its_name():
    @in_transaction
    def named():
        """Its words."""

    assert (named.__name__, named.__doc__) == ("named", "Its words.")
