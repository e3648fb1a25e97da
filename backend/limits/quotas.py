"""How often a buyer, and an address, may do what costs the shop something.

An address has ten times a buyer's share: a school or a mobile network stands behind one.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from django.db import transaction

from backend.errors import RateLimited
from backend.limits.throttle import Limit, Try, give_back, take_each, wait_ms


@dataclass
class Use:
    """What came of a try: whether it has made something new."""

    made: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """``times`` in ten minutes for one buyer, ten times as often for one address."""

    name: str
    times: int

    def tries(self, user_id: int, address: str) -> tuple[Try, Try]:
        of_buyer = Limit(f"{self.name}-buyer", self.times, seconds=600)
        of_address = Limit(f"{self.name}-address", 10 * self.times, seconds=600)
        return (of_buyer, str(user_id)), (of_address, address)

    def take(self, user_id: int, address: str) -> None:
        """Count one try. Raises RateLimited when it is one too many."""
        take_each(*self.tries(user_id, address))

    @contextmanager
    def for_new(self, user_id: int, address: str) -> Iterator[Use]:
        """Count one try if it makes something new: what repeats or is refused costs nothing of the quota.

        Over the limit the block runs all the same, so that a repeat is answered; what it has made is then undone, and
        RateLimited raised.
        """
        tries, use = self.tries(user_id, address), Use()
        wait = wait_ms(*tries)
        try:
            with transaction.atomic() if wait else nullcontext():
                yield use
                if wait and use.made:
                    raise RateLimited(wait)
        finally:
            if not use.made:
                give_back(*tries)


NEW_ORDERS = Quota("orders", 60)
"""Each is rows for ever and questions to Alipay until it ends."""
PAY_URLS = Quota("pay-urls", 60)
"""Each is a signature and locks."""
CONFIRMATIONS = Quota("confirmations", 30)
"""Each may be a question to Alipay."""
RETURNS = Limit("returns", times=300, seconds=600)
"""The same over REST, where only the address is known."""
