"""The schema is the contract: what api.md promises is there, and nothing that was promised goes away unsaid."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    NullValueNode,
    build_schema,
    is_required_argument,
    is_required_input_field,
    print_ast,
    print_schema,
)
from graphql.utilities import find_breaking_changes

from backend.errors import ErrorCode, ShopError
from backend.schema.assembly import schema

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "schema.graphql"

# api.md, as far as buying goes; what other issues add stands beside it.
PROMISED = """
scalar Money
scalar DateTime

enum OrderStatus { UNPAID PAID CANCELLED TIMED_OUT }
enum PayType { ALIPAY WECHAT_PAY }
enum ErrorCode {
  INVALID_CREDENTIALS RATE_LIMITED INVALID_INPUT IDEMPOTENCY_KEY_REUSED COURSES_UNAVAILABLE ALREADY_OWNED
  OPEN_ORDER_EXISTS PRICE_CHANGED ORDER_NOT_FOUND ORDER_NOT_PAYABLE
}

type User { id: ID! username: String! }
type Course { id: ID! name: String! summary: String! price: Money! owned: Boolean! }
type OrderLine { id: ID! course: Course! name: String! price: Money! realPrice: Money! }
type OrderEvent { id: ID! name: String! at: DateTime! detail: String! }

type Order {
  id: ID! number: String! outTradeNo: String! subject: String! totalAmount: Money! status: OrderStatus!
  payType: PayType! lines: [OrderLine!]! createdAt: DateTime! expiresAt: DateTime! paidAt: DateTime tradeNo: String
  payUrl: String timeline: [OrderEvent!]! isTerminal: Boolean! nextPollAfterMs: Int serverTime: DateTime!
}

type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
type CourseEdge { cursor: String! node: Course! }
type CourseConnection { pageInfo: PageInfo! edges: [CourseEdge!]! totalCount: Int! }
type OrderEdge { cursor: String! node: Order! }
type OrderConnection { pageInfo: PageInfo! edges: [OrderEdge!]! totalCount: Int! }

type Query {
  me: User
  course(id: ID!): Course
  courses(first: Int = 20, after: String, search: String): CourseConnection!
  order(id: ID, outTradeNo: String): Order
  orders(first: Int = 20, after: String, status: [OrderStatus!]): OrderConnection!
  myCourses(first: Int = 20, after: String): CourseConnection!
}

type Mutation {
  login(input: LoginInput!): LoginResult!
  logout: Boolean!
  createOrder(input: CreateOrderInput!): CreateOrderResult!
  payOrder(input: PayOrderInput!): PayOrderResult!
  confirmReturn(input: ConfirmReturnInput!): ConfirmReturnResult!
}

input LoginInput { username: String! password: String! }
input CreateOrderInput {
  courseIds: [ID!]! totalAmount: Money! subject: String payType: PayType! = ALIPAY idempotencyKey: String
}
input PayOrderInput { orderId: ID! payType: PayType }
input ConfirmReturnInput { query: String! }

interface UserError { code: ErrorCode! message: String! }

union LoginResult = LoginSuccess | InvalidCredentials | RateLimited
union CreateOrderResult = CreateOrderSuccess | InvalidInput | IdempotencyKeyReused | CoursesUnavailable | AlreadyOwned
  | OpenOrderExists | PriceChanged | RateLimited
union PayOrderResult = PayOrderSuccess | OrderNotFound | OrderNotPayable | AlreadyOwned | InvalidInput | RateLimited
union ConfirmReturnResult = ConfirmReturnSuccess | OrderNotFound | InvalidInput | RateLimited

type LoginSuccess { token: String! expiresAt: DateTime! user: User! }
type CreateOrderSuccess { order: Order! payUrl: String replayed: Boolean! }
type PayOrderSuccess { order: Order! payUrl: String! }
type ConfirmReturnSuccess { order: Order! verified: Boolean! }
type InvalidInput implements UserError { code: ErrorCode! message: String! field: String! }
type PriceChanged implements UserError {
  code: ErrorCode! message: String! expectedTotal: Money! actualTotal: Money!
}
type CoursesUnavailable implements UserError { code: ErrorCode! message: String! courseIds: [ID!]! }
type AlreadyOwned implements UserError { code: ErrorCode! message: String! courseIds: [ID!]! }
type OpenOrderExists implements UserError { code: ErrorCode! message: String! order: Order! payUrl: String }
type OrderNotPayable implements UserError { code: ErrorCode! message: String! order: Order! }
type RateLimited implements UserError { code: ErrorCode! message: String! retryAfterMs: Int! }
type IdempotencyKeyReused implements UserError { code: ErrorCode! message: String! }
type InvalidCredentials implements UserError { code: ErrorCode! message: String! }
type OrderNotFound implements UserError { code: ErrorCode! message: String! }
"""
promised = build_schema(PROMISED)
exported = build_schema(schema.as_str())
TYPES = sorted(name for name in promised.type_map if not name.startswith("__"))
KINDS = (
    GraphQLScalarType,
    GraphQLEnumType,
    GraphQLUnionType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLInputObjectType,
)


def default(element):
    """As it is written; what is left out and what is null by default is the same to a client."""
    written = element.ast_node.default_value
    return None if written is None or isinstance(written, NullValueNode) else print_ast(written)


def differences(ours, theirs):
    """How ``theirs`` falls short of ``ours``; more beside it is none."""
    if type(ours) is not type(theirs):
        return [f"{ours.name} is a {type(theirs).__name__}"]
    if isinstance(ours, GraphQLEnumType):
        lost = ours.values.keys() - theirs.values.keys()
        return [f"{ours.name} has no {name}" for name in sorted(lost)]
    if isinstance(ours, GraphQLUnionType):
        members = {kind.name for kind in ours.types}, {kind.name for kind in theirs.types}
        return [] if members[0] == members[1] else [f"{ours.name} is {sorted(members[1])}"]
    found = []
    for name, field in getattr(ours, "fields", {}).items():
        if name not in theirs.fields:
            found.append(f"{ours.name}.{name} is missing")
        else:
            found += field_differences(f"{ours.name}.{name}", field, theirs.fields[name])
    if isinstance(ours, GraphQLObjectType):
        lost = {kind.name for kind in ours.interfaces} - {kind.name for kind in theirs.interfaces}
        found += [f"{ours.name} is no {name}" for name in sorted(lost)]
    if isinstance(ours, GraphQLInputObjectType):
        extra = theirs.fields.keys() - ours.fields.keys()
        found += [f"{ours.name}.{n} is required" for n in sorted(extra) if is_required_input_field(theirs.fields[n])]
    return found


def field_differences(name, ours, theirs):
    found = [] if str(ours.type) == str(theirs.type) else [f"{name} is {theirs.type}, not {ours.type}"]
    if not hasattr(ours, "args"):
        return found if default(ours) == default(theirs) else [*found, f"{name} is {default(theirs)} by default"]
    for argument, promise in ours.args.items():
        if argument not in theirs.args:
            found.append(f"{name}({argument}:) is missing")
        else:
            found += field_differences(f"{name}({argument}:)", promise, theirs.args[argument])
    extra = theirs.args.keys() - ours.args.keys()
    return found + [f"{name}({n}:) is required" for n in sorted(extra) if is_required_argument(theirs.args[n])]


@pytest.mark.parametrize("name", TYPES)
def test_what_is_promised_is_there(name):
    assert name in exported.type_map
    assert differences(promised.type_map[name], exported.type_map[name]) == []


def test_the_comparison_finds_what_is_missing():
    """The test of the test."""
    changed = build_schema(
        PROMISED.replace("summary: String!", "")
        .replace("isTerminal: Boolean!", "isTerminal: Boolean")
        .replace("first: Int = 20, after: String)", "first: Int = 10, after: String)")
        .replace("| OrderNotPayable | AlreadyOwned", "| OrderNotPayable")
        .replace("CANCELLED TIMED_OUT", "CANCELLED")
        .replace("orderId: ID! payType", "orderId: ID! reason: String! payType")
        .replace("course(id: ID!): Course", "course(id: ID!, when: DateTime!): Course")
        .replace("type OrderNotFound implements UserError", "type OrderNotFound")
    )
    found = [text for name in TYPES for text in differences(promised.type_map[name], changed.type_map[name])]
    assert sorted(found) == [
        "Course.summary is missing",
        "Order.isTerminal is Boolean, not Boolean!",
        "OrderNotFound is no UserError",
        "OrderStatus has no TIMED_OUT",
        "PayOrderInput.reason is required",
        "PayOrderResult is ['InvalidInput', 'OrderNotFound', 'OrderNotPayable', 'PayOrderSuccess', 'RateLimited']",
        "Query.course(when:) is required",
        "Query.myCourses(first:) is 10 by default",
    ]


@pytest.mark.parametrize("name", ["OrderStatus", "PayType"])
def test_a_closed_list_has_nothing_more(name):
    assert set(exported.type_map[name].values) == set(promised.type_map[name].values)


def test_every_refusal_has_a_type_and_a_code_of_its_name():
    def capitals(name):
        return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()

    refusals = {kind.name for kind in exported.get_implementations(exported.type_map["UserError"]).objects}
    assert {capitals(name) for name in refusals} == set(exported.type_map["ErrorCode"].values)
    assert {(kind.__name__, kind.code) for kind in ShopError.__subclasses__()} == {
        (name, ErrorCode(capitals(name))) for name in refusals
    }


def test_everything_a_client_sees_is_described():
    bare = [
        name
        for name, kind in exported.type_map.items()
        if not name.startswith("__") and not kind.description and not isinstance(kind, GraphQLUnionType)
        and name not in ("ID", "String", "Int", "Boolean", "Float")
    ]  # fmt: skip
    assert bare == []


# --- The file --------------------------------------------------------------------------------------------------------


def test_the_committed_file_is_what_the_code_exports():
    assert COMMITTED.read_text("utf-8").strip() == schema.as_str().strip(), "run: make schema"


def export(seed):
    code = "import django; django.setup(); from backend.schema.assembly import schema; print(schema.as_str())"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_two_processes_export_the_same():
    assert export("1") == export("4242") == schema.as_str().strip()


# --- Changes ---------------------------------------------------------------------------------------------------------


def committed_schema():
    """schema.graphql at HEAD; the file itself where git is not, or does not know it."""
    try:
        done = subprocess.run(["git", "show", "HEAD:schema.graphql"], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return COMMITTED.read_text("utf-8")
    return done.stdout.decode("utf-8")


def announced():
    """The CHANGELOG's words on the GraphQL API."""
    try:
        text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    except FileNotFoundError:
        return ""
    return "\n".join(re.findall(r"^#+ *GraphQL API *$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL))


def unannounced(old, new, changelog):
    return [change.description for change in find_breaking_changes(old, new) if change.description not in changelog]


def test_no_promise_is_broken_unsaid():
    assert unannounced(build_schema(committed_schema()), exported, announced()) == []


def test_a_broken_promise_is_found_unless_it_is_announced():
    """The test of the test."""
    text = print_schema(exported)
    without = build_schema(re.sub(r'  """[^"]*"""\n  serverTime: DateTime!\n', "", text, count=1))
    assert unannounced(exported, without, "") == ["Field Order.serverTime was removed."]
    assert unannounced(exported, without, "- Field Order.serverTime was removed.") == []
    assert unannounced(exported, exported, "") == []


def test_the_changelogs_section_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert announced() == ""
    text = "# Changes\n\n## 2.0\n\n### GraphQL API\n\n- Order.x was removed.\n\n### Other\n\n- Order.y was removed.\n"
    (tmp_path / "CHANGELOG.md").write_text(text, "utf-8")
    assert announced().strip() == "- Order.x was removed."
