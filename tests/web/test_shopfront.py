"""The plain shop page: what it serves, in which language, and that what it asks fits the schema."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from graphql import build_schema, parse, validate
from graphql.language import OperationDefinitionNode

STATIC = Path(settings.BASE_DIR) / "backend" / "shopfront" / "static" / "shopfront"
SCRIPT = (STATIC / "shop.js").read_text()
OPERATIONS = re.findall(r"const [A-Z_]+ = `((?:query|mutation)[^`]+)`", SCRIPT)
SCHEMA = build_schema((Path(settings.BASE_DIR) / "schema.graphql").read_text())
PAGES = ["/", "/pay/success"]
ENUMS = ("OrderStatus", "RefundStatus", "OrderRefundState")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("language", "words"), [("zh-hans", "我的课程"), ("en", "My courses")])
def test_a_page_speaks_the_browsers_language(client, path, language, words):
    response = client.get(path, headers={"accept-language": language})
    assert response.status_code == 200
    assert words in response.content.decode()


def test_without_a_wish_it_is_chinese(client):
    assert '<html lang="zh-Hans">' in client.get("/").content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_allows_nothing_from_elsewhere_and_nothing_inline(client, path):
    response = client.get(path)
    html = response.content.decode()
    policy = response["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response["cache-control"] == "no-store"
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", html) == []
    assert re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}", html) == []


@pytest.mark.parametrize("path", PAGES)
def test_the_switch_keeps_the_signed_query_byte_for_byte(client, path):
    signed = "charset=utf-8&out_trade_no=a%2Bb&sign=x%2F%2B%3D&total_amount=1.00"
    response = client.get(f"{path}?{signed}&lang=en")
    assert (response.status_code, response["location"]) == (302, f"{path}?{signed}")
    assert response.cookies[settings.LANGUAGE_COOKIE_NAME].value == "en"
    assert '<html lang="en">' in client.get(path).content.decode()


def test_another_language_than_ours_is_not_switched_to(client):
    response = client.get("/?lang=xx")
    assert response.status_code == 200
    assert settings.LANGUAGE_COOKIE_NAME not in response.cookies


def test_what_stands_in_the_address_is_escaped(client):
    html = client.get("/pay/success?x=%22><script>alert(1)</script>").content.decode()
    assert "<script>alert" not in html


@pytest.mark.parametrize("path", PAGES)
def test_only_get_and_head(client, path):
    assert client.post(path).status_code == 405
    assert client.head(path).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_everything_that_the_page_names_is_there(client, path):
    from django.contrib.staticfiles import finders

    names = re.findall(r'"/static/([^"]+)"', client.get(path).content.decode())
    assert len(names) == 2
    assert [name for name in names if finders.find(name) is None] == []


def test_the_password_of_the_demonstration_is_not_told_outside_of_it(client, settings):
    hint = "buyer, with the password buyer"
    assert hint not in client.get("/", headers={"accept-language": "en"}).content.decode()
    settings.DEBUG = True
    assert hint in client.get("/", headers={"accept-language": "en"}).content.decode()


def test_what_the_script_asks_fits_the_schema():
    assert len(OPERATIONS) == len(re.findall(r"= `(?:query|mutation)", SCRIPT)) > 0
    assert {text: validate(SCHEMA, parse(text)) for text in OPERATIONS} == {text: [] for text in OPERATIONS}


def texts_of(client):
    return json.loads(unescape(re.search(r'data-texts="([^"]+)"', client.get("/").content.decode())[1]))


def test_the_script_has_a_sentence_for_every_refusal(client):
    """Every member of the unions that it asks for; and every sentence that it says is there."""
    texts = texts_of(client)
    fields = {
        selection.name.value
        for text in OPERATIONS
        for definition in parse(text).definitions
        if isinstance(definition, OperationDefinitionNode) and definition.operation.value == "mutation"
        for selection in definition.selection_set.selections
    }
    unions = [SCHEMA.mutation_type.fields[name].type.of_type for name in fields - {"logout"}]
    refusals = {member.name for union in unions for member in union.types if not member.name.endswith("Success")}
    assert refusals - set(texts) == set()
    assert set(re.findall(r'\bsay\("(\w+)"', SCRIPT)) - set(texts) == set()


def test_the_script_has_words_for_every_way_an_order_or_a_refund_can_stand(client):
    """Their names are put together in the script: of an order's status and end, of what was given back."""
    texts = texts_of(client)
    orders, refunds, given = (set(SCHEMA.type_map[name].values) for name in ENUMS)
    names = {*orders, *(f"refund{name}" for name in refunds | given - {"NONE"})}
    names |= {f"{name}{end}" for name in orders - {"UNPAID", "PAID"} for end in ("More", "Paid")}
    assert names - set(texts) == set()


def test_an_order_is_cancelled_only_after_a_question_in_the_page(client):
    html = client.get("/").content.decode()
    assert '<dialog id="cancel-dialog"' in html
    assert re.findall(r"\b(?:confirm|alert|prompt)\(", SCRIPT) == []
    assert re.findall(r"\bcancel\(", SCRIPT) == ["cancel("] * 2, "defined, and called by the dialog's button alone"


@pytest.mark.parametrize(("path", "button"), [("/", 'data-part="cancel"'), ("/pay/success", 'id="result-cancel"')])
@pytest.mark.parametrize(("language", "words"), [("zh-hans", "取消订单"), ("en", "Cancel order")])
def test_a_page_offers_to_cancel(client, path, button, language, words):
    html = client.get(path, headers={"accept-language": language}).content.decode()
    assert re.search(rf"<button[^>]*{button}[^>]*>{words}</button>", html)


def test_a_browser_that_asks_for_an_icon_is_told_that_there_is_none(client):
    assert client.get("/favicon.ico").status_code == 204


def test_the_script_writes_text_and_never_markup():
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage"):
        assert word not in SCRIPT


def test_every_element_that_the_script_looks_for_is_on_a_page(client):
    html = "".join(client.get(path).content.decode() for path in PAGES)
    wanted = set(re.findall(r'\b(?:byId|copy)\("([\w-]+)"\)', SCRIPT))
    assert wanted - set(re.findall(r'\bid="([\w-]+)"', html)) == set()
