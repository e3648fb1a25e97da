"""The cashier: plain forms in two languages, and the way back to the merchant (protocol 3)."""

import re
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

import pytest

RETURN = "http://127.0.0.1:9/pay/success"


class Forms(HTMLParser):
    """The forms of a page, as a browser without scripts sees them."""

    def __init__(self, html):
        super().__init__()
        self.forms, self.scripts, self.addresses, self.inline = [], [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.addresses += [found[name] for name in ("href", "src") if name in found]
        self.inline |= any(name.startswith("on") or name == "style" for name in found) or tag == "style"
        if tag == "form":
            self.forms.append({"action": found["action"], "method": found["method"], "fields": {}, "buttons": []})
        elif tag == "input":
            self.forms[-1]["fields"][found["name"]] = found.get("value", "")
        elif tag == "button":
            self.forms[-1]["buttons"].append((found.get("name"), found.get("value")))
        elif tag == "script":
            self.scripts.append(found.get("src"))


def cashier(sandbox, pay_order_id, **headers):
    return sandbox.http.get("/cashier", params={"payOrderId": pay_order_id}, headers=headers)


def test_a_purchase_with_nothing_but_the_forms_on_the_page(sandbox, merchant):
    pay_order_id = sandbox.open(merchant.pay_url("order_1", return_url=RETURN))
    page = Forms(cashier(sandbox, pay_order_id).text)
    assert [form["action"] for form in page.forms] == ["/cashier/scan", "/cashier/login"]
    form = page.forms[1]
    assert form["method"] == "post"
    answer = sandbox.http.post(form["action"], data={**form["fields"], "account": "li.ming@example.com"})
    assert answer.status_code == 303
    page = Forms(sandbox.http.get(answer.headers["location"]).text)
    [form] = page.forms
    assert form["buttons"] == [("outcome", "return"), ("outcome", "stay"), ("outcome", "leave")]
    answer = sandbox.http.post(form["action"], data={**form["fields"], "outcome": "return"})
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(RETURN + "?")
    assert merchant.query(out_trade_no="order_1")["buyer_logon_id"] == "li.***@example.com"


def test_the_return_has_the_real_parameters_in_their_order_and_verifies(sandbox, merchant, vector):
    real = [name for name, _ in parse_qsl(urlsplit(vector("yansongda_page_pay_return")["url"]).query)]
    location = sandbox.buy(merchant.pay_url("order_1", return_url=RETURN)).headers["location"]
    pairs = parse_qsl(urlsplit(location).query)
    assert [name for name, _ in pairs] == real
    params = dict(pairs)
    assert params["method"] == "alipay.trade.page.pay.return"
    assert (params["out_trade_no"], params["total_amount"]) == ("order_1", "117.00")
    assert params["trade_no"] == merchant.query(out_trade_no="order_1")["trade_no"]
    assert merchant.verifies(params)
    assert not merchant.verifies({**params, "total_amount": "1.00"})


def test_a_return_address_keeps_its_own_query(sandbox, merchant):
    location = sandbox.buy(merchant.pay_url("order_1", return_url=RETURN + "?a=1&b=%20#end")).headers["location"]
    assert location.startswith(RETURN + "?a=1&b=%20&charset=utf-8&")
    assert location.endswith("#end")


def test_paying_without_return_ends_at_the_cashier(sandbox, merchant):
    answer = sandbox.buy(merchant.pay_url("order_1", return_url=RETURN), outcome="stay")
    assert answer.status_code == 200
    assert "付款成功" in answer.text
    assert merchant.query(out_trade_no="order_1")["trade_status"] == "TRADE_SUCCESS"
    [back] = [href for href in Forms(answer.text).addresses if href.startswith(RETURN)]
    assert merchant.verifies(dict(parse_qsl(urlsplit(back).query)))


def test_without_a_return_address_there_is_no_way_back(sandbox, merchant):
    answer = sandbox.buy(merchant.pay_url("order_1"))
    assert answer.status_code == 200
    assert "付款成功" in answer.text


def test_leaving_pays_nothing_and_one_may_come_back(sandbox, merchant):
    url = merchant.pay_url("order_1")
    assert "未付款" in sandbox.buy(url, outcome="leave").text
    assert merchant.query(out_trade_no="order_1")["trade_status"] == "WAIT_BUYER_PAY"
    sandbox.buy(url)
    assert merchant.query(out_trade_no="order_1")["trade_status"] == "TRADE_SUCCESS"


def test_nobody_pays_before_signing_in(sandbox, merchant):
    pay_order_id = sandbox.open(merchant.pay_url("order_1"))
    answer = sandbox.act("pay", pay_order_id)
    assert answer.status_code == 303
    assert merchant.query(out_trade_no="order_1")["sub_code"] == "ACQ.TRADE_NOT_EXIST"


def test_a_double_click_pays_once(sandbox, merchant):
    pay_order_id = sandbox.open(merchant.pay_url("order_1", return_url=RETURN))
    sandbox.act("scan", pay_order_id)
    first, second = sandbox.act("pay", pay_order_id), sandbox.act("pay", pay_order_id)
    assert (first.status_code, second.status_code) == (302, 302)
    assert len(sandbox.events("payment.received")) == 1


def test_the_receipt_belongs_to_the_session_that_paid(sandbox, merchant):
    url = merchant.pay_url("order_1")
    other = sandbox.open(url)
    mine = sandbox.open(url)
    sandbox.act("scan", mine)
    sandbox.act("pay", mine)
    assert cashier(sandbox, mine).status_code == 200
    assert cashier(sandbox, other).status_code == 409


@pytest.mark.parametrize("account", ["", "  ", "x" * 101, "a\x07b"])
def test_an_account_has_a_name(sandbox, merchant, account):
    pay_order_id = sandbox.open(merchant.pay_url("order_1"))
    answer = sandbox.act("login", pay_order_id, account=account)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert sandbox.events("trade.created") == []


@pytest.mark.parametrize("step", ["scan", "login", "pay"])
def test_an_unknown_session_is_a_page(sandbox, step):
    answer = sandbox.act(step, "0" * 32 + ".00", account="x")
    assert answer.status_code == 404
    assert "收银台链接无效" in answer.text
    assert sandbox.http.post(f"/cashier/{step}", content=b"\xff", headers={"accept-language": "en"}).status_code == 404


@pytest.mark.parametrize(
    ("accept", "lang", "words"),
    [
        ("", "zh-CN", ("沙箱收银台", "模拟扫码", "剩余支付时间")),
        ("fr,zh-TW;q=0.8,en;q=0.5", "zh-CN", ("沙箱收银台",)),
        ("en-GB,en;q=0.9,zh;q=0.8", "en", ("Sandbox cashier", "Scan with the app", "Time left to pay")),
    ],
)
def test_the_language_follows_the_browser(sandbox, merchant, accept, lang, words):
    page = cashier(sandbox, sandbox.open(merchant.pay_url("order_1")), **{"accept-language": accept}).text
    assert f'<html lang="{lang}">' in page
    for word in words:
        assert word in page


def test_the_language_can_be_switched_and_stays(sandbox, merchant):
    pay_order_id = sandbox.open(merchant.pay_url("order_1"))
    page = cashier(sandbox, pay_order_id).text
    [switch] = re.findall(r'class="language" href="([^"]+)"', page)
    assert 'lang="en"' in sandbox.http.get(switch.replace("&amp;", "&")).text
    sandbox.act("scan", pay_order_id)
    assert "Pay ¥117.00" in cashier(sandbox, pay_order_id).text


def test_the_page_shows_what_is_paid_and_until_when(sandbox, merchant):
    page = cashier(sandbox, sandbox.open(merchant.pay_url("order_1", subject="Vue <实战>"))).text
    for text in ("117.00", "Vue &lt;实战&gt;", "order_1", "Sandbox merchant"):
        assert text in page
    assert re.search(r'data-countdown="(89\d|900)">1[45]:\d\d<', page)
    assert re.search(r'http-equiv="refresh" content="(89\d|90[01]);', page)


def test_no_page_needs_scripts_or_other_hosts(sandbox, merchant):
    pay_order_id = sandbox.open(merchant.pay_url("order_1"))
    pages = [cashier(sandbox, pay_order_id)]
    sandbox.act("scan", pay_order_id)
    pages += [cashier(sandbox, pay_order_id), sandbox.act("pay", pay_order_id), sandbox.http.get("/")]
    pages += [cashier(sandbox, "nope"), sandbox.http.get("/gateway.do?method=alipay.trade.page.pay")]
    for answer in pages:
        page = Forms(answer.text)
        assert not page.inline
        assert all(source and source.startswith("/static/") for source in page.scripts)
        assert all(re.match(r"/(?!/)|#|data:,$", address) for address in page.addresses)
        assert '<link rel="icon" href="data:,">' in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        for address in page.addresses:
            if address.startswith("/static/"):
                assert sandbox.http.get(address).status_code == 200


def test_the_console_shows_everything_in_both_languages(sandbox, merchant):
    sandbox.buy(merchant.pay_url("order_1", notify_url="http://127.0.0.1:9/"))
    merchant.query(out_trade_no="order_1")
    for path, words in (("/", "沙箱控制台"), ("/console?lang=en", "Sandbox console")):
        page = sandbox.http.get(path).text
        for text in (words, "order_1", "¥117.00", "alipay.trade.query", 'http-equiv="refresh"', "/api/trades/order_1"):
            assert text in page
    assert 'http-equiv="refresh"' not in sandbox.http.get("/?pause=1").text


def test_the_consoles_levers_work(sandbox, merchant, listener):
    listener.answer((500, b""), (200, b"success"))
    sandbox.buy(merchant.pay_url("order_1", notify_url=listener.url))
    sandbox.http.post("/console/clock", data={"speed": "7"})
    sandbox.http.post("/console/clock", data={"advance": "11"})
    sandbox.http.post("/console/clock", data={"advance": "x"})
    clock = sandbox.http.get("/api/clock").json()
    assert (clock["speed"], clock["advanced"]) == (7, 11)
    notify_id = sandbox.trade("order_1")["notifies"][0]["notify_id"]
    assert sandbox.http.post("/console/send-now", data={"notify_id": notify_id}).status_code == 303
    assert len(listener.received) >= 1
