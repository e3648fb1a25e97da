"""The planted bugs: mistakes that a shop like this one is known to make, and the tests that must notice each.

Each is an edit of our own source. When the source changes so that an edit no longer fits, `make lint` says so by
``.venv/bin/python -m torture.bugs``, and so does the trial: write the edit anew for the new source, in the same spirit.
"""

from dataclasses import dataclass

from torture.planting import ROOT, Edit, NotPlanted

ALIPAY = "backend/payments/providers/alipay.py"
ANSWER = "backend/payments/providers/alipay_answer.py"
CHECKOUT = "backend/payments/checkout.py"
FORM = "backend/payments/providers/alipay_form.py"
LIFECYCLE = "backend/orders/lifecycle.py"
MONEY = "backend/money.py"
NOTIFICATIONS = "backend/payments/notifications.py"
PLACEMENT = "backend/orders/placement.py"
REFUNDING = "backend/payments/refunding.py"
REFUNDS = "backend/payments/refunds.py"
RETURNS = "backend/payments/returns.py"
SCHEMA = "backend/schema/order_queries.py"
STATUS = "backend/status.py"
TRADES = "backend/payments/trades.py"
TRANSACTIONS = "backend/transactions.py"
WATCH = "backend/payments/watch.py"

NOTIFY = "tests/api/test_notify_refusals.py::test_"
PURCHASE = "tests/api/test_purchase.py::test_"
REPEATS = "tests/api/test_repeats.py::test_"
RETURN = "tests/api/test_return.py::test_"
EXPIRY = "tests/jobs/test_expiry.py::test_"
LATE = "tests/jobs/test_late_money.py::test_"
REFUND = "tests/jobs/test_refunds.py::test_"


@dataclass(frozen=True)
class Bug:
    """``caught_by``: node ids of tests; one that is red is enough. Of a parametrized test its name means all of it."""

    name: str
    edits: tuple[Edit, ...]
    caught_by: tuple[str, ...]


def bug(name: str, file: str, old: str, new: str, *caught_by: str, beside: Edit | None = None) -> Bug:
    return Bug(name, (Edit(file, old, new), *([beside] if beside else ())), caught_by)


BUGS = (
    bug(
        "the amount of a notify is not compared with the order's",
        TRADES,
        "if trade.amount_fen != payment.amount_fen:",
        "if False:",
        NOTIFY + "a_wrong_amount",
    ),
    bug(
        "a status moves from anywhere to anywhere, without a guard",
        STATUS,
        "if not move.row.may_become(move.status):",
        "if False:",
        "tests/unit/test_status.py::test_of_two_that_read_the_same_status_one_moves_it",
        beside=Edit(STATUS, '{"pk": move.row.pk, "status": move.row.status}', '{"pk": move.row.pk}'),
    ),
    bug(
        "each statement of a use case is committed by itself",
        TRANSACTIONS,
        "with transaction.atomic():",
        "if True:",
        NOTIFY + "a_crash_while_opening_access_undoes_the_payment",
    ),
    bug(
        "success is answered before the effect is committed",
        NOTIFICATIONS,
        "kept = keep_verified(provider, body, sender, notice)\n    return handle(kept, notice)",
        "kept = keep_verified(provider, body, sender, notice)\n    try:\n        return handle(kept, notice)\n"
        "    except Exception:\n        return True",
        NOTIFY + "a_crash_keeps_the_message_and_a_replay_applies_it",
    ),
    bug(
        "an order is read once and then shown from memory",
        SCHEMA,
        "order, payment = found(asked, by_out_trade_no=by_out_trade_no)",
        "memory = globals().setdefault('_memory', {})\n"
        "    order, payment = memory.get(asked) or memory.setdefault(\n"
        "        asked, found(asked, by_out_trade_no=by_out_trade_no))",
        PURCHASE + "a_paid_notify_pays_the_order_and_opens_its_courses",
    ),
    bug(
        "yuan become fen by way of a float",
        MONEY,
        'return int(text.replace(".", ""))',
        "return int(float(text) * 100)",
        "tests/unit/test_money.py::test_what_is_written_is_read_back",
        "tests/unit/test_money.py::test_an_amount_is_what_decimal_arithmetic_says",
    ),
    bug(
        "each try at a refund has a number of its own",
        REFUNDING,
        "out_request_no=refund.out_request_no,",
        'out_request_no=f"{refund.out_request_no}_{refund.times_tried}",',
        REFUND + "a_time_out_ends_in_one_refund_by_the_same_number",
    ),
    bug(
        "whose shop was paid is not looked at",
        ALIPAY,
        'if fields["seller_id"] != self._seller_id:',
        "if False:",
        NOTIFY + "another_seller",
    ),
    bug(
        "an order whose time is over is ended without asking Alipay",
        WATCH,
        "payment.move_to(PaymentStatus.CLOSING)\n",
        "payment.move_to(PaymentStatus.CLOSED, closed_at=now, next_query_at=None)\n"
        "        mark_timed_out(payment.order, now=now)\n"
        "        return None\n",
        EXPIRY + "money_found_at_the_last_moment_pays",
    ),
    bug(
        "a return from the cashier is proof of payment",
        RETURNS,
        "        ask_provider(payment)\n",
        "        from backend.payments.providers.base import Trade, TradeState\n"
        '        apply_trade(Trade("alipay", claim.out_trade_no, claim.trade_no, TradeState.PAID, claim.amount_fen))\n',
        RETURN + "a_return_alone_pays_nothing",
    ),
    bug(
        "the signature of a notify is not verified",
        ALIPAY,
        'if not self._client.verify(signed, fields["sign"]):',
        "if False:",
        NOTIFY + "a_forged_signature",
    ),
    bug(
        "which app was paid through is not looked at",
        ALIPAY,
        'if fields["app_id"] != self._app_id:',
        "if False:",
        NOTIFY + "another_app",
    ),
    bug(
        "a payment that is settled is settled again",
        TRADES,
        "    if payment.status == PaymentStatus.PAID:\n",
        "    if False:\n",
        PURCHASE + "the_same_notify_again_is_success_and_changes_nothing",
    ),
    bug(
        "a refund may be larger than what is left of the payment",
        REFUNDS,
        "amount_fen > payment.refundable_fen:",
        "amount_fen > payment.amount_fen:",
        REFUND + "the_sum_never_exceeds_what_was_paid",
    ),
    bug(
        "a paid order opens no course",
        LIFECYCLE,
        "opened = open_access(user_id=order.user_id, line_ids={line.course_id: line.pk for line in lines}, at=now)",
        "opened = {line.course_id for line in lines}",
        PURCHASE + "a_paid_notify_pays_the_order_and_opens_its_courses",
    ),
    bug(
        "nobody is told of a paid order",
        LIFECYCLE,
        "    tell(facts, order_number=order.number, at=now, along_with=events)\n",
        "    insert_all(events)\n",
        "tests/events/test_outbox.py::test_paid",
    ),
    bug(
        "an order ends while its pay URL can still be opened",
        WATCH,
        "payment.expires_at + timedelta(seconds=settings.ORDER_GRACE_SECONDS)",
        "payment.expires_at",
        EXPIRY + "a_trade_that_does_not_exist_is_over_only_after_the_grace",
    ),
    bug(
        "late money that the order cannot take is kept",
        TRADES,
        "give_back(payment, amount_fen=payment.amount_fen, cause=cause, now=now)\n",
        "pass\n",
        LATE + "late_money_goes_back_where_the_shop_wants_it_so",
    ),
    bug(
        "the answer about another order is taken for ours",
        ANSWER,
        "if node[name] != request[name]:",
        "if False:",
        "tests/unit/providers/test_alipay_calls.py::test_a_signed_answer_without_a_definite_word_on_ours_is_unknown",
        beside=Edit(ANSWER, 'node.get("out_trade_no") != out_trade_no', "False"),
    ),
    bug(
        "no such trade means not paid, for good",
        WATCH,
        "        return schedule(payment, back_off(payment, now))\n    if payment.status != PaymentStatus.CLOSING:",
        "        payment.move_to(PaymentStatus.CLOSED, closed_at=now, next_query_at=None)\n"
        "    if payment.status != PaymentStatus.CLOSING:",
        EXPIRY + "no_such_trade_before_its_time_leaves_the_url_to_be_paid",
    ),
    bug(
        "a key that was used for another input gives that input's order",
        PLACEMENT,
        "if used.input_hash != basket.input_hash:",
        "if False:",
        REPEATS + "a_key_with_another_input_is_refused",
    ),
    bug(
        "of a field that comes twice the last is taken",
        FORM,
        "if len({name for name, _ in pairs}) != len(pairs):",
        "if False:",
        NOTIFY + "a_field_that_comes_twice",
    ),
    bug(
        "a refund whose outcome is unknown has failed",
        REFUNDING,
        "return try_again(refund_id, RefundResult(RefundState.NOT_SEEN))",
        'return fail(refund_id, code="", message="")',
        REFUND + "a_time_out_ends_in_one_refund_by_the_same_number",
    ),
    bug(
        "money for an attempt that was closed is not taken in",
        TRADES,
        "    paid_at = trade.paid_at or now\n",
        "    if payment.status == PaymentStatus.CLOSED:\n        return Effect.NOTHING_NEW\n"
        "    paid_at = trade.paid_at or now\n",
        NOTIFY + "money_for_an_attempt_that_was_closed_pays_the_order",
    ),
    bug(
        "a buyer's clicks are not taken one after the other",
        CHECKOUT,
        "    lock_buyer(user_id)\n    placed = ",
        "    placed = ",
        "tests/unit/test_locks.py::test_a_purchase_begins_with_the_buyers_lock",
    ),
)


def unfit() -> list[str]:
    """What is wrong with the edits that the source no longer has a place for."""
    wrong = []
    for each in BUGS:
        for edit in each.edits:
            try:
                edit.apply((ROOT / edit.file).read_text("utf-8"))
            except NotPlanted as error:
                wrong.append(f"{each.name}: {error}")
    return wrong


if __name__ == "__main__":
    raise SystemExit("\n".join(unfit()) or None)
