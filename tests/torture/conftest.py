"""What the trials' own tests share."""

from tests.lifecycle.conftest import keys  # noqa: F401
