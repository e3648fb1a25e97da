"""Attacks on a GraphQL address, as requests: what graphql-cop, BatchQL, CrackQL, clairvoyance, DVGA and the OWASP cheat
sheet do, written anew for this schema, and what breaks parsers of JSON and of HTTP.

Plain data: the tests send each, and ``bench.attacks`` measures what each costs.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwianRpIjoiMSIsImlzcyI6ImNvdXJzZXBheSIsImV4cCI6OTk5OTk5OTk5OX0."
"""A token of ``alg=none``."""
COMPLEX, BAD, FORBIDDEN, SIGN_IN = "QUERY_TOO_COMPLEX", "BAD_REQUEST", "FORBIDDEN", "UNAUTHENTICATED"


@dataclass(frozen=True)
class Attack:
    """One request. ``code`` is that of every error it must be answered with; None where it may be answered."""

    body: bytes
    code: str | None
    method: str = "POST"
    content_type: str = "application/json"
    query_string: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def ask(query: str, code: str | None, **variables: Any) -> Attack:
    return Attack(json.dumps({"query": query, "variables": variables}).encode(), code)


def bomb(levels: int, *, on: str = "Query", leaf: str = "__typename") -> str:
    """Each fragment spreads the next one twice: 2^levels fields in a few hundred characters."""
    parts = [f"fragment F{n} on {on} {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    return "\n".join([*parts, f"fragment F{levels} on {on} {{ {leaf} }}"])


def alias_bomb(levels: int) -> str:
    """As the bomb, through fields with aliases."""
    parts = [
        f"fragment F{n} on CourseConnection {{ a{n}: edges {{ node {{ id }} }} ...F{n + 1} ...F{n + 1} }}"
        for n in range(levels)
    ]
    return "\n".join([*parts, f"fragment F{levels} on CourseConnection {{ totalCount }}"])


def nested_lists(depth: int) -> str:
    return "[" * depth + "1" + "]" * depth


LOGINS = " ".join(f'a{n}: login(input: {{username: "li", password: "{n}"}}) {{ __typename }}' for n in range(14))
LOGIN = 'login(input: {username: "li", password: "1"}) { __typename }'
ROWS = """{ edges { node { lines { id course { id name } } timeline { id name at detail }
  refunds { id amount status reason createdAt } } } }"""
LOGIN_AS = """mutation ($n: String! = "li", $p: String! = "x") {
  login(input: {username: $n, password: $p}) { __typename } }"""
CIRCLE = "fragment A on Query { me { id } ...B } fragment B on Query { ...C } fragment C on Query { ...A }"
TYPES = ["query", "String", "courses", "me", "order", "corses", "passwrd", "usr", "logn", "ordr"]


def bombs() -> Iterator[tuple[str, Attack]]:
    for levels in (5, 10, 11, 12, 15, 20, 40, 80, 100, 110):
        yield f"a bomb of {levels} levels", ask("{ ...F0 } " + bomb(levels), COMPLEX)
        yield f"a bomb of {levels} levels that nobody spreads", ask("{ me { id } } " + bomb(levels), COMPLEX)
    for levels in (5, 11, 20, 30):
        yield f"an alias bomb of {levels} levels", ask("{ courses { ...F0 } } " + alias_bomb(levels), COMPLEX)
    yield "a bomb of empty fragments", ask("{ ...F0 } " + bomb(11, leaf=""), COMPLEX)
    yield (
        "a bomb in the seventh operation",
        ask(" ".join(f"query Q{n} {{ __typename }}" for n in range(6)) + " query Q7 { ...F0 } " + bomb(11), COMPLEX),
    )
    wide = " ".join("...F1" for _ in range(300))
    yield (
        "one fragment spread 300 times",
        ask(f"{{ {wide} }} fragment F1 on Query {{ __typename me {{ id }} }}", COMPLEX),
    )
    yield "a bomb of inline fragments", ask("{" + "... on Query {" * 150 + "__typename" + "}" * 151, None)
    yield (
        "a bomb of list factors",
        ask(f"{{ courses(first: 100) {{ edges {{ node {{ id }} }} }} orders(first: 100) {ROWS} }}", COMPLEX),
    )
    yield "a bomb of list factors in a variable", ask(f"query ($n: Int) {{ orders(first: $n) {ROWS} }}", COMPLEX, n=100)


def floods() -> Iterator[tuple[str, Attack]]:
    yield "101 aliases", ask("{" + " ".join(f"a{n}: __typename" for n in range(101)) + "}", COMPLEX)
    yield "16 aliases", ask("{" + " ".join(f"a{n}: me {{ id }}" for n in range(16)) + "}", COMPLEX)
    yield "500 times __typename", ask("{" + "__typename " * 500 + "}", COMPLEX)
    yield "250 times one field", ask("{" + "me { id } " * 240 + "}", COMPLEX)
    yield "21 times one field", ask("{" + "me { id } " * 21 + "}", COMPLEX)
    yield "ten unknown directives", ask("{ __typename " + "@aa" * 10 + " }", COMPLEX)
    yield "a thousand directives", ask("{ __typename " + "@skip(if: false) " * 160 + " }", COMPLEX)
    yield "directives on the operation", ask("query " + "@a " * 30 + "{ __typename }", COMPLEX)
    yield "100,000 tokens", ask("{" + "a " * 50_000 + "}", COMPLEX)
    yield "one token over", ask("{" + "a " * 999 + "}", COMPLEX)
    yield "100,000 comments", ask("{ __typename }" + "#\n" * 50_000, None)
    yield "a long comment", ask("# " + "x" * 100_000 + "\n{ __typename }", None)
    yield "a long name", ask("{ " + "a" * 100_000 + " }", BAD)
    yield "a long string", ask('{ course(id: "' + "9" * 100_000 + '") { id } }', None)
    yield "a block string of quotes", ask('{ course(id: """' + '\\"""' * 10_000 + '""") { id } }', None)
    yield "white space and commas", ask("{ __typename" + " ,\t" * 30_000 + "}", None)
    yield "14 logins by alias", ask(f"mutation {{ {LOGINS} }}", COMPLEX)
    yield "two logins under one name", ask(f"mutation {{ {LOGIN} {LOGIN} }}", COMPLEX)
    yield "a login named __typename", ask(f"mutation {{ {LOGIN} __typename: {LOGIN} }}", COMPLEX)
    yield (
        "logins in fragments",
        ask(
            f"mutation {{ ...A ...B }} fragment A on Mutation {{ a: {LOGIN} }} fragment B on Mutation {{ b: {LOGIN} }}",
            COMPLEX,
        ),
    )
    yield "deep", ask("{ me " * 30 + "{ id }" + "}" * 30, COMPLEX)
    yield "deeper than the parser goes", ask("{ me " * 400 + "{ id }" + "}" * 400, COMPLEX)
    yield (
        "deep through fragments",
        ask(
            "{ ...A } fragment A on Query "
            + "{ a " * 140
            + "{ ...B }"
            + "}" * 140
            + "fragment B on X "
            + "{ a " * 140
            + "{ a }"
            + "}" * 140,
            COMPLEX,
        ),
    )
    yield "a deep literal", ask("{ course(id: " + nested_lists(150) + ") { id } }", BAD)
    yield "a literal deeper than the parser goes", ask("{ course(id: " + nested_lists(450) + ") { id } }", COMPLEX)
    yield (
        "a deep input object",
        ask("mutation { login(input: " + "{username: " * 90 + '"a"' + "}" * 90 + ") { __typename } }", BAD),
    )
    yield "200 variables", ask("query (" + " ".join(f"$v{n}: Int" for n in range(200)) + ") { __typename }", BAD)
    yield "a type of many lists", ask("query ($a: " + "[" * 150 + "Int" + "]" * 150 + ") { __typename }", None)
    yield "11 operations", ask(" ".join(f"query Q{n} {{ __typename }}" for n in range(11)), COMPLEX)
    yield "two operations and no name", ask("query A { __typename } query B { __typename }", BAD)
    yield "a query before a mutation", ask("query A { __typename } mutation B { logout }", BAD)
    yield "two operations of one name", ask("query A { __typename } query A { me { id } }", BAD)
    yield (
        "13 fragments",
        ask(
            "{ "
            + " ".join(f"...F{n}" for n in range(13))
            + " } "
            + " ".join(f"fragment F{n} on Query {{ __typename }}" for n in range(13)),
            COMPLEX,
        ),
    )
    yield "a circle of fragments", ask("{ ...A } " + CIRCLE, BAD)
    yield "a fragment in itself", ask("{ ...A } fragment A on Query { ...A ...A }", BAD)
    yield (
        "overlapping fields",
        ask("{" + "".join(f" courses(first: {n}) {{ totalCount }}" for n in range(1, 20)) + "}", BAD),
    )
    yield "@defer", ask("{ ... @defer { me { id } } }", BAD)
    yield "@stream", ask("{ courses { edges @stream { cursor } } }", BAD)


def probes() -> Iterator[tuple[str, Attack]]:
    full = "{ __schema { types { name fields { name type { name ofType { name } } } } } }"
    yield "introspection", ask(full, FORBIDDEN)
    yield "introspection of a type", ask('{ __type(name: "Order") { fields { name } } }', FORBIDDEN)
    yield (
        "introspection in a fragment",
        ask("{ ...A } fragment A on Query { __schema { queryType { name } } }", FORBIDDEN),
    )
    yield "introspection under an alias", ask("{ a: __schema { queryType { name } } }", FORBIDDEN)
    yield (
        "introspection in a circle",
        ask("{ __schema { types { " + "fields { type { " * 4 + "name" + "} }" * 4 + " } } }", FORBIDDEN),
    )
    yield "introspection, unnamed first", ask(full.replace("__schema", "__schema\n"), FORBIDDEN)
    yield "__type of nothing", ask('{ __type(name: "x") { name } } ', FORBIDDEN)
    yield "a wrong field", ask("{ " + " ".join(TYPES) + " }", BAD)
    yield "a wrong argument", ask('{ course(ident: "1") { id } }', BAD)
    yield "a wrong enum value", ask("{ orders(status: [UNPAYD]) { totalCount } }", BAD)
    yield (
        "a wrong enum value in a variable",
        ask("query ($s: [OrderStatus!]) { orders(status: $s) { totalCount } }", BAD, s=["UNPAYD"]),
    )
    yield "a wrong input field", ask('mutation { login(input: {usrname: "a", password: "b"}) { __typename } }', BAD)
    yield (
        "a wrong input field in a variable",
        ask("mutation ($i: LoginInput!) { login(input: $i) { __typename } }", BAD, i={"usrname": "a", "password": "b"}),
    )
    yield "a wrong type", ask("query ($a: OrdrStatus) { __typename }", BAD)
    yield "a wrong fragment type", ask("{ ...A } fragment A on Qery { __typename }", BAD)
    yield "a wrong directive", ask("{ me @skp(if: true) { id } }", BAD)
    yield "no selection", ask("{ me }", BAD)
    yield "a selection of a leaf", ask("{ me { id { x } } }", BAD)
    yield "node", ask('{ node(id: "T3JkZXI6MQ==") { id } }', BAD)
    yield "another's order", ask('{ order(id: "1") { id } }', SIGN_IN)
    yield "an order by number", ask('{ order(outTradeNo: "1") { id } }', SIGN_IN)
    yield "SQL in a search", ask('{ courses(search: "\' OR 1=1; --") { totalCount } }', None)
    yield "LIKE in a search", ask('{ courses(search: "%_%_%_%_%_%_%_%_%_%") { totalCount } }', None)
    yield "SQL in an id", ask('{ course(id: "1 UNION SELECT 1") { id } }', None)
    yield "NUL in an id", ask("query ($i: ID!) { course(id: $i) { id } }", None, i="1\x00")
    yield "NUL in a name", ask(LOGIN_AS, None, n="a\x00b")
    yield "a password of 100 kB", ask(LOGIN_AS, None, p="x" * 100_000)
    yield "a name of 100 kB", ask(LOGIN_AS, None, n="x" * 100_000)
    yield "a script for a name", ask(LOGIN_AS, None, n="<script>", p="\r\nSet-Cookie: a")
    yield "first: 0", ask("{ courses(first: 0) { totalCount } }", BAD)
    yield "first: -1", ask("{ courses(first: -1) { totalCount } }", BAD)
    yield "first: 2^31", ask("{ courses(first: 2147483647) { totalCount } }", BAD)
    yield "first of 5,000 digits", ask("{ courses(first: " + "9" * 5000 + ") { totalCount } }", BAD)
    yield "a junk cursor", ask('{ courses(after: "Incorrect padding=") { totalCount } }', BAD)
    yield (
        "30,000 courses",
        ask(
            'mutation ($c: [ID!]!) { createOrder(input: {courseIds: $c, totalAmount: "1.00"}) { __typename } }',
            SIGN_IN,
            c=["1"] * 20_000,
        ),
    )
    yield (
        "a float for money",
        ask(
            "mutation ($t: Money!) { createOrder(input: {courseIds: [], totalAmount: $t}) { __typename } }",
            BAD,
            t=1e308,
        ),
    )
    yield (
        "full-width money",
        ask('mutation { createOrder(input: {courseIds: ["1"], totalAmount: "８８.８８"}) { __typename } }', BAD),
    )
    yield "a subscription", ask('subscription { orderUpdated(id: "1") { id } }', BAD)
    yield "a type extension", ask("extend type Query { a: Int } { __typename }", BAD)
    yield "a schema", ask("type Query { a: Int }", BAD)
    yield "nothing to run", ask("fragment A on Query { __typename }", BAD)


def malformed() -> Iterator[tuple[str, Attack]]:
    bodies = {
        "a string": b'"x"',
        "a number": b"1",
        "null": b"null",
        "a list": b"[]",
        "nothing": b"",
        "half": b'{"query": "{ me',
        "a batch": b'[{"query": "{ __typename }"}]',
        "a batch of logins": json.dumps([{"query": "{ me { id } }"}] * 500).encode(),
        "bad UTF-8": b'{"query": "\xff\xfe"}',
        "UTF-16": '{"query": "{ __typename }"}'.encode("utf-16"),
        "a byte order mark": b'\xef\xbb\xbf{"query": "{ __typename }"}',
        "a lone surrogate": b'{"query": "\\ud800"}',
        "100,000 brackets": b"[" * 100_000,
        "deep variables": b'{"query": "{ a }", "variables": ' + b'{"a":' * 20_000,
        "NaN": b'{"query": "{ a }", "variables": {"a": NaN}}',
        "Infinity": b'{"query": "{ a }", "variables": {"a": Infinity}}',
        "a query of a number": b'{"query": 1}',
        "a query of null": b'{"query": null}',
        "no query": b"{}",
        "an empty query": b'{"query": ""}',
        "variables in a list": b'{"query": "{ __typename }", "variables": []}',
        "extensions in a string": b'{"query": "{ __typename }", "extensions": "x"}',
        "a name that is a list": b'{"query": "{ __typename }", "operationName": ["A"]}',
        "a hash that is a list": b'{"documentId": ["x"]}',
        "a poisoned hash": json.dumps({"query": "{ __typename }", "documentId": "sha256:" + "0" * 64}).encode(),
        "a persistedQuery of a string": b'{"query": "{ __typename }", "extensions": {"persistedQuery": "x"}}',
        "a persistedQuery of version 2": b'{"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "x"}}}',
    }
    for name, body in bodies.items():
        yield f"a body that is {name}", Attack(body, BAD)
    digits = b'{"query": "query ($n: Int!) { courses(first: $n) { totalCount } }", "variables": {"n": %s}}'
    yield "an integer of 5,000 digits", Attack(digits % (b"9" * 5000), BAD)
    yield "an exponent", Attack(digits % b"1e999", BAD)
    yield (
        "1,000 nested variables",
        Attack(
            b'{"query": "query ($i: ID!) { course(id: $i) { id } }", "variables": {"i": '
            + b"[" * 900
            + b"]" * 900
            + b"}}",
            BAD,
        ),
    )
    yield (
        "many keys",
        Attack(json.dumps({"query": "{ __typename }", "variables": {str(n): n for n in range(9000)}}).encode(), None),
    )
    yield "a body over the limit", Attack(b'{"query": "' + b"x" * 140_000 + b'"}', BAD)
    yield "an unknown hash", Attack(b'{"documentId": "sha256:%s"}' % (b"1" * 64), "PERSISTED_QUERY_NOT_FOUND")


def transport() -> Iterator[tuple[str, Attack]]:
    good = b'{"query": "{ __typename }"}'
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/graphql",
        "application/jsonx",
        "text/json",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-7",
        "",
    ):
        yield f"a content type of {kind or 'nothing'}", Attack(good, BAD, content_type=kind)
    upload = b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query": "{ __typename }"}\r\n--x--\r\n'
    yield "an upload", Attack(upload, BAD, content_type="multipart/form-data; boundary=x")
    yield "a compressed body", Attack(good, BAD, headers={"content-encoding": "gzip"})
    yield "a query by GET", Attack(b"", BAD, method="GET", query_string="query=%7B__typename%7D")
    yield "a mutation by GET", Attack(b"", BAD, method="GET", query_string="query=mutation%7Blogout%7D")
    yield "an unknown hash by GET", Attack(b"", BAD, method="GET", query_string="documentId=sha256:" + "1" * 64)
    for method in ("PUT", "PATCH", "DELETE", "TRACE"):
        yield f"a {method}", Attack(good, BAD, method=method)
    yield "an answer in XML", Attack(good, BAD, headers={"accept": "text/xml"})
    yield (
        "a forged token",
        Attack(b'{"query": "{ me { id } }"}', SIGN_IN, headers={"authorization": f"Bearer {UNSIGNED}"}),
    )
    yield (
        "a token of 8 kB",
        Attack(b'{"query": "{ me { id } }"}', SIGN_IN, headers={"authorization": "Bearer " + "x" * 8000}),
    )
    yield "a request id of another's making", Attack(good, None, headers={"x-request-id": "a\tb<script>"})
    yield "an Accept of 500 ranges", Attack(good, None, headers={"accept": "application/json," + "a/b;q=0.1," * 500})


def all_attacks() -> dict[str, Attack]:
    return dict([*bombs(), *floods(), *probes(), *malformed(), *transport()])
