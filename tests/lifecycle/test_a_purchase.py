"""The world itself: one purchase from basket to refund, so that what follows stands on firm ground."""

from backend.courses.models import Enrollment
from backend.orders.models import Order
from tests.lifecycle.world import QUERY, REFUND, REFUND_QUERY


def test_a_purchase_paid_refunded_and_settled(make_world):
    world, witness = make_world()
    made = world.create(0, [0, 1], key="k")
    number, trade = made["order"]["id"], made["order"]["outTradeNo"]
    visit = world.buy(trade)
    assert world.come_back(visit) == "ConfirmReturnSuccess"
    assert Order.objects.get().status == "PAID"
    assert world.deliver_all() == 2
    assert world.refund(number, 3900, closing=[world.courses[1].pk])["__typename"] == "RefundOrderSuccess"
    world.jobs()
    assert Enrollment.objects.open().count() == 1
    assert world.console_refund(trade, 100)
    assert witness.look() == []
    world.settle_down()
    assert witness.look_at_the_end() == []
    # The bill names the refund by the number that the console gave it: asked for once, and known from then on.
    assert world.line.methods() == [QUERY, REFUND, QUERY, REFUND_QUERY]
    assert world.simulator.money(trade)[trade]["refunded_fen"] == 4000


def test_an_order_that_nobody_pays(make_world):
    world, witness = make_world()
    world.create(1, [2])
    world.settle_down()
    assert witness.look_at_the_end() == []
    assert Order.objects.get().status == "TIMED_OUT"
