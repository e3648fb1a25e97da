"""GraphiQL works offline, and what it is prefilled with is valid."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import RequestFactory
from graphql import GraphQLError, build_schema, parse, validate
from graphql.execution.values import get_variable_values

from backend.schema.view import CoursepayView

FOLDER = Path(settings.BASE_DIR) / "backend" / "schema" / "static" / "graphiql"
OPERATIONS = json.loads((FOLDER / "operations.json").read_text())
FOREIGN = re.compile(r"""(?:https?:)?//[\w.-]+\.[a-z]{2,}""", re.IGNORECASE)


@pytest.fixture(scope="module")
def contract():
    return build_schema((Path(settings.BASE_DIR) / "schema.graphql").read_text())


@pytest.fixture
def page():
    from backend.schema.assembly import schema

    request = RequestFactory().get("/graphql", headers={"accept": "text/html"})
    return CoursepayView.as_view(schema=schema, graphql_ide="graphiql")(request)


def test_it_holds_a_whole_purchase_in_order():
    assert [operation["name"] for operation in OPERATIONS] == [
        *("login", "courses", "createOrder", "orderStatus", "payOrder"),
        *("confirmReturn", "orders", "myCourses", "cancelOrder", "refundOrder", "logout"),
    ]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation["name"])
def test_every_prefilled_operation_fits_the_schema(contract, operation):
    document = parse("\n".join(operation["query"]))
    assert validate(contract, document) == []
    definition = document.definitions[0]
    assert definition.name.value == operation["name"]
    values = get_variable_values(contract, definition.variable_definitions or (), operation.get("variables", {}))
    assert not isinstance(values, list) or all(not isinstance(value, GraphQLError) for value in values), values


def test_all_but_login_hint_at_the_token():
    hints = [operation["headers"] for operation in OPERATIONS]
    assert hints == [{}] + [{"Authorization": "Bearer …"}] * (len(OPERATIONS) - 1)
    assert OPERATIONS[0]["variables"] == {"input": {"username": "buyer", "password": "buyer"}}


def test_the_page_names_no_foreign_host_and_has_no_inline_script(page):
    html = page.content.decode()
    assert page.status_code == 200
    assert not FOREIGN.search(html)
    assert re.findall(r"<script(?![^>]*\ssrc=)", html) == []
    assert '<link rel="icon" href="data:,">' in html


@pytest.mark.parametrize("name", ["graphiql-start.js", "graphiql-start.css", "operations.json"])
def test_our_own_files_name_no_foreign_host(name):
    assert not FOREIGN.search((FOLDER / name).read_text())


def test_the_style_sheet_loads_nothing_from_elsewhere():
    css = (FOLDER / "graphiql.min.css").read_text()
    assert "@import" not in css
    assert all(url.startswith("data:") for url in re.findall(r"url\(['\"]?([^)]{5})", css))


def test_every_file_that_the_page_names_is_there(page):
    from django.contrib.staticfiles import finders

    names = re.findall(r'"/static/([^"]+)"', page.content.decode())
    assert len(names) == 7
    assert [name for name in names if finders.find(name) is None] == []


def test_vendored_files_are_the_ones_on_record():
    rows = re.findall(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", (FOLDER / "VERSIONS.md").read_text(), re.MULTILINE)
    assert len(rows) == 7
    assert {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name, _ in rows} == dict(rows)
