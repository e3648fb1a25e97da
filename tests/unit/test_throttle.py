"""Limits: a window that begins with the first try, and whom a try is counted against."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from backend.errors import RateLimited
from backend.limits.models import Counter
from backend.limits.throttle import Limit, allows, client_address, count, forget, give_back, take, take_each

THREE = Limit("three", times=3, seconds=60)
NOON = "2026-11-22T04:00:00+00:00"


@pytest.fixture
def clock(db):
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def wait(limit, subject):
    with pytest.raises(RateLimited) as refusal:
        take(limit, subject)
    return refusal.value.retry_after_ms


def test_the_tries_of_a_window_are_counted(clock):
    for _ in range(3):
        take(THREE, "li")
    clock.shift(timedelta(seconds=15))
    assert wait(THREE, "li") == 45_000
    clock.shift(timedelta(milliseconds=44_999))
    assert wait(THREE, "li") == 1


def test_a_new_window_begins_when_the_old_one_is_over(clock):
    for _ in range(3):
        take(THREE, "li")
    clock.shift(timedelta(seconds=60))
    for _ in range(3):
        take(THREE, "li")
    assert wait(THREE, "li") == 60_000


def test_refused_tries_do_not_lengthen_the_wait(clock):
    for _ in range(3):
        take(THREE, "li")
    for _ in range(5):
        assert wait(THREE, "li") == 60_000
    clock.shift(timedelta(seconds=59))
    assert wait(THREE, "li") == 1000


def test_the_window_begins_with_the_first_try_not_the_last(clock):
    take(THREE, "li")
    clock.shift(timedelta(seconds=59))
    take(THREE, "li")
    take(THREE, "li")
    clock.shift(timedelta(seconds=1))
    assert count((THREE, "li")) == [(1, 60_000)]


def test_subjects_and_limits_are_counted_apart(clock):
    other = Limit("other", times=1, seconds=60)
    for _ in range(3):
        take(THREE, "li")
    take(THREE, "wang")
    take(other, "li")
    assert wait(THREE, "li") == 60_000
    assert wait(other, "li") == 60_000


def test_allows_counts_and_says(clock):
    assert [allows(THREE, "x") for _ in range(5)] == [True, True, True, False, False]
    assert Counter.objects.get().times == 5


def test_forget_begins_anew(clock):
    for _ in range(3):
        take(THREE, "li")
    take(THREE, "wang")
    forget(THREE, "li")
    take(THREE, "li")
    assert sorted(Counter.objects.values_list("times", flat=True)) == [1, 1]


def test_a_try_given_back_was_none(clock):
    for _ in range(3):
        take(THREE, "li")
    give_back((THREE, "li"), (THREE, "nobody"))
    take(THREE, "li")
    assert wait(THREE, "li") == 60_000


def test_no_more_is_given_back_than_was_counted(clock):
    take(THREE, "li")
    for _ in range(3):
        give_back((THREE, "li"))
    assert count((THREE, "li"))[0][0] == 1


def test_each_of_several_limits_is_counted_and_the_longest_wait_told(clock):
    other = Limit("other", times=1, seconds=60)
    take_each((THREE, "li"), (other, "home"))
    clock.shift(timedelta(seconds=10))
    take(THREE, "li")
    take(THREE, "li")
    with pytest.raises(RateLimited) as refusal:
        take_each((THREE, "wang"), (other, "home"))
    assert refusal.value.retry_after_ms == 50_000
    with pytest.raises(RateLimited):
        take_each((THREE, "li"), (other, "elsewhere"))
    assert count((other, "home"), (THREE, "li"), (other, "elsewhere"), (THREE, "wang")) == [
        (3, 50_000),
        (5, 50_000),
        (2, 60_000),
        (2, 60_000),
    ]


def test_several_are_counted_in_one_statement(clock, django_assert_num_queries):
    with django_assert_num_queries(1):
        take_each((THREE, "li"), (Limit("other", times=1, seconds=60), "home"))


def test_keys_are_locked_in_one_order_whoever_asks(clock):
    """Else two requests that count the same two could each wait for the other's row."""
    tries = [(THREE, "li"), (Limit("other", times=2, seconds=60), "home")]
    with CaptureQueriesContext(connection) as queries:
        take_each(*tries)
        take_each(*reversed(tries))
    assert len(queries) == 2
    for query in queries:
        assert query["sql"].index("other:") < query["sql"].index("three:")


def test_off_means_that_nothing_is_counted(clock, settings):
    settings.RATE_LIMITS = False
    for _ in range(9):
        take(THREE, "li")
        assert allows(THREE, "li")
    assert Counter.objects.count() == 0


@pytest.mark.parametrize("subject", ["", "li", "x" * 100_000, "号", "\x00", "\ud800"], ids=lambda text: ascii(text[:3]))
def test_any_subject_has_a_key_that_fits_and_does_not_show_it(clock, subject):
    key = THREE.key(subject)
    assert len(key) <= 80
    assert key.startswith("three:")
    assert len(key) == len("three:") + 32
    take(THREE, subject)
    assert Counter.objects.get().key == key


def test_two_subjects_have_two_keys():
    assert len({THREE.key(subject) for subject in ("a", "b", "A", "a ", "")}) == 5


# --- Whose address ---------------------------------------------------------------------------------------------------

PROXY, INNER = "10.0.0.1", "10.0.0.2"


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("192.0.2.1", None, [], "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", [], "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", [PROXY], "192.0.2.1"),
        (PROXY, "198.51.100.1", [PROXY], "198.51.100.1"),
        (PROXY, "203.0.113.9, 198.51.100.1", [PROXY], "198.51.100.1"),
        (PROXY, f"203.0.113.9, 198.51.100.1, {INNER}", [PROXY, INNER], "198.51.100.1"),
        (PROXY, f"198.51.100.1, {INNER}", [PROXY], INNER),
        (PROXY, f"{INNER}, 198.51.100.1", [PROXY, INNER], "198.51.100.1"),
        (PROXY, None, [PROXY], PROXY),
        (PROXY, "", [PROXY], PROXY),
        (PROXY, " , ,", [PROXY], PROXY),
        (PROXY, INNER, [PROXY, INNER], INNER),
        (PROXY, "unknown", [PROXY], "unknown"),
        (PROXY, "<script>", [PROXY], "unknown"),
        (PROXY, "198.51.100.1, junk", [PROXY], "unknown"),
        ("", "198.51.100.1", [PROXY], "unknown"),
        ("2001:db8:1:2:3:4:5:6", None, [], "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", None, [], "2001:db8:1:2::"),
        ("2001:db8:1:3::1", None, [], "2001:db8:1:3::"),
        (PROXY, "2001:DB8:1:2::9", [PROXY], "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", None, [], "192.0.2.1"),
    ],
)
def test_the_address_that_a_request_is_counted_against(settings, peer, forwarded, trusted, address):
    settings.TRUSTED_PROXIES = trusted
    more = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    assert client_address(RequestFactory().get("/", REMOTE_ADDR=peer, **more)) == address


def test_the_header_that_lists_many_is_the_one_that_counts(settings):
    settings.TRUSTED_PROXIES = [PROXY]
    request = RequestFactory().get("/", REMOTE_ADDR=PROXY, HTTP_FORWARDED="for=1.1.1.1", HTTP_X_REAL_IP="2.2.2.2")
    assert client_address(request) == PROXY
