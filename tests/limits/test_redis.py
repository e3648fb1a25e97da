"""Counts in Redis; and what becomes of them, and of requests, when Redis is not what it should be."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError

from backend.accounts.models import AccessToken
from backend.errors import RateLimited
from backend.limits import in_database, in_redis
from backend.limits.models import Counter
from backend.limits.throttle import Limit, allows, count, forget, give_back, take, take_each
from backend.payments.models import Notification
from tests.api.helpers import LOGIN, log_in
from tests.shop import post_notify

THREE = Limit("three", times=3, seconds=60)
OTHER = Limit("other", times=1, seconds=60)


def in_the_database():
    return sorted(Counter.objects.values_list("times", flat=True))


def wait(limit, subject):
    with pytest.raises(RateLimited) as refusal:
        take(limit, subject)
    return refusal.value.retry_after_ms


# --- Redis is there --------------------------------------------------------------------------------------------------


def test_tries_are_counted_in_redis_alone(in_the_real_redis):
    for _ in range(3):
        take(THREE, "li")
    assert 0 < wait(THREE, "li") <= 60_000
    take(THREE, "wang")
    assert sorted(int(in_the_real_redis.get(key)) for key in in_the_real_redis.scan_iter()) == [1, 4]
    assert in_the_database() == []


def test_the_window_begins_with_the_first_try_and_is_not_lengthened(in_the_real_redis):
    take(THREE, "li")
    (key,) = in_the_real_redis.keys()
    assert 59_000 < in_the_real_redis.pttl(key) <= 60_000
    in_the_real_redis.pexpire(key, 5_000)  # 55 seconds later
    for _ in range(2):
        take(THREE, "li")
    for _ in range(3):
        assert 0 < wait(THREE, "li") <= 5_000


def test_a_new_window_begins_when_the_old_one_is_over(in_the_real_redis):
    for _ in range(4):
        allows(THREE, "li")
    (key,) = in_the_real_redis.keys()
    in_the_real_redis.pexpireat(key, 1)  # its end has come
    ((times, left_ms),) = count((THREE, "li"))
    assert times == 1
    assert 59_000 < left_ms <= 60_000


def test_a_count_that_has_lost_its_end_gets_one(in_the_real_redis):
    take(THREE, "li")
    (key,) = in_the_real_redis.keys()
    in_the_real_redis.persist(key)
    ((times, left_ms),) = count((THREE, "li"))
    assert times == 2
    assert 59_000 < left_ms <= 60_000


def test_several_limits_are_counted_by_one_command(in_the_real_redis):
    calls = in_the_real_redis.info("commandstats").get("cmdstat_eval", {}).get("calls", 0)
    take_each((THREE, "li"), (OTHER, "home"))
    assert in_the_real_redis.info("commandstats")["cmdstat_eval"]["calls"] == calls + 1
    with pytest.raises(RateLimited):
        take_each((THREE, "li"), (OTHER, "home"))
    assert [times for times, _ in count((OTHER, "home"), (THREE, "li"))] == [3, 3]


def test_a_try_given_back_was_none_and_the_window_stays(in_the_real_redis):
    for _ in range(3):
        take(THREE, "li")
    (key,) = in_the_real_redis.keys()
    in_the_real_redis.pexpire(key, 5_000)
    give_back((THREE, "li"), (THREE, "nobody"))
    assert in_the_real_redis.pttl(key) <= 5_000
    take(THREE, "li")
    wait(THREE, "li")
    assert in_the_real_redis.keys() == [key]


def test_no_more_is_given_back_than_was_counted(in_the_real_redis):
    take(THREE, "li")
    for _ in range(3):
        give_back((THREE, "li"))
    assert count((THREE, "li"))[0][0] == 1


def test_forget_begins_anew(in_the_real_redis):
    for _ in range(3):
        take(THREE, "li")
    take(THREE, "wang")
    forget(THREE, "li")
    take(THREE, "li")
    assert [int(in_the_real_redis.get(key)) for key in in_the_real_redis.scan_iter()] == [1, 1]


def test_redis_holds_no_name_and_no_address(in_the_real_redis, user, anonymous):
    log_in(anonymous, "li", "wrong")
    keys = [key.decode() for key in in_the_real_redis.scan_iter()]
    assert len(keys) == 2
    assert not [key for key in keys if key.endswith(":li") or "127.0.0.1" in key]


def test_off_means_that_nothing_is_asked(hole, settings, db):
    settings.RATE_LIMITS = False
    take(THREE, "li")
    assert allows(THREE, "li")
    give_back((THREE, "li"))
    forget(THREE, "li")
    assert (hole.connections, in_the_database()) == (0, [])


def test_login_is_limited_over_redis(in_the_real_redis, user, anonymous):
    kinds = [log_in(anonymous, "li", "wrong")["__typename"] for _ in range(6)]
    assert kinds == ["InvalidCredentials"] * 5 + ["RateLimited"]
    assert 0 < log_in(anonymous, "li", "correct horse")["retryAfterMs"] <= 900_000
    assert (AccessToken.objects.count(), in_the_database()) == (0, [])


def test_counts_that_are_flushed_begin_anew(in_the_real_redis):
    for _ in range(4):
        allows(THREE, "li")
    in_the_real_redis.flushall()
    in_the_real_redis.script_flush()
    assert [allows(THREE, "li") for _ in range(4)] == [True, True, True, False]
    assert in_the_database() == []


# --- Several processes -----------------------------------------------------------------------------------------------

CHILD = """
import django
django.setup()
from backend.limits import in_redis
from backend.limits.throttle import Limit, count
in_redis.PATIENCE_SECONDS = 5  # on a busy machine too
for _ in range(50):
    count((Limit("three", times=3, seconds=60), "li"))
"""


def count_in_two_processes(**environment):
    """Fifty tries in each of two processes at a time."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment}
    root = Path(__file__).resolve().parents[2]
    children = [subprocess.Popen([sys.executable, "-c", CHILD], cwd=root, env=environment) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]


def test_processes_count_together_in_redis(in_the_real_redis, redis_url):
    count_in_two_processes(REDIS_URL=redis_url)
    assert count((THREE, "li"))[0][0] == 101
    assert in_the_database() == []


@pytest.mark.django_db(transaction=True)
def test_processes_count_together_in_the_database():
    database = django_settings.DATABASES["default"]
    url = f"sqlite:///{database['NAME']}"
    if django_settings.ON_POSTGRES:
        url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{database['NAME']}"
    count_in_two_processes(DATABASE_URL=url, REDIS_URL="")
    assert count((THREE, "li"))[0][0] == 101


# --- Redis is away ---------------------------------------------------------------------------------------------------


def test_a_black_hole_is_asked_once_and_then_left_alone(hole, user, anonymous):
    """One login is four counts: only the first of them finds out, and the database counts them all."""
    assert log_in(anonymous, "li", "wrong")["__typename"] == "InvalidCredentials"
    for _ in range(4):
        log_in(anonymous, "li", "wrong")
    assert log_in(anonymous, "li", "correct horse")["__typename"] == "RateLimited"
    assert (hole.connections, len(hole.said)) == (1, 1)
    assert in_the_database() == [6, 6]


def test_a_new_connection_says_nothing_before_the_script(hole, db):
    """So the 50 ms hold: 25 for the connection, 25 for the one answer, and no retries, of which redis-py has three."""
    allows(THREE, "li")
    assert [said.split(b"\r\n")[2] for said in hole.said] == [b"EVAL"]
    kwargs = in_redis.client(hole.url).connection_pool.connection_kwargs
    assert kwargs["socket_connect_timeout"] + kwargs["socket_timeout"] == 0.05
    assert kwargs["retry"].get_retries() == 0


def test_it_is_asked_again_when_the_quiet_time_is_over(hole, db, monkeypatch):
    allows(THREE, "li")
    quiet = in_redis._quiet_until - time.monotonic()
    assert in_redis.QUIET_SECONDS - 1 < quiet <= in_redis.QUIET_SECONDS
    allows(THREE, "li")
    assert hole.connections == 1
    monkeypatch.setattr(in_redis, "_quiet_until", time.monotonic())
    allows(THREE, "li")
    assert hole.connections == 2
    assert in_the_database() == [3]


def test_a_slow_answer_counts_and_is_the_last_for_a_while(in_the_real_redis, monkeypatch):
    monkeypatch.setattr(in_redis, "PATIENCE_SECONDS", -1.0)
    in_redis.client.cache_clear()
    monkeypatch.setattr(in_redis, "client", lambda url: in_the_real_redis)
    assert [allows(THREE, "li") for _ in range(2)] == [True, True]
    assert [int(in_the_real_redis.get(key)) for key in in_the_real_redis.scan_iter()] == [1]
    assert in_the_database() == [1]


def test_redis_that_is_killed_in_mid_run_stops_nobody(mortal_redis, monkeypatch):
    for _ in range(3):
        take(THREE, "li")
    mortal_redis.kill()
    mortal_redis.stop()  # returns when it is gone
    assert [allows(THREE, "li") for _ in range(4)] == [True, True, True, False]
    assert in_the_database() == [4]
    give_back((THREE, "li"))
    forget(THREE, "li")
    assert in_the_database() == []
    mortal_redis.start()
    monkeypatch.setattr(in_redis, "_quiet_until", 0.0)
    assert count((THREE, "li"))[0][0] == 1
    assert in_the_database() == []


def test_a_restart_between_two_tries_is_not_even_noticed(mortal_redis):
    take(THREE, "li")
    mortal_redis.stop()
    mortal_redis.start()
    assert count((THREE, "li"))[0][0] == 1
    assert in_the_database() == []


@pytest.mark.parametrize(
    "words",
    [b"+OK\r\n", b":5\r\n", b"$-1\r\n", b"*1\r\n:5\r\n", b"*1\r\n*2\r\n$1\r\nx\r\n$1\r\ny\r\n", b"-NOAUTH first\r\n",
     b"-READONLY replica\r\n", b"-OOM no room\r\n", b"-LOADING\r\n", b"-NOSCRIPT\r\n", b"HTTP/1.1 400 Bad\r\n\r\n",
     b"\x00\xff" * 50 + b"\r\n", b"*3\r\n*2\r\n:1\r\n:1\r\n"],
    ids=ascii,
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_none(hole, db, words):
    hole.words = words
    assert [allows(THREE, "li") for _ in range(4)] == [True, True, True, False]
    assert in_the_database() == [4]


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "unix:///nowhere/redis.sock", "redis://no.such.host.invalid/0", "redis://[/0"]
)
def test_an_address_where_nobody_is_stops_nobody(settings, db, url):
    settings.REDIS_URL = url
    assert [allows(THREE, "li") for _ in range(4)] == [True, True, True, False]
    assert in_the_database() == [4]


def test_login_is_refused_where_nothing_counts(hole, user, anonymous, monkeypatch):
    """Without Redis and without the database nobody can be counted, so nobody may guess passwords."""

    def broken(*args):
        raise DatabaseError("gone")

    monkeypatch.setattr(in_database, "count", broken)
    body = anonymous.post(LOGIN, input={"username": "li", "password": "correct horse"}).json()
    assert body["data"] is None
    assert [error["extensions"]["code"] for error in body["errors"]] == ["INTERNAL"]
    assert AccessToken.objects.count() == 0


def test_a_genuine_notify_is_counted_nowhere(hole, alipay, payment, monkeypatch):
    monkeypatch.setattr(in_database, "count", lambda *given: pytest.fail("a genuine notify was counted"))
    connections = hole.connections
    assert post_notify(alipay.paid_notify(payment)).content == b"success"
    payment.refresh_from_db()
    assert (payment.status, hole.connections) == ("PAID", connections)


def test_a_forged_notify_is_refused_and_kept_with_redis_away(hole, alipay, payment):
    forged = alipay.paid_notify(payment).replace("total_amount=156.00", "total_amount=155.00")
    assert post_notify(forged).content == b"fail"
    assert Notification.objects.get().reason == "bad_signature"
    payment.refresh_from_db()
    assert payment.status == "OPEN"
