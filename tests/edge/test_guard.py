"""The guard: linear in what was sent, exact at its limits, and cheap for what it knows."""

import pytest
from graphql import build_schema, parse

from backend.schema import documents as documents_module
from backend.schema.access import Refused
from backend.schema.assembly import schema
from backend.schema.guard import LIMITS, Limits, TooComplex, Walk, examine
from tests.edge.corpus import alias_bomb, bomb

OURS = schema._schema
NO_LIMITS = Limits(*[2**2000] * 9)


def walked(text):
    walk = Walk(OURS, parse(text))
    figures = [walk.operation(node) for node in walk.operations]
    return walk, figures[0]


def refused(text, **variables):
    """The figure and the limit that it is refused with; None when it is not."""
    try:
        examine(OURS, parse(text)).check(None, variables)
    except TooComplex as refusal:
        return refusal.extensions["figure"], refusal.extensions["limit"]
    return None


# --- Linear ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [5, 10, 20, 40, 80, 160, 200])
def test_a_bomb_is_walked_once(levels):
    walk, figures = walked("{ ...F0 } " + bomb(levels))
    assert walk.visited == 2 * levels + 2
    assert figures.fields == 3 * 2**levels - 1  # all of them counted, none of them visited


@pytest.mark.parametrize("levels", [5, 50, 150])
def test_an_alias_bomb_is_walked_once(levels):
    walk, figures = walked("{ courses { ...F0 } } " + alias_bomb(levels))
    assert walk.visited == 5 * levels + 3
    assert figures.aliases == 2**levels - 1


def test_a_fragment_that_many_spread_is_walked_once():
    spreads = " ".join("...A" for _ in range(200))
    walk, figures = walked(f"{{ {spreads} }} fragment A on Query {{ me {{ id username }} }}")
    assert walk.visited == 200 + 3
    assert figures.fields == 200 * 4


@pytest.mark.parametrize(
    ("levels", "figures"), [(5, (32, LIMITS.repeats)), (7, (383, LIMITS.fields)), (12, (13, LIMITS.fragments)),
                            (100, (101, LIMITS.fragments)), (200, (201, LIMITS.fragments))]
)  # fmt: skip
def test_a_bomb_is_refused_at_any_size(levels, figures):
    assert refused("{ ...F0 } " + bomb(levels)) == figures


def test_a_figure_too_large_for_json_is_cut():
    with pytest.raises(TooComplex) as refusal:
        examine(OURS, parse("{ ...F0 } " + bomb(200)), Limits(fragments=1000))
    assert refusal.value.extensions["figure"] == 2**53 - 1


@pytest.mark.parametrize("text", [
    "{ ...A } fragment A on Query { ...A ...A }",
    "{ ...A } fragment A on Query { ...B } fragment B on Query { me { id } ...A }",
])  # fmt: skip
def test_a_circle_ends(text):
    assert walked(text)[0].visited <= 5


# --- Limits ----------------------------------------------------------------------------------------------------------


def spread(count):
    return " ".join(f"...F{n}" for n in range(count)), " ".join(
        f"fragment F{n} on Query {{ __typename }}" for n in range(count)
    )


AT_THE_LIMIT = {
    "operations": lambda n: " ".join(f"query Q{k} {{ me {{ id }} }}" for k in range(n)),
    "fragments": lambda n: "{{ {} }} {}".format(*spread(n)),
    "depth": lambda n: "{ a " * (n - 1) + "{ a }" + "}" * (n - 1),
    "fields": lambda n: "{ " + " ".join(f"f{k}" for k in range(n)) + " }",
    "aliases": lambda n: "{ " + " ".join(f"a{k}: me" for k in range(n)) + " }",
    "directives": lambda n: "{ me " + "@a " * n + "}",
    "repeats": lambda n: "{ " + "me " * n + "}",
    "mutations": lambda n: "mutation { " + " ".join(f"m{k}" for k in range(n)) + " }",
}


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_a_limit_is_exact(name):
    limit, make = getattr(LIMITS, name), AT_THE_LIMIT[name]
    plan = examine(OURS, parse(make(limit)))
    assert len(plan.costs) == (limit if name == "operations" else 1)
    assert refused(make(limit + 1)) == (limit + 1, limit)


@pytest.mark.parametrize("text", [
    "{ a: me ...A } fragment A on Query { b: me ...B } fragment B on Query { c: me @x }",
    "{ a: me ... on Query { b: me ... { c: me @x } } }",
])  # fmt: skip
def test_what_stands_in_fragments_counts(text):
    figures = walked(text)[1]
    assert (figures.aliases, figures.directives, figures.depth) == (3, 1, 1)
    assert figures.names.total() == 3


def test_a_name_is_counted_where_it_stands():
    figures = walked("{ me { id } ...A me { id id } } fragment A on Query { me { id } }")[1]
    assert figures.names == {"me": 3}
    assert figures.repeats == 3
    assert walked("{ course { id id id id } me { id } }")[1].repeats == 4


def test_a_name_is_not_hidden_by_an_alias():
    assert refused("mutation { login __typename: login }") == (2, 1)
    assert refused("mutation { login login }") == (2, 1)
    assert refused("mutation { __typename login ... { __typename } }") is None
    assert refused("mutation { ...A } fragment A on Mutation { login ... { logout } }") == (2, 1)


def test_a_fragment_that_nobody_spreads_is_bounded():
    text = "{ me { id } } fragment A on Query { " + "me { id } " * 30 + "}"
    assert refused(text) == (30, LIMITS.repeats)


# --- Cost ------------------------------------------------------------------------------------------------------------


def cost(text, **variables):
    plan = examine(OURS, parse(text), NO_LIMITS)
    ((figure, defaults),) = plan.costs.values()
    return figure.of({**defaults, **variables})


def test_a_page_is_multiplied_by_its_rows():
    assert cost("{ me { id username } }") == 3
    assert cost("{ courses(first: 30) { edges { node { id } } } }") == 1 + 30 * 3
    assert cost("{ courses { totalCount } }") == 1 + 20
    assert cost("{ courses(first: null) { totalCount } }") == 1 + 20
    assert cost("{ order(id: 1) { lines { id course { id } } status } }") == 1 + 1 + 10 * 3 + 1
    assert cost("{ orders(first: 5) { edges { node { lines { id } } } } }") == 1 + 5 * (2 + 1 + 10)


def test_a_page_of_a_variable_size():
    text = "query ($n: Int, $m: Int = 7) { a: courses(first: $n) { totalCount } b: courses(first: $m) { totalCount } }"
    assert cost(text, n=50) == 2 + 50 + 7
    assert cost(text) == 2 + 20 + 7
    assert cost(text, n=None, m=None) == 2 + 20 + 20
    assert cost(text, n=3, m=4) == 2 + 3 + 4


@pytest.mark.parametrize(("asked", "rows"), [
    (0, 1), (-5, 1), (101, 100), (10**30, 100), (1e300, 100), (float("inf"), 100), (2.0, 2), ("9", 20), ([], 20),
    (True, 20), ({}, 20),
])  # fmt: skip
def test_a_size_that_cannot_be_is_left_to_the_resolver(asked, rows):
    assert cost("query ($n: Int) { courses(first: $n) { totalCount } }", n=asked) == 1 + rows


def test_a_shared_fragment_costs_each_time():
    text = """query ($n: Int) { ...A ...B } fragment A on Query { a: courses(first: $n) { ...C } }
      fragment B on Query { b: courses(first: 10) { ...C } } fragment C on CourseConnection { totalCount }"""
    assert cost(text, n=50) == 2 + 50 + 10


ROWS = "{ edges { node { lines { id name price realPrice course { id name } } timeline { id name } refunds { id } } } }"


def test_the_same_document_is_refused_only_for_many_rows():
    text = f"query ($n: Int) {{ orders(first: $n) {ROWS} }}"
    assert refused(text, n=20) is None
    assert refused(text, n=100) == (cost(text, n=100), LIMITS.cost)


def test_a_cost_in_the_document_is_refused_at_once():
    text = f"{{ orders(first: 100) {ROWS} }}"
    with pytest.raises(TooComplex, match=f"at most {LIMITS.cost}"):
        examine(OURS, parse(text))


def test_the_operation_that_is_chosen_is_costed():
    plan = examine(OURS, parse(f"query A {{ me {{ id }} }} query B($n: Int) {{ orders(first: $n) {ROWS} }}"))
    plan.check("A", {"n": 100})
    with pytest.raises(TooComplex):
        plan.check("B", {"n": 100})
    for name in (None, "C"):
        with pytest.raises(Refused) as refusal:
            plan.check(name, {})
        assert refusal.value.extensions == {"code": "BAD_REQUEST"}


def test_a_schema_without_a_root_is_no_crash():
    examine(build_schema("type Query { a: Int }"), parse("mutation { a } subscription { b } { ... on Nothing { c } }"),
            Limits())  # fmt: skip


# --- Over HTTP -------------------------------------------------------------------------------------------------------


def test_a_known_document_is_not_walked_again(buyer, order, monkeypatch):
    query = "query ($n: Int) { orders(first: $n) { totalCount edges { node { id } } } }"
    buyer.ask(query, n=2)
    for name in ("examine", "validate"):
        monkeypatch.setattr(documents_module, name, lambda *args, **more: pytest.fail("looked at again"))
    monkeypatch.setattr("strawberry.schema.schema.parse", lambda *args, **more: pytest.fail("parsed again"))
    assert buyer.ask(query, n=1)["orders"]["totalCount"] == 1


def test_a_known_document_is_still_refused_for_many_rows(buyer, order):
    query = f"query ($n: Int) {{ orders(first: $n) {ROWS} }}"
    assert len(buyer.ask(query, n=1)["orders"]["edges"]) == 1
    assert buyer.errors(query, n=100) == ["QUERY_TOO_COMPLEX"]
    assert len(buyer.ask(query, n=1)["orders"]["edges"]) == 1


def test_what_the_storefront_asks_is_far_from_the_limits(buyer, order):
    text = """query ($n: Int = 20) { orders(first: $n) { pageInfo { hasNextPage endCursor } edges { node {
      id number outTradeNo subject totalAmount status payType createdAt expiresAt paidAt tradeNo payUrl refundState
      refundedAmount isTerminal nextPollAfterMs serverTime lines { id name price realPrice course { id name owned } }
      refunds { id amount status reason createdAt } timeline { id name at detail } } } } }"""
    assert cost(text) <= LIMITS.cost / 2
    assert buyer.ask(text)["orders"]["edges"]
