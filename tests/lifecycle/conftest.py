"""Alipay's and the shop's keys for the worlds, and worlds made to order."""

from contextlib import contextmanager

import pytest
from django.db import transaction

from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import alipay_folder, new_world


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Alipay's folder, for the life of the run."""
    return alipay_folder(tmp_path_factory.mktemp("alipay"))


@pytest.fixture
def make_world(db, keys, request):
    """Makes worlds, with a witness each; they end with the test."""

    def make(**settings):
        context = new_world(keys, **settings)
        world = context.__enter__()
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        return world, Witness(world)

    return make


@pytest.fixture
def a_world(db, keys):
    """A world and its witness for a ``with``; nothing of it is left behind."""

    @contextmanager
    def enter(**settings):
        with transaction.atomic(), new_world(keys, **settings) as world:
            yield world, Witness(world)
            transaction.set_rollback(True)

    return enter


@pytest.fixture(autouse=True)
def fresh_provider():
    """None: no test here changes what a provider is made of, and reading its keys takes longer than most tests."""
