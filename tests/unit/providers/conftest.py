import pytest
from alipay_world import make, serving


@pytest.fixture(scope="session")
def alipay():
    """The adapter under test; it keeps no state, so one serves all."""
    return make()


@pytest.fixture(scope="session")
def _one_gateway():
    with serving(b"") as server:
        yield server


@pytest.fixture
def gateway(_one_gateway):
    """A gateway to put a script into. One serves all: starting and ending one takes longer than a call."""
    _one_gateway.requests.clear()
    return _one_gateway
