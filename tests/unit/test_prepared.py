"""Statements written once give the rows that Django's own would."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.models import Exists, OuterRef

from backend.accounts.models import AccessToken, User
from backend.courses.models import Course, Enrollment
from backend.prepared import Argument, Prepared, PreparedIn
from tests.api.helpers import own

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


@pytest.mark.parametrize("many", range(5))
def test_a_list_may_have_any_length(courses, many):
    some = PreparedIn(lambda ids: Course.objects.filter(pk__in=ids, price_fen__gte=Argument("fen")).order_by("pk"))
    assert some.all([course.pk for course in courses[:many]], fen=0) == courses[:many]
    assert some.all([course.pk for course in courses], fen=2) == [course for course in courses if course.price_fen > 1]


def test_lists_of_some_lengths_are_one_statement(courses, django_assert_num_queries):
    some = PreparedIn(lambda ids: Course.objects.filter(pk__in=ids))
    for many in (3, 4, 2, 1, 3):
        with django_assert_num_queries(1):
            assert len(some.all([course.pk for course in courses[:many]])) == many
    assert set(some._by_size) == {1, 2, 4}


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


def test_an_annotation_comes_along(courses, user):
    own(user, courses[1])
    mine = Enrollment.objects.filter(user_id=Argument("user_id"), course_id=OuterRef("pk"))
    priced = Prepared(lambda: Course.objects.annotate(owned=Exists(mine)).order_by("pk"))
    assert [course.owned for course in priced.all(user_id=user.pk)] == [False, True, False, False]
    assert [course.owned for course in priced.all(user_id=0)] == [False] * 4


def test_a_related_row_that_is_not_there_is_none(user, courses):
    own(user, courses[0])
    found = Prepared(lambda: Enrollment.objects.select_related("line").filter(user_id=Argument("user_id")))
    assert found.first(user_id=user.pk).line is None


def test_who_watches_statements_sees_these_too(courses):
    seen = []

    def watch(execute, sql, *args):
        seen.append(sql)
        return execute(sql, *args)

    by_key = Prepared(lambda: Course.objects.filter(pk=Argument("pk")))
    with connection.execute_wrapper(watch):
        assert by_key.first(pk=courses[0].pk) == courses[0]
    assert len(seen) == 1
