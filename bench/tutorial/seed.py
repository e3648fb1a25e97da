"""`.venv/bin/python -m bench.tutorial.seed --buyers N --tokens FILE`: as many courses as ours, buyers with tokens."""

import argparse
import os
import time
from decimal import Decimal
from pathlib import Path

import django
import jwt


def main() -> None:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m bench.tutorial.seed", description=__doc__)
    parser.add_argument("--buyers", type=int, required=True)
    parser.add_argument("--tokens", type=Path, required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.tutorial.settings")
    django.setup()
    fill(options.buyers)
    options.tokens.touch(mode=0o600)
    options.tokens.write_text("".join(f"{token_of(number)}\n" for number in range(1, options.buyers + 1)))


def fill(buyers: int) -> None:
    from django.core.management import call_command

    from bench.tutorial.models import Course, User

    call_command("migrate", run_syncdb=True, verbosity=0)
    Course.objects.bulk_create(Course(name=f"Course {number}", price=Decimal("39.00")) for number in range(1, 101))
    people = (User(username=name_of(number), password="!") for number in range(1, buyers + 1))
    User.objects.bulk_create(people, batch_size=1000)


def name_of(number: int) -> str:
    return f"bench{number:04d}"


def token_of(number: int) -> str:
    from django.conf import settings

    claims = {"user_id": number, "username": name_of(number), "exp": int(time.time()) + 43200}
    return jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256")


if __name__ == "__main__":
    main()
