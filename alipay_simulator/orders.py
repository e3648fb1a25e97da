"""What a merchant may ask of `alipay.trade.page.pay`: the field rules of protocol 3."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .clock import end_of_day, parse_beijing
from .config import DAY, HOUR, MINUTE, Config
from .errors import BusinessError, invalid
from .incoming import Call, optional_text
from .money import MAX_FEN, MIN_FEN, parse_yuan

OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_]{1,64}")
FORBIDDEN_IN_SUBJECT = re.compile(r"[/=&\x00-\x1f\x7f]")
TIMEOUT = re.compile(r"([1-9][0-9]{0,4})([mhd])|1c")
UNITS = {"m": MINUTE, "h": HOUR, "d": DAY}
CHOICES = {
    "goods_type": ("0", "1"),
    "qr_pay_mode": ("0", "1", "2", "3", "4"),
    "integration_type": ("PCWEB", "ALIAPP"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """A checked pay request. `time_expire` is epoch seconds; without it `timeout_express` runs from the first view."""

    out_trade_no: str
    total_fen: int
    subject: str
    body: str
    passback_params: str
    notify_url: str
    return_url: str
    time_expire: float | None
    timeout_express: str

    def expiry(self, first_view: float) -> float:
        """When the buyer must have paid, if the cashier is first shown at `first_view` (protocol 3)."""
        if self.time_expire is not None:
            return self.time_expire
        if self.timeout_express == "1c":
            return end_of_day(first_view)
        return first_view + timeout_seconds(self.timeout_express)


def parse_order(call: Call, config: Config, now: float) -> Order:
    """Return the order of a page.pay call; BusinessError names the first field that breaks its rule."""
    biz = call.biz
    if biz.get("product_code") != "FAST_INSTANT_TRADE_PAY":
        raise invalid("product_code")
    check_choices(biz)
    return Order(
        out_trade_no=parse_out_trade_no(biz),
        total_fen=parse_total(biz),
        subject=parse_subject(biz),
        body=optional_text(biz, "body", 128),
        passback_params=optional_text(biz, "passback_params", config.passback_max),
        notify_url=parse_url(call, "notify_url"),
        return_url=parse_url(call, "return_url"),
        time_expire=parse_time_expire(biz, config, now),
        timeout_express=parse_timeout(biz),
    )


def parse_out_trade_no(biz: dict[str, Any]) -> str:
    """Letters, digits and underscore, at most 64."""
    value = biz.get("out_trade_no")
    if not isinstance(value, str) or not OUT_TRADE_NO.fullmatch(value):
        raise invalid("out_trade_no")
    return value


def parse_total(biz: dict[str, Any]) -> int:
    """A string in yuan, at most two decimals, 0.01 to 100000000."""
    try:
        fen = parse_yuan(biz.get("total_amount"))
    except ValueError:
        raise invalid("total_amount") from None
    if fen > MAX_FEN:
        raise BusinessError("ACQ.TOTAL_FEE_EXCEED")
    if fen < MIN_FEN:
        raise invalid("total_amount")
    return fen


def parse_subject(biz: dict[str, Any]) -> str:
    """1 to 256 characters without `/`, `=`, `&` and control characters."""
    value = biz.get("subject")
    if not isinstance(value, str) or not 0 < len(value) <= 256 or FORBIDDEN_IN_SUBJECT.search(value):
        raise invalid("subject")
    return value


def parse_time_expire(biz: dict[str, Any], config: Config, now: float) -> float | None:
    """An absolute Beijing time. One in the past is refused later, with a code of its own; the bounds are settings."""
    if biz.get("time_expire") is None:
        return None
    try:
        moment = parse_beijing(biz["time_expire"])
    except ValueError:
        raise invalid("time_expire") from None
    if moment > now and not config.min_expiry <= moment - now <= config.max_expiry:
        raise invalid("time_expire")
    return moment


def parse_timeout(biz: dict[str, Any]) -> str:
    """`1m` to `15d`, or `1c` for the end of the day; 15 days by default."""
    value = biz.get("timeout_express", "15d")
    if not isinstance(value, str) or not TIMEOUT.fullmatch(value):
        raise invalid("timeout_express")
    if value != "1c" and timeout_seconds(value) > 15 * DAY:
        raise invalid("timeout_express")
    return value


def timeout_seconds(text: str) -> int:
    """Return the seconds of a checked `<n>m`, `<n>h` or `<n>d`."""
    return int(text[:-1]) * UNITS[text[-1]]


def parse_url(call: Call, name: str) -> str:
    """An absolute http(s) address of at most 256 characters, or nothing."""
    value = call.params.get(name, "")
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or len(value) > 256 or not value.isascii() or not value.isprintable() or " " in value:
        raise invalid(name)
    return value


def check_choices(biz: dict[str, Any]) -> None:
    """The optional fields with a fixed set of values; any other optional field is accepted as it is."""
    for name, values in CHOICES.items():
        if name in biz and biz[name] not in values:
            raise invalid(name)
    goods = biz.get("goods_detail", [])
    if not isinstance(goods, list) or not all(is_goods(item) for item in goods):
        raise invalid("goods_detail")


def is_goods(item: object) -> bool:
    """A line of goods_detail has its four required fields."""
    needed = ("goods_id", "goods_name", "quantity", "price")
    return isinstance(item, dict) and all(item.get(name) not in (None, "") for name in needed)
