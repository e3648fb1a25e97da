"""Fixtures of the API tests."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.shop import AlipaySide


@pytest.fixture(scope="session")
def foreign_key():
    """A good RSA key that is nobody's here."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(autouse=True)
def fresh_provider():
    """No test here changes how the provider is set up, so one serves them all: reading its keys is slow."""


@pytest.fixture(scope="session")
def alipay():
    """One for the run, for the same reason."""
    return AlipaySide()


@pytest.fixture
def forger(foreign_key):
    """Signs as Alipay does, with a key that is not Alipay's."""
    return AlipaySide(key=foreign_key)


@pytest.fixture
def questions(monkeypatch):
    """The numbers that the provider was asked about. ``questions.answer`` is a Trade or an exception to answer with."""
    from backend.payments.providers.alipay import Alipay
    from backend.payments.providers.base import ProviderUnavailable

    class Questions(list):
        def __init__(self):
            super().__init__()
            self.answer, self.deadlines = ProviderUnavailable("no answer"), []

    asked = Questions()

    def query(self, out_trade_no, *, deadline=10.0):
        asked.append(out_trade_no)
        asked.deadlines.append(deadline)
        answer = asked.answer() if callable(asked.answer) else asked.answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Alipay, "query", query)
    return asked
