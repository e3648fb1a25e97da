"""The benchmarks' data: repeatable, and never where there is real money."""

import stat

import pytest
from django.core.management import CommandError, call_command

from backend.accounts.models import User
from backend.accounts.tokens import user_of
from backend.courses.models import Course

pytestmark = pytest.mark.django_db


def seed(path, buyers=3):
    call_command("bench_seed", buyers=buyers, tokens=path, verbosity=0)
    return path.read_text().splitlines()


def test_every_buyer_has_a_token_that_signs_them_in(tmp_path):
    names = [user_of(f"Bearer {token}")[0].username for token in seed(tmp_path / "tokens")]
    assert names == ["bench0001", "bench0002", "bench0003"]


def test_the_courses_are_named_and_priced_as_promised(tmp_path):
    seed(tmp_path / "tokens")
    courses = Course.objects.order_by("id").values_list("name", "price_fen", "on_sale")
    assert list(courses) == [(f"Course {number}", 3900, True) for number in range(1, 101)]


def test_a_second_run_adds_only_what_is_missing(tmp_path):
    before = seed(tmp_path / "tokens")
    after = seed(tmp_path / "tokens", buyers=4)
    assert (Course.objects.count(), User.objects.count()) == (100, 4)
    assert user_of(f"Bearer {before[0]}")[0] == user_of(f"Bearer {after[0]}")[0]


def test_nobody_signs_in_as_one_by_password(tmp_path):
    seed(tmp_path / "tokens")
    assert not User.objects.get(username="bench0001").has_usable_password()


def test_the_tokens_are_for_the_owner_alone(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("what a run left here before, longer than what comes now" * 100)
    path.chmod(0o644)
    assert len(seed(path)) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_refused_for_real_money(tmp_path, settings):
    settings.ALIPAY_REAL_MONEY = True
    with pytest.raises(CommandError, match="real money"):
        seed(tmp_path / "tokens")
    assert not (tmp_path / "tokens").exists()
    assert not User.objects.exists()


def test_without_buyers_it_says_so(tmp_path):
    with pytest.raises(CommandError, match="at least 1"):
        seed(tmp_path / "tokens", buyers=0)
