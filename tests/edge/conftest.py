"""Fixtures of the tests of the GraphQL edge."""

import pytest

from tests.live.conftest import database, start, tree  # noqa: F401 - fixtures of the live tests
from tests.shop import AlipaySide


@pytest.fixture(autouse=True)
def fresh_provider():
    """No test here changes how the provider is set up, so one serves them all: reading its keys is slow."""


@pytest.fixture(scope="session")
def alipay():
    """One for the run, for the same reason."""
    return AlipaySide()
