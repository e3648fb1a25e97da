"""The two messages a merchant receives: the return (its query string) and the notify (its form)."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from .buyers import buyer_id
from .clock import beijing
from .config import Config
from .money import yuan
from .signing import signed_message

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from .trades import Trade

OF_ONE_SEND = ("notify_time", "sign")
NOTIFY_ORDER = (
    *("gmt_create", "charset", "gmt_payment", "notify_time", "subject", "sign", "buyer_id", "body", "invoice_amount"),
    *("version", "notify_id", "fund_bill_list", "notify_type", "out_trade_no", "total_amount", "trade_status"),
    *("trade_no", "auth_app_id", "receipt_amount", "point_amount", "app_id", "buyer_pay_amount", "sign_type"),
    *("seller_id", "passback_params"),
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


def paid_notify(trade: Trade, config: Config) -> dict[str, str]:
    """The fields of a `paid` notify (protocol 4.2). `notify_time` and `sign` belong to one send and stand empty."""
    return in_order({**sender_fields(config, trade.paid_at or 0), **trade_fields(trade), **fund_fields(trade)})


def in_order(fields: dict[str, str]) -> dict[str, str]:
    """Sort fields as the real samples have them; blank ones are left out, as Alipay does (protocol 2.3)."""
    return {name: fields[name] for name in NOTIFY_ORDER if fields.get(name) or name in OF_ONE_SEND}


def sender_fields(config: Config, event_at: float) -> dict[str, str]:
    """Who says it, and under which id."""
    return {
        "charset": "utf-8",
        "version": "1.0",
        "sign_type": "RSA2",
        "notify_type": "trade_status_sync",
        "notify_id": new_notify_id(event_at),
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


def notify_form(params: dict[str, str], sent_at: float, key: RSAPrivateKey) -> str:
    """One send of a notify: the same fields and id, with its own time and hence its own signature (protocol 4.4)."""
    return urlencode(signed_message({**params, "notify_time": beijing(sent_at)}, key))


def new_notify_id(now: float) -> str:
    """34 digits, as in the samples: Beijing day, 01222, time of day, and 15 more (protocol 4.1)."""
    digits = beijing(now).translate({ord(mark): None for mark in "-: "})
    return f"{digits[:8]}01222{digits[8:]}{secrets.randbelow(10**15):015d}"
