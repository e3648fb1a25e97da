"""Real processes on the database of the test run."""

import os
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from tests.concurrency.processes import start_nursery

HERE = os.path.dirname(__file__)  # noqa: PTH120


def pytest_configure(config):
    config.addinivalue_line("markers", "sqlite: about SQLite's own ways (the suite's first run)")


def pytest_collection_modifyitems(config, items):
    """Some tests are about one of the two databases. They are left out on the other: there is nothing to skip."""
    other = "sqlite" if settings.ON_POSTGRES else "postgres"
    out = [item for item in items if str(item.path).startswith(HERE) and item.get_closest_marker(other)]
    if out:
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=out)


@pytest.fixture(scope="session", autouse=True)
def nursery(django_db_setup):
    start_nursery(database_url())


def database_url() -> str:
    """Of the test run's own database."""
    name = connection.settings_dict["NAME"]
    if not settings.ON_POSTGRES:
        return f"sqlite:///{name}"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
