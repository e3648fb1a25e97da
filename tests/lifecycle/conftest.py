"""Alipay's and the shop's keys for the worlds, and worlds made to order."""

import shutil
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import transaction

from tests.lifecycle.invariants import Witness
from tests.lifecycle.world import new_world
from tests.settings import ALIPAY_KEY, APP_KEY
from tests.shop import load_key


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A folder as the simulator keeps it, with the keys that the shop of the tests is set up with."""
    folder = tmp_path_factory.mktemp("alipay")
    shutil.copy(ALIPAY_KEY, folder / "alipay_private_key.pem")
    public = load_key(APP_KEY.read_text()).public_key()
    (folder / "app_public_key.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return folder


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
