"""Data for the benchmarks: courses, buyers, and a token of each buyer."""

from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from backend.accounts.models import AccessToken, User
from backend.accounts.tokens import sign_token
from backend.courses.models import Course

COURSES = 100
PRICE_FEN = 3900
BATCH = 1000


class Command(BaseCommand):
    """Safe to repeat: what is there stays, and every run writes new tokens."""

    help = f'{COURSES} courses "Course 1", "Course 2"… at 39.00, and buyers bench0001… with a valid token of each.'

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--buyers", type=int, default=2000, help="How many buyers (2000).")
        parser.add_argument("--tokens", type=Path, required=True, help="Where to write the tokens, one a line.")

    def handle(self, *, buyers: int, tokens: Path, **options: object) -> None:
        if settings.ALIPAY_REAL_MONEY:
            raise CommandError("Refused: this shop takes real money, and everybody could sign in as these buyers.")
        if buyers < 1:
            raise CommandError("--buyers must be at least 1.")
        with transaction.atomic():
            seed_courses()
            lines = new_tokens(seed_buyers(buyers))
        write_private(tokens, "".join(f"{line}\n" for line in lines))
        self.stdout.write(f"{COURSES} courses, {buyers} buyers; their tokens are in {tokens}.")


def seed_courses() -> None:
    names = [f"Course {number}" for number in range(1, COURSES + 1)]
    there = set(Course.objects.filter(name__in=names).values_list("name", flat=True))
    Course.objects.bulk_create(Course(name=name, price_fen=PRICE_FEN) for name in names if name not in there)


def seed_buyers(count: int) -> list[User]:
    """The buyers by number. Nobody signs in as one by password: the hash, made once, fits none."""
    names = [f"bench{number:04d}" for number in range(1, count + 1)]
    there = set(User.objects.filter(username__in=names).values_list("username", flat=True))
    unusable = make_password(None)
    new = (User(username=name, password=unusable) for name in names if name not in there)
    User.objects.bulk_create(new, batch_size=BATCH)
    by_name = {user.username: user for user in User.objects.filter(username__in=names)}
    return [by_name[name] for name in names]


def new_tokens(buyers: Sequence[User]) -> list[str]:
    now = datetime.now(UTC)
    expires_at = now + timedelta(seconds=settings.TOKEN_TTL_SECONDS)
    rows = [AccessToken(user=buyer, created_at=now, expires_at=expires_at) for buyer in buyers]
    AccessToken.objects.bulk_create(rows, batch_size=BATCH)
    return [sign_token(row, epoch=buyer.token_epoch) for row, buyer in zip(rows, buyers, strict=True)]


def write_private(path: Path, text: str) -> None:
    """Readable by the owner alone from its first byte on, also where a file was there before."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="ascii")
