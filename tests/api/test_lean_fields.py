"""Fields that need nothing but their row go past strawberry; the answers are the same, and the others do not."""

import pytest

from backend.schema import lean
from backend.schema.assembly import schema

EVERYTHING = """
query ($no: String!) {
  order(outTradeNo: $no) {
    id number outTradeNo subject totalAmount status payType createdAt expiresAt paidAt tradeNo payUrl refundState
    refundedAmount isTerminal nextPollAfterMs refunds { id } timeline { id name at detail }
    lines { id name price realPrice course { id name summary price owned } }
  }
}
"""


def fields():
    for kind in schema._schema.type_map.values():
        for field in getattr(kind, "fields", {}).values():
            if hasattr(field, "resolve"):
                yield field


@pytest.fixture
def as_strawberry_made_them(monkeypatch):
    """Every field with the resolver that strawberry gives it."""
    converter = schema.schema_converter
    for field in fields():
        if (definition := field.extensions.get("strawberry-definition")) and lean.lean_resolver(definition):
            monkeypatch.setattr(field, "resolve", converter.from_resolver(definition))


def answer(buyer, payment):
    answered = buyer.ask(EVERYTHING, no=payment.out_trade_no)["order"]
    answered.pop("nextPollAfterMs")
    return answered


def test_most_of_an_order_is_lean():
    found = set(lean.make_lean(schema._schema))
    assert {"Order.status", "Order.lines", "OrderLine.price", "Course.name", "User.username"} <= found


def test_what_asks_who_asks_is_not():
    assert not {"Course.owned", "Query.order", "Mutation.createOrder"} & set(lean.make_lean(schema._schema))


def test_the_answer_is_the_same_by_either_way(buyer, payment, request):
    lean_answer = answer(buyer, payment)
    assert [line["course"]["owned"] for line in lean_answer["lines"]] == [False, False]
    request.getfixturevalue("as_strawberry_made_them")
    assert answer(buyer, payment) == lean_answer


def test_a_lean_field_is_called_without_strawberry(anonymous, courses, monkeypatch, request):
    def refuse(*args, **kwargs):
        raise AssertionError("strawberry was asked")

    field = schema._schema.type_map["Course"].fields["name"].extensions["strawberry-definition"]
    monkeypatch.setattr(type(field), "get_result", refuse)
    asked = "query ($id: ID!) { course(id: $id) { name } }"
    assert anonymous.ask(asked, id=str(courses[0].pk)) == {"course": {"name": courses[0].name}}
    request.getfixturevalue("as_strawberry_made_them")
    assert anonymous.errors(asked, id=str(courses[0].pk)) == ["INTERNAL"]
