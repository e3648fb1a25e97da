"""T18: Alipay changes its key while people buy, as docs/operations.md says to do it, and forgers try all the time.

The new key is set up beside the old one, Alipay switches, the old one is taken away: two deployments without a gap. No
true notify may be refused, and nothing that another key signed may be taken: a stranger's, one that is not set up yet,
one that is retired.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from backend import keyfiles
from backend.payments.models import Payment
from tests.settings import ALIPAY_KEY
from tests.shop import AlipaySide, load_key
from torture.campaign import Campaign, under_load
from torture.processes import Web, wait_until
from torture.shop import Shop, a_shop
from torture.shoppers import Client, NoAnswer
from torture.trial import Tally, Trial, dice

PURCHASES = 8
"""At least so many begin between two steps."""
FORM = {"Content-Type": "application/x-www-form-urlencoded; text/html; charset=utf-8"}


@dataclass
class Key:
    """One of Alipay's keys, past, present or to come."""

    private: str
    file: Path

    @classmethod
    def new(cls, folder: Path, number: int, private: str = "") -> "Key":
        private = private or keyfiles.new_rsa_private_key()
        file = folder / f"alipay_{number}.pem"
        file.write_text(keyfiles.public_key_of(private))
        return cls(private, file)


@dataclass
class Forgers:
    """Post paid notifies for the orders of the load, signed by keys that prove nothing."""

    campaign: Campaign
    chance: Random
    keys: list[str]
    """May be changed while they forge, as a whole."""
    answered: int = 0
    accepted: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self.work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.enough.set()
            thread.join()

    def work(self) -> None:
        load = self.campaign.load
        with load.control() as control:
            client = load.client(control, self.chance)
            while not self.enough.wait(0.05):
                numbers = [this.out_trade_no for this in load.purchases[-8:] if this.out_trade_no]
                if numbers:
                    self.forge(client, self.chance.choice(numbers), self.chance.choice(self.keys))

    def forge(self, client: Client, number: str, key: str) -> None:
        side = AlipaySide(key=load_key(key))
        body = side.paid_notify(Payment(pk=self.chance.randrange(10**9), out_trade_no=number, amount_fen=11801))
        try:
            status, answer = client.post("/payments/alipay/notify/", body, FORM)
        except NoAnswer:
            return
        self.answered += 1
        if (status, answer) != (200, b"fail"):
            self.accepted.append(f"a forged notify for {number} was answered {status} {answer[:80]!r}")


def run(cases: Iterable[int], seed: int, tally: Tally) -> None:
    with a_shop() as shop:
        keys = [Key.new(shop.programs.folder, 0, ALIPAY_KEY.read_text())]
        deploy(shop, keys)
        stranger = keyfiles.new_rsa_private_key()
        with under_load(shop, f"{seed}") as campaign:
            for (case,) in campaign.bursts(cases, 1, tally):
                keys.append(Key.new(shop.programs.folder, case + 1))
                forgers = Forgers(campaign, dice(seed, case), [])
                with forgers.at_work():
                    rotate(campaign, forgers, stranger, keys)
                for wrong in [*forgers.accepted, *refused(shop)]:
                    tally.violation(case, wrong)
                tally.count("forged notifies refused", forgers.answered - len(forgers.accepted))


def rotate(campaign: Campaign, forgers: Forgers, stranger: str, keys: list[Key]) -> None:
    """Of ``keys`` the last is the new one, the one before it in use, the others retired."""
    shop, retired = campaign.shop, [key.private for key in keys[:-2]]
    forgers.keys = [stranger, keys[-1].private, *retired]
    some_purchases(campaign)
    forgers.keys = [stranger, *retired]
    deploy(shop, keys[-2:])
    some_purchases(campaign)
    shop.alipay.restart_with(keys[-1].private)
    some_purchases(campaign)
    deploy(shop, keys[-1:])
    forgers.keys = [stranger, keys[-2].private, *retired]
    some_purchases(campaign)


def some_purchases(campaign: Campaign) -> None:
    """Returns when so many have begun."""
    load = campaign.load
    goal = len(load.purchases) + PURCHASES
    wait_until(lambda: len(load.purchases) >= goal or load.is_done(), "purchases")


def deploy(shop: Shop, keys: list[Key]) -> None:
    """The new server listens before the old one is told to end, which first answers what it has begun."""
    old, files = shop.web, ",".join(str(key.file) for key in keys)
    shop.web = Web(shop.programs, shop.port, ALIPAY_PUBLIC_KEY_FILES=files)
    shop.web.wait()
    shop.web.up()
    if old is not None:
        old.stop()
        old.program.end()


def refused(shop: Shop) -> list[str]:
    """Every send of Alipay's that was answered, and not with ``success``."""
    sends = shop.alipay.book.all(
        "SELECT notify_id, json_extract(data, '$.status') AS status, json_extract(data, '$.body') AS body FROM events"
        " WHERE kind = 'notify.sent' AND json_extract(data, '$.accepted') = 0"
        " AND json_extract(data, '$.status') IS NOT NULL"
    )
    return [f"Alipay's notify {row['notify_id']} was answered {row['status']} {row['body']!r}" for row in sends]


ROTATION = Trial(
    "T18", "Alipay's key is changed under load, with forgers", "changes of the key", 1, 20, "own", run, batch=10
)
