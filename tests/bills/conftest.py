"""The worlds of the lifecycle tests, and what a day in them is made of."""

from tests.lifecycle.conftest import fresh_provider, keys, make_world  # noqa: F401
