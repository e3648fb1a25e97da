"""Alipay's page pay, through python-alipay-sdk.

What shapes this module:

- A pay URL is only signed here; no call is made. Alipay knows no trade until the buyer opens the cashier, so a query
  before that says that there is none, and only the absolute ``time_expire`` in the URL ends its life for certain.
- All times are Beijing's and are given explicitly: the SDK would stamp requests with the process's own zone.
- ``trade_status`` says TRADE_SUCCESS again for a partial refund; ``refund_fee`` and ``out_biz_no`` then tell of it.
- A return carries no status and proves no payment, though the same key signs it: a notify must say so by its type.
- In an answer ``total_amount`` is the price; ``receipt_amount`` may be "0.00" for a paid trade.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TypeVar

from backend.money import format_yuan
from backend.payments.providers import alipay_bill
from backend.payments.providers.alipay_answer import Node, check_bound, check_success, open_answer
from backend.payments.providers.alipay_client import SIGN_TYPE, AlipayClient
from backend.payments.providers.alipay_form import check_content_type, check_fields, check_one_reading, read_form
from backend.payments.providers.alipay_http import post_form
from backend.payments.providers.alipay_keys import load_private_key, load_public_keys
from backend.payments.providers.alipay_options import check_ids, check_urls
from backend.payments.providers.alipay_refund import found_refund, refund_content, refund_numbers, refunded
from backend.payments.providers.alipay_refusals import refused_close, refused_refund, refused_refund_query
from backend.payments.providers.alipay_trades import notified_trade, queried_trade, told_amount, trade_number
from backend.payments.providers.alipay_values import NAME, STATES, beijing_text, clean_subject, is_out_trade_no
from backend.payments.providers.base import (
    BadSignature,
    CloseResult,
    MessageRefused,
    Notice,
    PayRequest,
    Provider,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    RefundRequest,
    RefundResult,
    ReturnClaim,
    Trade,
)
from backend.payments.providers.bill import BillRow

LARGEST_NOTIFY = 16 * 1024
LARGEST_RETURN = 8 * 1024

_SIGNED = ("app_id", "seller_id", "sign_type", "sign", "out_trade_no", "trade_no", "total_amount")
_NOTIFY_FIELDS = ("notify_type", "notify_id", "trade_status", *_SIGNED)
_NOTIFY_KIND = ("notify_type", "trade_status_sync")
_RETURN_FIELDS = ("method", *_SIGNED)
_RETURN_KIND = ("method", "alipay.trade.page.pay.return")

log = logging.getLogger("coursepay.alipay")
T = TypeVar("T")


def _now() -> datetime:
    return datetime.now(UTC)


class Alipay(Provider):
    """Alipay for one app and one seller. Keeps nothing but its parsed keys; safe to share between threads."""

    name = NAME

    def __init__(
        self,
        *,
        app_id: str,
        seller_id: str,
        app_private_key: str,
        alipay_public_keys: Sequence[str],
        gateway_url: str,
        notify_url: str,
        return_url: str,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Keys are the texts of keys, PEM or one base64 line; ``clock`` gives aware times.

        Raises ValueError, with a sentence that says the mend, for a key, URL or id that cannot work.
        """
        check_ids(app_id=app_id, seller_id=seller_id)
        check_urls(gateway_url=gateway_url, notify_url=notify_url, return_url=return_url)
        key = load_private_key(app_private_key)
        keys = load_public_keys(alipay_public_keys, key)
        self._app_id, self._seller_id, self._clock = app_id, seller_id, clock
        self._urls = {"notify_url": notify_url, "return_url": return_url}
        self._client = AlipayClient(app_id=app_id, private_key=key, public_keys=keys, gateway=gateway_url)

    def pay(self, request: PayRequest) -> str:
        """The cashier's URL, good until ``request.expires_at``.

        Raises ValueError for a number other than 1 to 32 of ``[A-Za-z0-9_]``, an amount under 1 fen or over what
        Alipay takes, and a naive time. The subject is cleaned, never refused.
        """
        if not is_out_trade_no(request.out_trade_no):
            raise ValueError("out_trade_no must be 1 to 32 ASCII letters, digits or underscores")
        if request.amount_fen < 1:
            raise ValueError("Alipay takes no payment under 1 fen")
        biz = {
            "out_trade_no": request.out_trade_no,
            "total_amount": format_yuan(request.amount_fen),
            "subject": clean_subject(request.subject),
            "product_code": "FAST_INSTANT_TRADE_PAY",
            "goods_type": "0",  # virtual goods: a course is not posted
            "time_expire": beijing_text(request.expires_at),  # absolute: timeout_express starts anew at each visit
        }
        timestamp = beijing_text(self._clock())
        query = self._client.client_api("alipay.trade.page.pay", biz, timestamp=timestamp, **self._urls)
        return f"{self._client.gateway}?{query}"

    def query(self, out_trade_no: str, *, deadline: float = 10.0) -> Trade:
        """What Alipay says now of our number, within ``deadline`` seconds in all (the look-up of its name excepted).

        Raises TradeNotFound (not final for a page pay), ProviderRejected, or ProviderUnavailable for everything that is
        not a signed answer to this very question; nothing else.
        """
        return self._call(
            "alipay.trade.query",
            trade_number(out_trade_no),
            deadline,
            lambda node: queried_trade(node, out_trade_no),
        )

    def close(self, out_trade_no: str, *, deadline: float = 10.0) -> CloseResult:
        """Ends a trade that waits for money; a paid one stays paid. ``deadline`` as for query.

        NOT_FOUND is not final: the pay URL can still open the trade until it expires. Raises ProviderRejected, or
        ProviderUnavailable when it may or may not be closed now.
        """
        biz = trade_number(out_trade_no)
        try:
            return self._call("alipay.trade.close", biz, deadline, lambda node: CloseResult.CLOSED)
        except ProviderRejected as refusal:
            return refused_close(refusal)

    def refund(self, request: RefundRequest, *, deadline: float = 10.0) -> RefundResult:
        """Gives ``request.amount_fen`` back, once for each ``out_request_no``. ``deadline`` as for query.

        NOT_SEEN: this call moved nothing, so an earlier one may have; query_refund tells. Raises ProviderUnavailable
        when the money may or may not have moved, and nothing else. Numbers as in pay, the refund's up to 64.
        """
        biz = refund_content(request)
        try:
            return self._call("alipay.trade.refund", biz, deadline, lambda node: refunded(node, request))
        except ProviderRejected as refusal:
            return refused_refund(refusal)

    def query_refund(self, request: RefundRequest, *, deadline: float = 10.0) -> RefundResult:
        """SUCCEEDED when this very refund is done, NOT_SEEN when Alipay tells of none; it may take 10 s to know.

        ``deadline`` as for query. Raises ProviderUnavailable, also for another amount under this number.
        """
        biz, method = refund_numbers(request), "alipay.trade.fastpay.refund.query"
        try:
            return self._call(method, biz, deadline, lambda node: found_refund(node, request))
        except ProviderRejected as refusal:
            return refused_refund_query(refusal)

    def bill(
        self, day: date, *, deadline: float = 600.0, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[BillRow]:
        """The rows of the day's bill, as the protocol has it. ``progress`` hears bytes of the unpacked table."""

        def new_url(seconds: float) -> str:
            biz = alipay_bill.bill_content(day)
            return self._call(alipay_bill.METHOD, biz, seconds, alipay_bill.bill_url, alipay_bill.check_bill)

        return alipay_bill.fetch_rows(new_url, deadline=deadline, progress=progress)

    def parse_notification(self, body: bytes, headers: Mapping[str, str]) -> Notice:
        """The notice in ``body``. Raises MessageRefused; the checks run in the order that api promises."""
        fields = read_form(body, most_bytes=LARGEST_NOTIFY)
        check_content_type(headers)
        check_fields(fields, _NOTIFY_FIELDS, _NOTIFY_KIND)
        self._authenticate(fields)
        if fields["trade_status"] not in STATES:
            raise MessageRefused(MessageRefused.UNKNOWN_STATUS, fields["trade_status"][:32], fields=fields)
        return Notice(fields["notify_id"], fields["trade_status"], notified_trade(fields))

    def parse_return(self, query: str) -> ReturnClaim:
        """The claim in a return's query string, with or without "?". Raises MessageRefused."""
        raw = query.removeprefix("?").encode("utf-8", "surrogatepass")  # which the strict reader then refuses
        fields = read_form(raw, most_bytes=LARGEST_RETURN)
        check_fields(fields, _RETURN_FIELDS, _RETURN_KIND)
        self._authenticate(fields)
        return ReturnClaim(fields["out_trade_no"], fields["trade_no"], told_amount(fields, "total_amount"))

    def _authenticate(self, fields: Mapping[str, str]) -> None:
        if fields["app_id"] != self._app_id:
            raise MessageRefused(MessageRefused.WRONG_APP, fields=fields)
        if fields["sign_type"] != SIGN_TYPE:
            raise BadSignature(f"sign_type is not {SIGN_TYPE}", fields=fields)
        # Of a notify and a return the signature covers neither itself nor sign_type; of a request it covers sign_type.
        signed = {name: value for name, value in fields.items() if name not in {"sign", "sign_type"}}
        if not self._client.verify(signed, fields["sign"]):
            raise BadSignature(fields=fields)
        check_one_reading(fields)
        if fields["seller_id"] != self._seller_id:
            raise MessageRefused(MessageRefused.WRONG_SELLER, fields=fields)

    def _call(
        self,
        method: str,
        biz: dict[str, str],
        deadline: float,
        read: Callable[[Node], T],
        check: Callable[[Node], None] = check_success,
    ) -> T:
        """``read``'s view of the answer to one call; raises ProviderError and nothing else. One line in the log."""
        started, outcome = time.monotonic(), "ok"
        try:
            node = self._ask(method, biz, deadline)
            check(node)
            result = read(node)
            if isinstance(result, RefundResult):
                outcome = result.state.value
            return result
        except ProviderRejected as error:
            outcome = error.code
            raise
        except ProviderError as error:
            outcome = f"unknown, {error}"
            raise
        except Exception as error:  # a fault of ours, too, leaves the outcome unknown
            outcome = f"unknown, {type(error).__name__}"
            raise ProviderUnavailable(f"the call broke off: {type(error).__name__}") from error
        finally:
            spent = (time.monotonic() - started) * 1000
            numbers = " ".join(biz[name] for name in ("out_trade_no", "out_request_no", "bill_date") if name in biz)
            log.info("%s %s: %s (%d ms)", method, numbers, outcome, spent)

    def _ask(self, method: str, biz: dict[str, str], deadline: float) -> Node:
        request = self._client.build_body(method, dict(biz), timestamp=beijing_text(self._clock()))
        form = self._client.sign_data(request)
        # In a form, not in the URL: nothing of it stands in an access log on the way.
        raw = post_form(self._client.gateway, form, deadline=deadline)
        node = open_answer(raw, method, self._client.verify_bytes)
        check_bound(node, biz)
        return node
