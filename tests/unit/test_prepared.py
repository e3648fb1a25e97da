"""Statements written once give the rows, and write the rows, that Django's own would."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from backend.accounts.models import AccessToken, User
from backend.courses.models import Course
from backend.prepared import Argument, Prepared, insert, insert_all, insert_new, update

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 31, 4, 0, tzinfo=UTC)


def test_each_run_takes_its_own_values(courses):
    by_price = Prepared(lambda: Course.objects.filter(on_sale=True, price_fen=Argument("fen")))
    assert [by_price.first(fen=fen) for fen in (11700, 1, 7)] == [courses[0], courses[2], None]


def test_rows_are_whole_instances(courses):
    found = Prepared(lambda: Course.objects.filter(pk=Argument("pk"))).first(pk=courses[0].pk)
    assert found.name == courses[0].name
    assert found.on_sale is True
    found.name = "Python 入门"
    found.save()
    assert Course.objects.get(pk=found.pk).name == "Python 入门"


def test_many_values_stand_behind_in(courses):
    some = Prepared(lambda: Course.objects.filter(pk__in=Argument("ids", many=2)).order_by("-pk"))
    assert some.all(ids=[courses[0].pk, courses[2].pk]) == [courses[2], courses[0]]


def test_related_rows_come_along(user, django_assert_num_queries):
    token = AccessToken.objects.create(user=user, created_at=NOW, expires_at=NOW)
    prepared = Prepared(lambda: AccessToken.objects.select_related("user").filter(pk=Argument("pk")))
    prepared.first(pk=token.pk)
    with django_assert_num_queries(1):
        found = prepared.first(pk=token.pk)
        assert (found.user.username, found.expires_at) == (user.username, NOW)


def test_a_column_that_was_left_out_is_fetched_when_asked_for(user):
    found = Prepared(lambda: User.objects.only("username").filter(pk=Argument("pk"))).first(pk=user.pk)
    assert found.get_deferred_fields() >= {"password", "token_epoch"}
    assert found.token_epoch == user.token_epoch


def test_a_value_is_never_part_of_the_statement(courses):
    by_name = Prepared(lambda: Course.objects.filter(name=Argument("name")))
    assert by_name.all(name="' OR 1=1 --") == []


def test_an_inserted_row_is_as_a_saved_one():
    course = insert(Course(name="Go", price_fen=3900))
    assert Course.objects.get() == course
    course.price_fen = 4900
    course.save()
    assert Course.objects.get().price_fen == 4900


def test_rows_are_inserted_together(user):
    insert_all([Course(name=name, price_fen=1) for name in ("a", "b")])
    insert_all([])
    assert set(Course.objects.values_list("name", flat=True)) == {"a", "b"}


def test_a_conflict_is_skipped_only_where_that_is_asked_for():
    names = [User(username="li"), User(username="li")]
    assert insert_new(names, returning="username") == ["li"]
    assert insert_new(names, returning="username") == []
    assert User.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_all(names)


def test_an_update_says_how_many_rows_it_met(courses):
    assert update(Course, {"price_fen": 5, "name": "Rust"}, pk=courses[0].pk, on_sale=True) == 1
    assert update(Course, {"price_fen": 6}, pk=courses[0].pk, on_sale=False) == 0
    assert Course.objects.get(pk=courses[0].pk).price_fen == 5
