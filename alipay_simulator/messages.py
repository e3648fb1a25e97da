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
    parts = urlsplit(return_url)
    query = "&".join(filter(None, (parts.query, urlencode(signed_message(params, key)))))
    return urlunsplit(parts._replace(query=query))


def paid_notify(trade: Trade, config: Config) -> dict[str, str]:
    """The fields of a `paid` notify in the order of the real sample (protocol 4.2).

    `notify_time` and `sign` belong to one send and stand empty here. What the merchant did not send is left out:
    Alipay sends no blank fields.
    """
    total = yuan(trade.total_fen)
    paid_at = beijing(trade.paid_at or 0)
    fields = {
        "gmt_create": beijing(trade.created_at),
        "charset": "utf-8",
        "gmt_payment": paid_at,
        "notify_time": "",
        "subject": trade.subject,
        "sign": "",
        "buyer_id": buyer_id(trade.account),
        "body": trade.body,
        "invoice_amount": total,
        "version": "1.0",
        "notify_id": new_notify_id(trade.paid_at or 0),
        "fund_bill_list": json.dumps([{"amount": total, "fundChannel": "ALIPAYACCOUNT"}], separators=(",", ":")),
        "notify_type": "trade_status_sync",
        "out_trade_no": trade.out_trade_no,
        "total_amount": total,
        "trade_status": trade.status,
        "trade_no": trade.trade_no,
        "auth_app_id": config.app_id,
        "receipt_amount": total,
        "point_amount": "0.00",
        "app_id": config.app_id,
        "buyer_pay_amount": total,
        "sign_type": "RSA2",
        "seller_id": config.seller_id,
        "passback_params": trade.passback_params,
    }
    return {name: value for name, value in fields.items() if value or name in ("notify_time", "sign")}


def notify_form(params: dict[str, str], sent_at: float, key: RSAPrivateKey) -> str:
    """One send of a notify: the same fields and id, with its own time and hence its own signature (protocol 4.4)."""
    return urlencode(signed_message({**params, "notify_time": beijing(sent_at)}, key))


def new_notify_id(now: float) -> str:
    """34 digits, as in the samples: Beijing day, 01222, time of day, and 15 more (protocol 4.1)."""
    digits = beijing(now).translate({ord(mark): None for mark in "-: "})
    return f"{digits[:8]}01222{digits[8:]}{secrets.randbelow(10**15):015d}"
