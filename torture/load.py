"""A load of purchases: so many clients at a time, that go on buying until they are told to rest."""

import threading
import time
from collections.abc import Callable, Sequence
from random import Random

from alipay_simulator.control import Control
from torture import leaks
from torture.buyers import ENDINGS, Ending, Purchase, Stock
from torture.shoppers import PATIENCE_SECONDS, Client

MANY = 1_000_000


class Load:
    """So many clients at a time. ``rest`` lets each end its purchase and returns; ``go`` goes on."""

    def __init__(
        self, url: str, control: Callable[[], Control], seed: str, clients: int = 4, pause: float = 0.0
    ) -> None:
        self.stock = Stock.new()
        self.stock.more(50 * clients)
        self.url, self.control, self.seed, self.pause = url, control, seed, pause
        self.clients = clients
        self.watch = leaks.watch()
        self.purchases: list[Purchase] = []
        self.resting, self.gave_up, self.lock = threading.Event(), threading.Event(), threading.Lock()
        self.threads: list[threading.Thread] = []

    def go(self, case: int, *, each: int = MANY, endings: Sequence[Ending] = ENDINGS) -> None:
        """The clients begin to buy, ``each`` at most so often: what they choose follows from the seed and the case."""
        self.resting.clear()
        if len(self.stock.buyers) < 50 * self.clients:
            self.stock.more(50 * self.clients)
        names = [f"{self.seed}/{case}/{place}" for place in range(self.clients)]
        self.each, self.endings = each, endings
        self.threads = [threading.Thread(target=self.work, args=(name,), daemon=True) for name in names]
        for thread in self.threads:
            thread.start()

    def rest(self) -> None:
        """Returns when every purchase has come to its end. One that does not is wrong, and says so."""
        self.resting.set()
        for thread in self.threads:
            thread.join(2 * PATIENCE_SECONDS)
        self.threads = []

    def work(self, name: str) -> None:
        chance = Random(name)
        with self.control() as control:
            client = self.client(control, chance)
            for number in range(self.each):
                if self.resting.is_set() or not (this := self.next(f"{name}/{number}", chance)):
                    return
                self.buy(client, this)
                self.resting.wait(self.pause * chance.uniform(0.5, 1.5))

    def client(self, control: Control, chance: Random) -> Client:
        return Client(self.url, control, chance, self.stock, self.gave_up, self.watch)

    def next(self, key: str, chance: Random) -> Purchase | None:
        with self.lock:
            if not self.stock.buyers:
                return None
            user_id, token = self.stock.buyers.pop()
            this = Purchase(user_id, token, key, chance.choice(self.endings))
            self.purchases.append(this)
            return this

    def buy(self, client: Client, this: Purchase) -> None:
        try:
            client.buy(this)
        except Exception as error:
            this.wrong = f"{type(error).__name__}: {error}"

    def wait_for_answers(self, count: int, seconds: float) -> None:
        """Returns when the clients have asked so many times more, or after so many seconds."""
        goal, deadline = self.asked() + count, time.monotonic() + seconds
        while self.asked() < goal and time.monotonic() < deadline:
            time.sleep(0.005)

    def asked(self) -> int:
        return sum(this.tries for this in self.purchases)

    def is_done(self) -> bool:
        """Whether each client has bought all that it was to buy."""
        return not any(thread.is_alive() for thread in self.threads)

    def stop(self) -> None:
        self.gave_up.set()
        self.rest()
