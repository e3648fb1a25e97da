"""At most two passwords are hashed at a time in a process."""

import threading

import pytest

from backend.accounts import login
from backend.accounts.models import AccessToken
from backend.errors import RateLimited
from backend.limits.concurrency import AtMost
from backend.limits.models import Counter
from tests.api.helpers import log_in

PASSWORD = "correct horse"


@pytest.fixture
def full(monkeypatch):
    """Two passwords are being hashed right now. Gives the room."""
    room = AtMost(2, retry_after_ms=1000)
    monkeypatch.setattr(login, "HASHING", room)
    for _ in range(2):
        room.room.acquire()
    return room


@pytest.fixture
def hashed(monkeypatch):
    from django.contrib.auth.hashers import MD5PasswordHasher

    passwords, encode = [], MD5PasswordHasher.encode
    monkeypatch.setattr(
        MD5PasswordHasher, "encode", lambda self, *given: passwords.append(given[0]) or encode(self, *given)
    )
    return passwords


def test_there_is_room_for_two():
    for _ in range(2):
        assert login.HASHING.room.acquire(blocking=False)
    assert not login.HASHING.room.acquire(blocking=False)
    login.HASHING.room.release(2)


def test_the_third_is_told_to_come_again_in_a_second(user, anonymous, full, hashed):
    answer = log_in(anonymous, "li", PASSWORD)
    assert (answer["__typename"], answer["retryAfterMs"]) == ("RateLimited", 1000)
    assert (hashed, AccessToken.objects.count()) == ([], 0)


def test_it_was_no_try(user, anonymous, full):
    for _ in range(9):
        log_in(anonymous, "li", PASSWORD)
    assert list(Counter.objects.values_list("times", flat=True)) == [0, 0]
    full.room.release()
    assert log_in(anonymous, "li", PASSWORD)["__typename"] == "LoginSuccess"


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_whoever_has_been_looked_at_makes_room(user, anonymous, full, password):
    full.room.release()
    for _ in range(3):
        assert log_in(anonymous, "li", password)["__typename"] != "RateLimited"


def test_a_hash_that_fails_makes_room(full):
    full.room.release()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), full.place():
            raise ZeroDivisionError


def test_never_more_than_two_whoever_comes_at_once():
    room, inside, most, refused = AtMost(2, retry_after_ms=1000), [], [], []
    everybody, all_tried = threading.Barrier(8), threading.Barrier(8)

    def come():
        everybody.wait(10)
        try:
            with room.place():
                inside.append(1)
                most.append(len(inside))
                all_tried.wait(10)
        except RateLimited:
            refused.append(1)
            all_tried.wait(10)

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (max(most), len(inside), len(refused)) == (2, 2, 6)


def test_off_means_room_for_all(user, anonymous, full, settings):
    settings.RATE_LIMITS = False
    assert log_in(anonymous, "li", PASSWORD)["__typename"] == "LoginSuccess"
