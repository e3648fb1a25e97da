"""T21 in the trials with a whole shop: a secret in a log or in an answer is a violation, told once."""

import json
from random import Random
from types import SimpleNamespace

import pytest

from tests.events.endpoint import Endpoint
from tests.shop import STATUS
from torture import leaks, purchases
from torture.campaign import Campaign
from torture.histories import Histories
from torture.load import Load
from torture.purchases import Buyer, Purchase
from torture.shoppers import NoAnswer
from torture.trial import Tally

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.c2lnbmF0dXJl"


@pytest.fixture
def program(tmp_path):
    log = tmp_path / "program1.log"
    log.write_text("GET /healthz/live 200\n")
    return SimpleNamespace(log=log, said=log.read_text)


@pytest.fixture
def postgres(tmp_path):
    (tmp_path / "log").write_text("the database system is ready; sign=" + "a" * 344)
    return SimpleNamespace(log=tmp_path / "log")


@pytest.fixture
def campaign(db, program, postgres, answering):
    """One whose books are in order: nothing but a leak can be wrong."""
    shop = SimpleNamespace(programs=SimpleNamespace(running=[program]), tracebacks=list, postgres=postgres)
    oracle = SimpleNamespace(settle=list, look=lambda bought: [])
    histories = Histories(SimpleNamespace(all=lambda sql: []))
    return Campaign(shop, Load(f"http://127.0.0.1:{answering.port}", None, "1", clients=1), oracle, histories)


@pytest.fixture
def answering():
    endpoint = Endpoint()
    endpoint.up()
    yield endpoint
    endpoint.down()


def saying(what, header="X-Nothing: 1", status=200):
    return f"HTTP/1.1 {status} Whatever\r\n{header}\r\nContent-Length: {len(what)}\r\n\r\n{what}".encode()


def test_of_logs_and_answers_without_a_secret_nothing_is_said(campaign, answering):
    answering.answers = [saying('{"data": {"order": {"payUrl": "https://alipay?sign=' + "a" * 344 + '"}}}')]
    campaign.load.client(None, Random(1)).ask("t", STATUS, {})
    assert campaign.wrongs() == []


def test_there_is_something_to_look_for():
    assert {"SECRET_KEY", "EVENT_SECRET", "app_private_key.pem"} <= set(leaks.secrets())


@pytest.mark.parametrize("name", ["SECRET_KEY", "EVENT_SECRET", "app_private_key.pem"])
@pytest.mark.parametrize("log", ["program1.log", "log"])
def test_a_canary_in_a_log_is_a_violation_of_the_burst_and_told_once(campaign, tmp_path, name, log):
    with (tmp_path / log).open("a") as said:
        said.write(f"lost: {leaks.secrets()[name]}\n")
    tally = Tally()
    campaign.judge([4, 5], tally)
    campaign.judge([6], tally)
    place = log if log.startswith("program") else "the log of PostgreSQL"
    assert tally.violations == [f"case 4: to 5: T21 {name} in {place}"]


def test_what_has_the_shape_of_a_secret_in_a_log_is_a_violation(campaign, program):
    program.log.write_text(f"authorization: Bearer {TOKEN}")
    assert campaign.wrongs() == ["T21 a token in program1.log"]


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (saying("SECRET_KEY: " + leaks.secrets()["SECRET_KEY"], status=500), "SECRET_KEY"),
        (saying('{"data": {}}', header="X-Secret: " + leaks.secrets()["EVENT_SECRET"]), "EVENT_SECRET"),
        (saying(f'{{"data": {{"token": "{TOKEN}"}}}}'), "a token"),
    ],
)
def test_a_canary_in_an_answer_to_a_shopper_is_a_violation(campaign, answering, answer, name):
    answering.answers = [answer]
    client = campaign.load.client(None, Random(1))
    try:
        client.ask("t", STATUS, {})
    except NoAnswer:
        assert b"500" in answer
    assert campaign.wrongs() == [f"T21 {name} in an answer of /graphql"]


CREATED = {
    "createOrder": {
        "__typename": "CreateOrderSuccess",
        "payUrl": "/",
        "order": {"number": "1", "outTradeNo": "1"},
    }
}


@pytest.mark.parametrize("streams", [True, False])
def test_a_canary_in_an_answer_of_many_machines_is_wrong_for_its_buyer(answering, streams):
    told = json.dumps({"data": {"order": {"status": "PAID"}, "orderUpdated": {"status": "PAID"}, "token": TOKEN}})
    answering.answers = [saying(json.dumps({"data": CREATED})), saying(f"data: {told}\n\n" if streams else told)]
    this = Purchase(Buyer(1, "t", "127.0.0.1", ("1",), "1.00"), "key", streams, deaf=False, creates_again=False)
    shop, control = f"http://127.0.0.1:{answering.port}", SimpleNamespace(pay=lambda *given: None)
    purchases.Load(shop, "", iter(()), 1).buy(control, this)
    assert (this.statuses, this.wrongs) == (["PAID"], ["a token in an answer"])
