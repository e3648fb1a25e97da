"""The schema is the contract: what api.md promises is there, and nothing that was promised goes away unsaid."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
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
from backend.schema.management.commands.export_possible_types import possible_types

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


def members(schema):
    """Everything that GraphiQL shows: types, fields, arguments, enum values and input fields, by their names."""
    for name, kind in schema.type_map.items():
        if name.startswith("__"):
            continue
        yield name, kind
        for field, definition in getattr(kind, "fields", {}).items():
            yield f"{name}.{field}", definition
            yield from ((f"{name}.{field}({arg}:)", found) for arg, found in getattr(definition, "args", {}).items())
        yield from ((f"{name}.{value}", found) for value, found in getattr(kind, "values", {}).items())


def bare(schema):
    return [name for name, member in members(schema) if not (member.description or "").strip()]


def test_everything_a_client_sees_is_described():
    assert bare(exported) == []


def test_what_is_not_described_is_found():
    """The test of the test."""
    schema = build_schema('type Query { a(b: C, "d" e: Int): F } input C { g: Int } enum F { H } union I = Query')
    found = ["Query", "Query.a", "Query.a(b:)", "C", "C.g", "F", "F.H", "I"]
    assert sorted(bare(schema)) == sorted(found)


def undated(schema):
    """What is deprecated without a day from which it may be gone."""
    deprecated = [(name, getattr(member, "deprecation_reason", None)) for name, member in members(schema)]
    return [
        name for name, reason in deprecated if reason is not None and not re.search(r"\b20\d\d-\d\d-\d\d\b", reason)
    ]


def test_a_deprecation_carries_a_date():
    assert undated(exported) == []


def test_a_deprecation_without_a_date_is_found():
    """The test of the test."""
    fields = 'a: Int @deprecated b: Int @deprecated(reason: "Use c.") c: Int @deprecated(reason: "Gone on 2027-06-30.")'
    assert undated(build_schema(f"type Query {{ {fields} }}")) == ["Query.a", "Query.b"]


def test_a_connection_is_relays_with_a_total():
    connections = {name: kind for name, kind in exported.type_map.items() if name.endswith("Connection")}
    assert set(connections) == {"CourseConnection", "OrderConnection"}
    for name, kind in connections.items():
        assert {field: str(found.type) for field, found in kind.fields.items()} == {
            "pageInfo": "PageInfo!",
            "edges": f"[{name.removesuffix('Connection')}Edge!]!",
            "totalCount": "Int!",
        }


def test_nothing_is_found_by_an_id_of_any_type():
    """No ``node``: what is readable is readable through a field that knows who may read it."""
    assert "node" not in exported.query_type.fields
    assert "nodes" not in exported.query_type.fields
    assert "Node" not in exported.type_map


# --- The file --------------------------------------------------------------------------------------------------------


def test_the_committed_file_is_what_the_code_exports():
    assert COMMITTED.read_text("utf-8").strip() == schema.as_str().strip(), "run: make schema"


def test_the_committed_possible_types_are_those_of_the_schema():
    committed = (ROOT / "possible_types.json").read_bytes()
    assert committed == possible_types(schema._schema), "run: manage.py export_possible_types"
    assert json.loads(committed)["LoginResult"] == ["InvalidCredentials", "LoginSuccess", "RateLimited"]
    assert "OrderNotFound" in json.loads(committed)["UserError"]


def test_the_command_writes_the_possible_types(tmp_path):
    call_command("export_possible_types", path=tmp_path / "types.json")
    assert (tmp_path / "types.json").read_bytes() == (ROOT / "possible_types.json").read_bytes()


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


def git(*arguments):
    """What git says; None where it is not, or does not know."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("utf-8").strip()


def promised_before():
    """The schema as it was last released, and as it is committed; the file itself where git does not say."""
    release = git("describe", "--tags", "--abbrev=0")
    revisions = [revision for revision in (release, "HEAD") if revision]
    found = [text for revision in revisions if (text := git("show", f"{revision}:schema.graphql"))]
    return found or [COMMITTED.read_text("utf-8")]


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
    for text in promised_before():
        assert unannounced(build_schema(text), exported, announced()) == []


def test_what_was_released_last_is_compared_with(tmp_path, monkeypatch):
    """Not only HEAD: once a change is committed, HEAD has it too."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "COMMITTED", tmp_path / "schema.graphql")
    git("init", "-q")
    for number, text in enumerate(("type Query { a: Int b: Int }", "type Query { a: Int }")):
        (tmp_path / "schema.graphql").write_text(text)
        git("add", ".")
        git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "x")
        assert promised_before()[-1] == text
        if number == 0:
            git("tag", "v1")
    before = [unannounced(build_schema(text), build_schema("type Query { a: Int }"), "") for text in promised_before()]
    assert before == [["Field Query.b was removed."], []]


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
