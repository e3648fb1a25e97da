"""Whatever the gateway answers to any of the four calls, and what must be true then: nothing moves but by a verified
answer that is bound to our question, and when the trouble is over everything ends as it should.

``answered`` is one cell of the matrix; it raises AssertionError.
"""

import json

from alipay_simulator.signing import envelope, sign
from backend.courses.models import Enrollment
from backend.orders.models import Order
from backend.payments.models import Discrepancy, Payment, Refund
from backend.payments.providers.alipay_http import LARGEST_ANSWER
from backend.payments.providers.base import ProviderUnavailable
from tests.lifecycle.invariants import dump
from tests.lifecycle.world import CLOSE, QUERY, REFUND, REFUND_QUERY

NOT_CARRIED_OUT = ("timeout_before", "http_502", "code_20000", "system_error")
CARRIED_OUT = (
    *("timeout_after", "system_error_applied", "unsigned", "bad_signature", "wrong_key", "other_order", "truncated"),
    *("huge", "drip", "empty", "html_200", "not_json"),
)


def raw(text):
    return lambda world, call: text if isinstance(text, bytes) else text.encode()


def signed(body):
    """A node with Alipay's good signature."""

    def answer(world, call):
        node, text = f"{call.method.replace('.', '_')}_response", json.dumps(body(call) if callable(body) else body)
        return envelope(node, text, sign(text, world.simulator.key)).encode()

    return answer


def refused(error):
    def answer(world, call):
        raise error

    return answer


def named(call, **more):
    return {"code": "10000", "msg": "Success", "out_trade_no": call.out_trade_no, **more}


def another_amount(call):
    """Everything a success needs, of two fen only."""
    return named(
        call,
        trade_no="2026112322001000000000000001",
        trade_status="TRADE_SUCCESS",
        total_amount="0.02",
        send_pay_date="2026-11-23 12:00:00",
        fund_change="Y",
        refund_fee="0.00",
        refund_status="REFUND_SUCCESS",
        out_request_no=call.out_request_no,
        refund_amount="0.02",
    )


def unknown_words(call):
    return named(
        call,
        trade_no="2026112322001000000000000001",
        trade_status="TRADE_BEWITCHED",
        total_amount="156.00",
        fund_change="MAYBE",
        refund_status="REFUND_BEWITCHED",
        out_request_no=call.out_request_no,
        refund_amount="156.00",
    )


def wrong_types(call):
    return named(call, trade_no=7, trade_status=["TRADE_SUCCESS"], total_amount=156, fund_change=1, refund_status=[])


HAND_MADE = {
    "{}": raw("{}"),
    "[]": raw("[]"),
    "null": raw("null"),
    "GBK": raw('{"alipay_trade_query_response":{"code":"10000","msg":"成功"},"sign":"x"}'.encode("gbk")),
    "deep": raw("[" * 30_000),
    "NaN": raw('{"alipay_trade_query_response":{"code":NaN},"sign":"x"}'),
    "endless": raw(b" " * (LARGEST_ANSWER + 1)),
    "refused connection": refused(ProviderUnavailable("the call failed: ConnectionRefusedError")),
    "our own mistake": refused(KeyError("a bug in the transport")),
    "a number out of all proportion": raw('{"a":' + "9" * 5000 + "}"),
    "signed: another amount": signed(another_amount),
    "signed: words we do not know": signed(unknown_words),
    "signed: wrong types": signed(wrong_types),
    "signed: nothing in it": signed({}),
    "signed: 40006, not permitted": signed(
        {"code": "40006", "msg": "x", "sub_code": "isv.insufficient-isv-permissions"}
    ),
    "signed: 40004 with an unknown word": signed({"code": "40004", "msg": "x", "sub_code": "ACQ.BEWITCHED"}),
    "signed: 20000": signed({"code": "20000", "msg": "x", "sub_code": "aop.unknow-error"}),
}
ANSWERS = (*NOT_CARRIED_OUT, *CARRIED_OUT, *HAND_MADE)
BELIEVED = {
    # A signed success that names our trade is all that there is to know of a close: it says nothing else.
    *((CLOSE, f"signed: {what}") for what in ("another amount", "words we do not know", "wrong types")),
    # A signed word that we do not know is neither paid nor closed; the close after it is genuine.
    (QUERY, "signed: words we do not know"),
}


def strike(world, method, kind):
    """From now on each call of this method is answered so."""
    if kind in HAND_MADE:
        answer = HAND_MADE[kind]
        world.line.around = lambda call, carry_out: answer(world, call) if call.method == method else carry_out()
        return
    more = {"size": 10 * LARGEST_ANSWER} if kind == "huge" else {}
    world.simulator.fault(method, kind, times=1000, **more)
    if kind == "drip":

        def slow(call, carry_out):
            answer = carry_out()
            if call.method == method:
                raise ProviderUnavailable("no whole answer in time")
            return answer

        world.line.around = slow


def waiting_at_the_cashier(world):
    """An order whose time is over at our clock, and whose buyer still could pay at Alipay's."""
    made = world.create(0, [0, 1])["order"]
    assert world.scan(world.visit(made["outTradeNo"]))
    world.create(1, [2])  # for "another order"
    world.wait((Payment.objects.first().expires_at - world.now()).total_seconds())
    return made


def refund_asked_for(world, *, tried):
    made = world.create(0, [0, 1])["order"]
    assert world.buy(made["outTradeNo"])
    other = world.create(1, [2])["order"]
    assert world.buy(other["outTradeNo"])
    world.deliver_all()
    assert world.refund(made["id"])["__typename"] == "RefundOrderSuccess"
    if tried:  # an earlier try was not heard, so that this one begins with a question
        world.simulator.fault(REFUND, "timeout_before")
        world.simulator.fault(REFUND_QUERY, "timeout_before")
        world.jobs()
        assert Refund.objects.get().times_tried == 1
        world.simulator.faults.clear()
        world.wait(120)
    return made


def books(world):
    return {name: value for name, value in dump(world.simulator).items() if name != "money"}


def to_a_question_or_a_close(world, witness, method, kind):
    """An order whose time is over. Alipay's clock must be behind ours, so that its buyer could still pay."""
    waiting_at_the_cashier(world)
    assert Order.objects.first().status == "UNPAID"
    strike(world, method, kind)
    for attempt in (1, 2):
        world.jobs()
        assert witness.look() == []
        states = Order.objects.first().status, Payment.objects.first().status
        if (method, kind) in BELIEVED or (method == CLOSE and kind in CARRIED_OUT and attempt == 2):
            assert states == ("TIMED_OUT", "CLOSED"), "Alipay's own signed word, to the close or to the next question"
        else:
            assert states == ("UNPAID", "CLOSING"), "nothing is known, so nothing may change"
        world.wait(91)
    assert method in world.line.methods()
    if (method, kind) not in BELIEVED:
        world.settle_down()
        assert witness.look_at_the_end() == []
        assert set(Order.objects.values_list("status", flat=True)) == {"TIMED_OUT"}
        assert world.simulator.money() == {}
    assert not Enrollment.objects.exists()
    # Alipay itself says that it took money, and not what was asked for: people must look.
    assert Discrepancy.objects.exists() == ((method, kind) == (QUERY, "signed: another amount"))


def to_a_refund_or_the_question_after_it(world, witness, method, kind):
    """A refund of all of an order, asked for by an operator."""
    refund_asked_for(world, tried=method == REFUND_QUERY)
    before = books(world)
    strike(world, method, kind)
    if method == REFUND_QUERY:
        world.simulator.fault(REFUND, "timeout_before", times=1000)
    for _ in range(2):
        world.jobs()
        assert witness.look() == []
        known = Refund.objects.get()
        if kind in CARRIED_OUT and method == REFUND and known.times_tried > 1:
            assert known.status == "SUCCEEDED", "done at Alipay: the question of the second try finds out"
        else:
            assert books(world) == before, "nothing is known, so nothing may change"
            assert Enrollment.objects.open().count() == 3
        world.wait(600)
    assert method in world.line.methods()
    world.settle_down()
    assert witness.look_at_the_end() == []
    assert Refund.objects.get().status == "SUCCEEDED"
    assert len({call.out_request_no for call in world.line.calls if call.method == REFUND}) == 1
    assert Enrollment.objects.open().count() == 1
    assert sum(account["refunded_fen"] for account in world.simulator.money().values()) == 15600
    assert not Discrepancy.objects.exists()


SKEWS = {QUERY: -1000, CLOSE: -1000, REFUND: 0, REFUND_QUERY: 0}
"""How far ahead of ours the clock of the world's Alipay is, for each call."""


def answered(world, witness, method, kind):
    """Every call of ``method`` in this world is answered with ``kind``, until the trouble is over."""
    cell = to_a_question_or_a_close if method in (QUERY, CLOSE) else to_a_refund_or_the_question_after_it
    cell(world, witness, method, kind)
    assert world.tracebacks.seen == []
