"""The two messages a merchant receives: the return (its query string) and the notify (its form)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from .buyers import buyer_id
from .clock import BEIJING, beijing
from .config import Config
from .money import yuan
from .signing import signed_message

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from .refunds import Refund
    from .trade import Trade

OF_ONE_SEND = ("notify_time", "sign")
NOTIFY_ORDER = (
    *("gmt_create", "charset", "gmt_payment", "notify_time", "subject", "sign", "buyer_id", "body", "invoice_amount"),
    *("version", "notify_id", "fund_bill_list", "notify_type", "out_trade_no", "total_amount", "trade_status"),
    *("trade_no", "auth_app_id", "receipt_amount", "point_amount", "app_id", "buyer_pay_amount", "sign_type"),
    *("seller_id", "passback_params", "refund_fee", "gmt_refund", "gmt_close", "out_biz_no"),
)


def return_address(return_url: str, trade: Trade, config: Config, now: float, key: RSAPrivateKey) -> str:
    """Return the merchant's address with the signed parameters behind its own ones, in their real order (protocol 3).

    There is no status among them: a return proves nothing.
    """
    params = {
        "charset": "utf-8",
        "out_trade_no": trade.out_trade_no,
        "method": "alipay.trade.page.pay.return",
        "total_amount": yuan(trade.total_fen),
        "sign": "",
        "trade_no": trade.trade_no,
        "auth_app_id": config.app_id,
        "version": "1.0",
        "app_id": config.app_id,
        "sign_type": "RSA2",
        "seller_id": config.seller_id,
        "timestamp": beijing(now),
    }
    scheme, host, path, own, fragment = urlsplit(return_url)
    query = "&".join(filter(None, (own, urlencode(signed_message(params, key)))))
    return urlunsplit((scheme, host, path, query, fragment))


def notify_fields(trigger: str, trade: Trade, refund: Refund | None, config: Config, notify_id: str) -> dict[str, str]:
    """The fields of a notify, for each event its own set (protocol 4.2).

    `notify_time` and `sign` belong to one send and stand empty. TRADE_FINISHED has the set of a payment: UNCONFIRMED.
    """
    fields = {**sender_fields(config, notify_id), **trade_fields(trade)}
    if refund is not None:
        fields |= refund_fields(trade, refund)
    elif trigger in ("trade_success", "trade_finished"):
        fields |= fund_fields(trade)
    if trade.closed_at is not None:
        fields["gmt_close"] = beijing(trade.closed_at)
    return in_order(fields)


def in_order(fields: dict[str, str]) -> dict[str, str]:
    """Sort fields as the real samples have them; blank ones are left out, as Alipay does (protocol 2.3)."""
    return {name: fields[name] for name in NOTIFY_ORDER if fields.get(name) or name in OF_ONE_SEND}


def sender_fields(config: Config, notify_id: str) -> dict[str, str]:
    """Who says it, and under which id."""
    return {
        "charset": "utf-8",
        "version": "1.0",
        "sign_type": "RSA2",
        "notify_type": "trade_status_sync",
        "notify_id": notify_id,
        "app_id": config.app_id,
        "auth_app_id": config.app_id,
        "seller_id": config.seller_id,
        "notify_time": "",
        "sign": "",
    }


def trade_fields(trade: Trade) -> dict[str, str]:
    """What it is about; `body` and `passback_params` come back as they were sent."""
    return {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.out_trade_no,
        "trade_status": trade.status,
        "total_amount": yuan(trade.total_fen),
        "subject": trade.subject,
        "body": trade.body,
        "passback_params": trade.passback_params,
        "buyer_id": buyer_id(trade.account),
        "gmt_create": beijing(trade.created_at),
        "gmt_payment": "" if trade.paid_at is None else beijing(trade.paid_at),
    }


def fund_fields(trade: Trade) -> dict[str, str]:
    """Where the money came from: only a `paid` notify says so (protocol 4.2). The key inside is camelCase here."""
    total = yuan(trade.total_fen)
    return {
        "receipt_amount": total,
        "invoice_amount": total,
        "buyer_pay_amount": total,
        "point_amount": "0.00",
        "fund_bill_list": json.dumps([{"amount": total, "fundChannel": "ALIPAYACCOUNT"}], separators=(",", ":")),
    }


def refund_fields(trade: Trade, refund: Refund) -> dict[str, str]:
    """What came back: `refund_fee` is the sum of all refunds; gmt_refund has milliseconds (protocol 4.1)."""
    milliseconds = datetime.fromtimestamp(refund.refunded_at, BEIJING).microsecond // 1000
    return {
        "refund_fee": yuan(trade.refunded_fen),
        "gmt_refund": f"{beijing(refund.refunded_at)}.{milliseconds:03d}",
        "out_biz_no": refund.out_request_no,
    }


def notify_form(params: dict[str, str], sent_at: float, key: RSAPrivateKey, *, corrupt: bool = False) -> str:
    """One send of a notify: the same fields and id, with its own time and hence its own signature (protocol 4.4)."""
    message = signed_message({**params, "notify_time": beijing(sent_at)}, key)
    if corrupt:
        first = message["sign"][0]
        message["sign"] = ("B" if first == "A" else "A") + message["sign"][1:]
    return urlencode(message)
