import pytest
from alipay_world import make


@pytest.fixture(scope="session")
def alipay():
    """The adapter under test; it keeps no state, so one serves all."""
    return make()
