"""The storefront's page: at each of its addresses, with its policy; and what stands there until it is built."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

ROUTER = Path(settings.BASE_DIR) / "frontend" / "src" / "router.ts"
ROUTES = [path for path in re.findall(r"path: '([^']+)'", ROUTER.read_text()) if "(" not in path]
PAGES = [route.replace(":id", "1") for route in ROUTES]


@pytest.fixture
def built(settings, tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>built</title>")
    settings.STOREFRONT_DIR = tmp_path


@pytest.fixture
def not_built(settings, tmp_path):
    settings.STOREFRONT_DIR = tmp_path / "nothing"


@pytest.mark.parametrize("path", PAGES)
def test_every_address_of_its_router_is_the_page(client, built, path):
    response = client.get(path)
    assert (response.status_code, response.content) == (200, b"<!doctype html><title>built</title>")
    assert response["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/nowhere", "/courses", "/orders/1/2", "/pay"])
def test_another_address_is_the_page_that_says_so(client, built, path):
    response = client.get(path)
    assert (response.status_code, response.content) == (404, b"<!doctype html><title>built</title>")


@pytest.mark.parametrize("path", ["/payments/x", "/graphql/x", "/assets/gone.js", "/static/gone.js", "/healthz/x"])
def test_what_is_not_the_storefronts_is_plainly_not_there(client, built, path):
    response = client.get(path)
    assert response.status_code == 404
    assert b"built" not in response.content


@pytest.mark.parametrize("path", ["/", "/pay/success", "/nowhere"])
@pytest.mark.parametrize("state", ["built", "not_built"])
def test_nothing_from_elsewhere_and_nothing_inline(client, request, path, state):
    request.getfixturevalue(state)
    policy = client.get(path)["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("language", "words"), [("zh-hans", "店面尚未构建"), ("en", "The storefront is not built yet")]
)
def test_until_it_is_built_a_page_says_what_to_install(client, not_built, language, words):
    response = client.get("/", headers={"accept-language": language})
    html = response.content.decode()
    assert response.status_code == 200
    assert words in html
    assert "Node.js 20.19" in html
    [sheet] = re.findall(r'"/static/([^"]+)"', html)
    assert finders.find(sheet)


def test_graphiql_is_named_where_it_is_served(client, not_built, settings):
    assert "/graphql" not in client.get("/").content.decode()
    settings.DEBUG = True
    assert 'href="/graphql"' in client.get("/").content.decode()


@pytest.mark.parametrize("path", ["/", "/pay/success", "/nowhere"])
def test_only_get_and_head(client, built, path):
    assert client.post(path).status_code == 405
    assert client.head(path).status_code in (200, 404)
