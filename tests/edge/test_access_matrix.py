"""Who may read and do what: every field of the schema, for nobody, the buyer, another buyer and staff.

What is not in the tables below fails the first tests: a new field has to say who may have it.
"""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, get_named_type, is_leaf_type

from backend.orders.models import Order
from backend.payments.refunds import request_refund
from backend.schema.assembly import schema
from tests.api.helpers import nothing_changes, pay

TYPES = schema._schema.type_map
ROLES = ("anonymous", "buyer", "stranger", "staff")
SIGN_IN, FORBIDDEN, REFUSED = ["UNAUTHENTICATED"], ["FORBIDDEN"], ["BAD_REQUEST"]
NOT_FOUND, SERVED = "OrderNotFound", "served"
"""A list is the codes of top-level errors, a name the member of the result union."""

ROOTS = {
    "Query.me": (None, SERVED, SERVED, SERVED),
    "Query.course": (SERVED, SERVED, SERVED, SERVED),
    "Query.courses": (SERVED, SERVED, SERVED, SERVED),
    "Query.order": (SIGN_IN, SERVED, None, SERVED),
    "Query.orders": (SIGN_IN, SERVED, SERVED, SERVED),
    "Query.myCourses": (SIGN_IN, SERVED, SERVED, SERVED),
    "Mutation.login": ("LoginSuccess",) * 4,
    "Mutation.logout": (SIGN_IN, SERVED, SERVED, SERVED),
    "Mutation.createOrder": (SIGN_IN, "AlreadyOwned", "CreateOrderSuccess", "CreateOrderSuccess"),
    "Mutation.payOrder": (SIGN_IN, "OrderNotPayable", NOT_FOUND, NOT_FOUND),
    "Mutation.cancelOrder": (SIGN_IN, "OrderNotCancellable", NOT_FOUND, NOT_FOUND),
    "Mutation.confirmReturn": (SIGN_IN, "ConfirmReturnSuccess", NOT_FOUND, NOT_FOUND),
    "Mutation.refundOrder": (SIGN_IN, FORBIDDEN, FORBIDDEN, "RefundOrderSuccess"),
    "Subscription.orderUpdated": (REFUSED,) * 4,  # served at another address, where tests/stream asks the same
}
ORDER = 'order(id: "{number}") {{ %s }}'
WAYS = {
    "User": "me {{ %s }}",
    "Course": 'course(id: "{course}") {{ %s }}',
    "CourseConnection": "courses {{ %s }}",
    "CourseEdge": "courses {{ edges {{ %s }} }}",
    "Order": ORDER,
    "OrderLine": ORDER % "lines {{ %s }}",
    "OrderEvent": ORDER % "timeline {{ %s }}",
    "Refund": ORDER % "refunds {{ %s }}",
    "OrderConnection": "orders {{ %s }}",
    "OrderEdge": "orders {{ edges {{ %s }} }}",
    "PageInfo": "orders {{ pageInfo {{ %s }} }}",
}
"""Where an object of each type is read."""
PUBLIC = {"Course", "CourseConnection", "CourseEdge"}
OWN = {"User", "OrderConnection", "OrderEdge", "PageInfo"}
"""Of whoever asks: others see theirs."""
ARGUMENTS = {
    "course": 'id: "{course}"',
    "order": 'id: "{number}"',
    "login": 'input: {{username: "{name}", password: "{password}"}}',
    "createOrder": 'input: {{courseIds: ["{course}"], totalAmount: "117.00"}}',
    "payOrder": 'input: {{orderId: "{number}"}}',
    "cancelOrder": 'input: {{orderId: "{number}"}}',
    "confirmReturn": 'input: {{query: "{search}"}}',
    "refundOrder": 'input: {{orderId: "{number}", reason: "asked", amount: "1.00", idempotencyKey: "matrix"}}',
    "orderUpdated": 'id: "{number}"',
}
PASSWORDS = {"li": "correct horse", "wang": "battery staple", "zhao": "paper clip"}
ROOT_TYPES = {"Query", "Mutation", "Subscription"}


def unwrapped(kind):
    return get_named_type(kind)


def results():
    """The types that only answer a mutation: members of the result unions."""
    unions = [unwrapped(field.type) for field in TYPES["Mutation"].fields.values()]
    return {member.name for union in unions if isinstance(union, GraphQLUnionType) for member in union.types}


def objects():
    return {name for name, kind in TYPES.items() if isinstance(kind, GraphQLObjectType) and not name.startswith("__")}


def selection(kind, *, deep=True):
    """Everything that can be selected of a type, one level of objects deep; names made different where they differ."""
    kind = unwrapped(kind)
    if isinstance(kind, GraphQLUnionType):
        return "__typename " + " ".join(f"... on {member.name} {{ {selection(member)} }}" for member in kind.types)
    parts = []
    for name, field in kind.fields.items():
        inner = unwrapped(field.type)
        if is_leaf_type(inner):
            parts.append(f"{name}")
        elif deep and not isinstance(inner, GraphQLUnionType | GraphQLInterfaceType):
            parts.append(f"{name} {{ {selection(inner, deep=False) or '__typename'} }}")
    return " ".join(parts)


@pytest.fixture
def shoppers(anonymous, buyer, stranger, staff):
    return {"anonymous": anonymous, "buyer": buyer, "stranger": stranger, "staff": staff}


@pytest.fixture
def bought(buyer, order, payment, staff, alipay):
    """A paid order of the buyer with a refund, so that every list of it has a row."""
    pay(payment)
    request_refund(number=order.number, amount_fen=100, reason="asked", idempotency_key="k", close_course_ids=[],
                   staff_id=staff.user.pk)  # fmt: skip
    course = order.lines.first().course_id
    return {"number": order.number, "course": course, "search": alipay.return_query(payment), "payment": payment}


def secrets(bought):
    order = Order.objects.get(number=bought["number"])
    payment = order.payments.get()
    return [order.number, payment.out_trade_no, payment.trade_no]


def outcome(response, name):
    """None, SERVED, the member of the union, or the codes of the errors."""
    answer = response.json()
    if answer.get("errors"):
        return [error["extensions"]["code"] for error in answer["errors"]]
    value = answer["data"][name]
    return value.get("__typename", SERVED) if isinstance(value, dict) else (None if value is None else SERVED)


def test_every_root_field_says_who_may_have_it():
    roots = {f"{root}.{name}" for root in ROOT_TYPES & TYPES.keys() for name in TYPES[root].fields}
    assert roots == ROOTS.keys()


def test_every_type_says_where_it_is_read():
    assert objects() - ROOT_TYPES - results() == WAYS.keys()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("root", ROOTS)
def test_a_root_field(root, role, shoppers, bought):
    kind, _, name = root.partition(".")
    field = TYPES[kind].fields[name]
    shopper = shoppers[role]
    values = {**bought, "name": shopper.user.username if shopper.user else "li"}
    values["password"] = PASSWORDS[values["name"]]
    arguments = f"({ARGUMENTS[name].format(**values)})" if name in ARGUMENTS else ""
    inner = unwrapped(field.type)
    chosen = "" if is_leaf_type(inner) else f"{{ {selection(inner)} }}"
    response = shopper.post(f"{kind.lower()} {{ {name}{arguments} {chosen} }}")
    expected = ROOTS[root][ROLES.index(role)]
    assert outcome(response, name) == expected
    if role in ("anonymous", "stranger") or expected in (NOT_FOUND, FORBIDDEN):
        text = response.content.decode()
        assert [secret for secret in secrets(bought) if secret in text] == []


@pytest.mark.parametrize("root", [root for root in ROOTS if root.startswith("Mutation") and "log" not in root])
@pytest.mark.parametrize("role", ["anonymous", "stranger"])
def test_what_is_refused_changes_nothing(root, role, shoppers, bought):
    name = root.partition(".")[2]
    if name == "createOrder" and role == "stranger":
        return
    inner = unwrapped(TYPES["Mutation"].fields[name].type)
    with nothing_changes():
        shoppers[role].post(f"mutation {{ {name}({ARGUMENTS[name].format(**bought)}) {{ {selection(inner)} }} }}")


FIELDS = [(kind, name) for kind in WAYS for name in TYPES[kind].fields]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=lambda part: part)
def test_a_field(kind, name, role, shoppers, bought):
    inner = unwrapped(TYPES[kind].fields[name].type)
    chosen = name if is_leaf_type(inner) else f"{name} {{{{ {selection(inner, deep=False) or '__typename'} }}}}"
    response = shoppers[role].post("{ " + (WAYS[kind] % chosen).format(**bought) + " }")
    answer, text = response.json(), response.content.decode()
    if role != "buyer" and (role != "staff" or kind in OWN):
        assert [secret for secret in secrets(bought) if secret in text] == []
    if role == "anonymous" and kind not in PUBLIC | {"User"}:
        assert [error["extensions"]["code"] for error in answer["errors"]] == SIGN_IN
        assert answer["data"] is None or set(answer["data"].values()) == {None}
        return
    assert "errors" not in answer
    (value,) = answer["data"].values()
    sees_none = (role == "stranger" and kind not in OWN | PUBLIC) or (role == "anonymous" and kind == "User")
    assert (value is None) is sees_none


def test_the_buyer_sees_rows_in_every_list(buyer, bought):
    """The test of the test: an empty list would hide anything."""
    text = '{ order(id: "%s") { lines { id } timeline { id } refunds { id } } orders { edges { cursor } } }'
    data = buyer.ask(text % bought["number"])
    assert all(data["order"].values())
    assert data["orders"]["edges"]
    assert len(set(secrets(bought))) == 3


# --- "not yours" and "not there" -------------------------------------------------------------------------------------

SAME = {
    "an order by id": ("query ($a: ID!) {{ order(id: $a) {{ {order} }} }}", "number"),
    "an order by its number": ("query ($a: String!) {{ order(outTradeNo: $a) {{ {order} }} }}", "out_trade_no"),
    "payOrder": ("mutation ($a: ID!) {{ payOrder(input: {{orderId: $a}}) {{ {pay} }} }}", "number"),
    "cancelOrder": ("mutation ($a: ID!) {{ cancelOrder(input: {{orderId: $a}}) {{ {cancel} }} }}", "number"),
    "confirmReturn": ("mutation ($a: String!) {{ confirmReturn(input: {{query: $a}}) {{ {confirm} }} }}", "search"),
    "a cursor": ("query ($a: String!) {{ orders(after: $a) {{ totalCount }} }}", "number"),
}  # fmt: skip


def told(shopper, query, value):
    """The answer, and the statements it took, without what was asked for."""
    with CaptureQueriesContext(connection) as captured:
        response = shopper.post(query, a=value)
    return response.status_code, response.content.replace(value.encode(), b"?"), len(captured)


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("is_open", [True, False], ids=["open", "paid"])
def test_not_yours_and_not_there_are_the_same(name, is_open, stranger, buyer, payment, alipay):
    """The same answer, and as many statements: what a clock could tell apart."""
    if not is_open:
        pay(payment)
    results = {alias: selection(TYPES["Mutation"].fields[field].type) for alias, field in
               {"pay": "payOrder", "cancel": "cancelOrder", "confirm": "confirmReturn"}.items()}  # fmt: skip
    query, kind = SAME[name]
    query = query.format(order=selection(TYPES["Order"]), **results)
    theirs = {"number": payment.order.number, "out_trade_no": payment.out_trade_no}
    theirs["search"] = alipay.return_query(payment)
    nobodys = {"number": "2" * len(payment.order.number), "out_trade_no": "0" * 32}
    nobodys["search"] = alipay.return_query(payment, out_trade_no="0" * 32)
    with nothing_changes():
        not_yours, not_there = (told(stranger, query, values[kind]) for values in (theirs, nobodys))
    assert not_yours == not_there
    assert json.loads(not_yours[1]) != json.loads(told(buyer, query, theirs[kind])[1])
