"""Every setting of the simulator. A rule that could not be confirmed against Alipay is a setting here."""

from dataclasses import dataclass, field
from pathlib import Path

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

# Protocol 4.4: the wait before each of the eight sends of a notify, in seconds.
NOTIFY_DELAYS = (0, 4 * MINUTE, 10 * MINUTE, 10 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 15 * HOUR)
# Protocol 4.3: what a trade may tell of itself, and what it does tell unless the contract says otherwise.
TRIGGERS = ("trade_success", "partial_refund", "full_refund", "trade_closed", "trade_finished", "wait_buyer_pay")
TRIGGERS_ON = frozenset({"trade_success", "partial_refund"})
NOTIFY_CONTENT_TYPE = "application/x-www-form-urlencoded; text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Config:
    """What one simulator is started with; times in seconds.

    `app_public_key` is the merchant's key file; by default `app_public_key.pem` in the data directory. `public_url` is
    only needed behind a proxy: without it the redirect to the cashier is relative.
    """

    data: Path = field(default_factory=lambda: Path("var/alipay_simulator"))
    app_id: str = "9021000100000001"
    seller_id: str = "2088100000000001"
    app_public_key: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8001
    public_url: str = ""
    clock_speed: float = 1.0
    merchant_name: str = "Sandbox merchant 沙箱商家"
    buyer_account: str = "buyer@example.com"
    permitted_methods: frozenset[str] | None = None  # None: every method the simulator has
    timestamp_tolerance: float = 30 * MINUTE  # UNCONFIRMED at Alipay
    min_expiry: float = 0  # Alipay says one minute; shops under test use shorter times
    max_expiry: float = 15 * DAY
    passback_max: int = 512  # UNCONFIRMED at Alipay
    notify_delays: tuple[float, ...] = NOTIFY_DELAYS
    notify_timeout: float = 5.0  # UNCONFIRMED at Alipay
    notify_content_type: str = NOTIFY_CONTENT_TYPE  # UNCONFIRMED at Alipay
    triggers: frozenset[str] = TRIGGERS_ON  # trade_closed is UNCONFIRMED for page.pay
    refund_window: float = 365 * DAY  # three months in older documents; 0: a contract without refunds
    seller_balance: str | None = None  # yuan that the seller can refund; None: no limit
    bill_at_once: bool = False  # a bill can be had before its day is over; Alipay: at 09:00 of the next
    bill_codes: str = "wire"  # how a bill is refused: "wire" as in the field, "listed" as in the documents
    bill_quotes: bool = False  # a text with a comma in it is quoted; UNCONFIRMED at Alipay
    frozen_at: float | None = None  # epoch seconds: time stands still there and only `advance` moves it
    seed: int | None = None  # the same made-up numbers each time, for a book that is new or reset
    in_memory: bool = False  # the book is lost with the process

    @property
    def base_url(self) -> str:
        """Where a browser reaches this simulator, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def cashier_prefix(self) -> str:
        """What stands before `/cashier` in a redirect: nothing, unless a public URL was named."""
        return self.public_url.rstrip("/")

    @property
    def book_path(self) -> str | Path:
        """Where the book is kept."""
        return ":memory:" if self.in_memory else self.data / "book.sqlite3"

    @property
    def app_public_key_path(self) -> Path:
        """The file that holds the merchant's public key; it may appear or change while the simulator runs."""
        return self.app_public_key or self.data / "app_public_key.pem"
