"""What has ever broken a form, and every place of the API where it can be put."""

import base64
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLSchema,
    build_schema,
    get_nullable_type,
    is_leaf_type,
)

from tests.shop import AlipaySide

ROOT = Path(__file__).resolve().parents[1]
TRAPS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 100, 101, 2**31 - 1, 2**31, 2**53, 2**63, 10**30, 1.5, -0.0, 1e308),
    *([], {}, [[]], [None], ["x"], ["1", "1"], ["1"] * 51, {"a": 1}, {"__typename": "x"}),
    *("", " ", "\t", "\n", "0", "1", "-1", "007", "1e3", "1_000", "NaN", "Infinity", "-Infinity", "null", "true"),
    *("156", "156.0", "156.00", "156.000", "+156.00", "-156.00", " 156.00", "156.00 ", "156,00", "１５６.００"),
    *("٣.٠٠", "0x9c", "0.00", "0.01", "0.005", "99999999.99", "100000000.00", "1" * 20, "9" * 400, "0" * 400 + ".01"),
    *("x" * 64, "x" * 65, "x" * 128, "x" * 129, "x" * 150, "x" * 151, "x" * 200, "x" * 201, "x" * 256, "x" * 10_000),
    *("a\x00b", "\x00", "\x1b[31m", "\x7f", "\x85", "\u200b", "\u202eabc", "\ufeff", "\ud800", "x\udfff", "\uffff"),
    *(
        "\U0001f600",
        "号" * 64,
        "号" * 65,
        "e\u0301",
        "\u00e9",
        "ß",
        "İ",
        "' OR 1=1 --",
        "'; DROP TABLE x; --",
        "%",
        "_",
    ),
    *("\\", '"', "<script>alert(1)</script>", "${7*7}", "{{7*7}}", "../../etc/passwd", "a\r\nX: y", "&a=b", "a&b=c"),
    *("UNPAID", "ALIPAY", "alipay", "WECHAT_PAY", "OPEN", "T3JkZXI6MQ==", "YXJyYXljb25uZWN0aW9uOjA=", "====", "id:1"),
    *(base64.b64encode(text).decode() for text in (b"\x00", b"\xff", b"arrayconnection:-1", b"1", b"[1]", b"9" * 30)),
)
TEXTS = tuple(trap for trap in TRAPS if isinstance(trap, str) and not any("\ud800" <= c <= "\udfff" for c in trap))
"""What a form can carry."""
SLICES = 4
Place = tuple[str, ...]
"""Where a trap is put: ("GraphQL", field, argument, …), ("notify", field), ("return", field) or ("header", name)."""


@cache
def schema() -> GraphQLSchema:
    return build_schema((ROOT / "schema.graphql").read_text("utf-8"))


@cache
def places() -> list[Place]:
    """Every argument, down to each field of each input and each item of each list; then what comes as a form."""
    roots = (schema().query_type, schema().mutation_type)
    arguments = [
        ("GraphQL", field, *path)
        for root in roots
        if root is not None
        for field, made in root.fields.items()
        for name, argument in made.args.items()
        for path in paths((name,), argument.type)
    ]
    notify = AlipaySide().paid_fields(PAYMENT)
    back = ("out_trade_no", "method", "total_amount", "trade_no", "app_id", "seller_id", "timestamp", "sign", "charset")
    forms = [*(("notify", name) for name in (*notify, "refund_fee", "gmt_refund", "out_biz_no", "new_field"))]
    forms += [("return", name) for name in back]
    return [*arguments, *forms, *(("header", name) for name in ("authorization", "x-request-id", "accept"))]


def paths(path: tuple[str, ...], kind: GraphQLInputType) -> Iterator[tuple[str, ...]]:
    inner = get_nullable_type(kind)
    yield path
    if isinstance(inner, GraphQLList) and not is_leaf_type(inner):
        yield from paths((*path, "[]"), inner.of_type)
    elif isinstance(inner, GraphQLInputObjectType):
        for name, field in inner.fields.items():
            yield from paths((*path, name), field.type)


class _Payment:
    """For the names of a notify's fields, before there is any payment."""

    pk, amount_fen, out_trade_no = 1, 1, "1"


PAYMENT: Any = _Payment()


def of_case(case: int) -> tuple[Place, tuple[Any, ...]]:
    """The place and its traps: other ones at the next place, and all of them in as many rounds as there are slices."""
    round_, number = divmod(case, len(places()))
    place = places()[number]
    traps = TRAPS if place[0] == "GraphQL" else TEXTS
    return place, traps[(number + round_) % SLICES :: SLICES]
