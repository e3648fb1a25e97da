"""What the trial of many machines stands on: nginx's file does what it says, and the oracle sees what is wrong."""

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from random import Random

import httpx
import pytest

from backend.courses.models import Enrollment
from backend.events.models import Event
from backend.orders.models import IdempotencyKey, Order, OrderEvent, OrderStatus
from backend.payments.models import Payment
from tests.events.endpoint import Received, Server
from tests.lifecycle.invariants import Books
from tests.lifecycle.world import alipay_folder, new_world
from tests.ports import free_ports
from torture import bought as oracle
from torture import nginx
from torture.nginx import Node
from torture.purchases import Buyer, Purchase
from torture.trials import many

# --- nginx's file ----------------------------------------------------------------------------------------------------


@dataclass
class DyingNode:
    """Takes each request whole and hangs up: it may have done the work or not."""

    asked: list[str] = field(default_factory=list)
    answers: bool = False
    port: int = 0


@pytest.fixture
def node():
    """Starts nodes; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*, answers: bool) -> DyingNode:
            made = DyingNode(answers=answers)
            server = Server(("127.0.0.1", 0), handler_of(made))
            made.port = server.server_address[1]
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return made

        yield start


def handler_of(node):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            node.asked.append(self.command)
            if node.answers:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            self.close_connection = True

        do_GET = do_POST  # noqa: N815

        def log_message(self, *args):
            pass

    return Handler


@pytest.fixture
def proxy(tmp_path):
    """Starts nginx before nodes at these ports; its URL."""
    if nginx.program() is None:
        pytest.skip("nginx is not installed")
    tmp_path.chmod(0o755)
    with contextlib.ExitStack() as stack:

        def start(*ports):
            (port,) = free_ports(1)
            nodes = [Node("127.0.0.1", at, at) for at in ports]
            stack.enter_context(nginx.running(tmp_path / "nginx", port, nodes))
            return f"http://127.0.0.1:{port}"

        yield start


def statuses(url, method):
    """Of two requests, so that each of two nodes is asked first once."""
    with httpx.Client(trust_env=False, timeout=20) as http:
        return [http.request(method, url, content=b"x" if method == "POST" else None).status_code for _ in range(2)]


def test_a_post_that_was_sent_is_not_sent_to_the_other_node(node, proxy):
    first, second = node(answers=False), node(answers=False)
    assert statuses(f"{proxy(first.port, second.port)}/graphql", "POST") == [502, 502]
    assert sorted([len(first.asked), len(second.asked)]) == [1, 1]


def test_with_non_idempotent_it_would_be(node, proxy, monkeypatch, tmp_path):
    """The control of the test above."""
    changed = nginx.EXAMPLE.read_text().replace("error timeout;", "error timeout non_idempotent;")
    (tmp_path / "changed").write_text(changed)
    monkeypatch.setattr(nginx, "EXAMPLE", tmp_path / "changed")
    first, second = node(answers=False), node(answers=False)
    with httpx.Client(trust_env=False) as http:
        http.post(f"{proxy(first.port, second.port)}/graphql", content=b"x")
    assert (len(first.asked), len(second.asked)) == (1, 1)


def test_what_only_reads_is_asked_of_the_other_node(node, proxy):
    dying, living = node(answers=False), node(answers=True)
    assert statuses(proxy(dying.port, living.port), "GET") == [200, 200]
    assert dying.asked


def test_a_node_that_is_down_gets_no_post(node, proxy):
    living, (nobody,) = node(answers=True), free_ports(1)
    assert statuses(f"{proxy(nobody, living.port)}/graphql", "POST") == [200, 200]
    assert living.asked == ["POST", "POST"]


def test_an_example_that_has_changed_is_refused(monkeypatch, tmp_path):
    (tmp_path / "changed").write_text(nginx.EXAMPLE.read_text().replace("listen 443 ssl;", "listen 443 ssl http2;"))
    monkeypatch.setattr(nginx, "EXAMPLE", tmp_path / "changed")
    with pytest.raises(ValueError, match="listen 443 ssl"):
        nginx.configuration(1, [Node("127.0.0.1", 2, 3)])


# --- The plan and the oracle -----------------------------------------------------------------------------------------


def test_the_same_case_deals_the_same_blows():
    assert many.plan(Random("7/3")) == many.plan(Random("7/3"))
    assert len({str(many.plan(Random(f"7/{case}"))) for case in range(20)}) == 20


@pytest.fixture
def bought(db, tmp_path):
    """A purchase as the trial writes it down, and the world it happened in."""
    with new_world(alipay_folder(tmp_path)) as world:
        made = world.create(0, [0, 1], key="k")["order"]
        world.buy(made["outTradeNo"])
        world.deliver_all()
        buyer = Buyer(world.buyers[0].pk, "", "127.1.0.1", ("1", "2"), made["totalAmount"])
        this = Purchase(buyer, "k", streams=False, deaf=False, creates_again=True, out_trade_no=made["outTradeNo"])
        this.answers, this.statuses = [made["id"], made["id"]], ["UNPAID", "PAID"]
        yield world, this


def found(bought):
    world, this = bought
    received = [heard(event) for event in Event.objects.all()]
    books = Books.read(world.simulator)
    return [*oracle.told_wrong(this), *oracle.of_the_books(books, [this]), *oracle.not_told(received, [this])]


def heard(event, *, genuine=True):
    return Received("POST", "/", {}, json.dumps({"id": event.key}).encode(), genuine)


def test_of_sound_books_nothing_is_said(bought):
    assert found(bought) == []


def second_order():
    order = Order.objects.get()
    lines = list(order.lines.all())
    order.pk, order.number, order.status, order.paid_at = None, "2026112300000000000000", OrderStatus.UNPAID, None
    order.save()
    for line in lines:
        line.pk, line.order = None, order
        line.save()


CORRUPTIONS = {
    "a delivery is missing": (lambda: Enrollment.objects.first().delete(), "open enrolments: 1, not 2"),
    "a payment is lost": (lambda: Payment.objects.update(status="OPEN", paid_at=None, trade_no=None), "I3"),
    "an order is lost": (lambda: Order.objects.update(status="UNPAID", paid_at=None), "paid at Alipay and is UNPAID"),
    "a key has no order": (lambda: IdempotencyKey.objects.all().delete(), "I7 key"),
    "a key has two orders": (second_order, "2 orders"),
    "paid twice": (lambda: again(OrderEvent.objects.get(name="order.paid")), "order.paid events: 2, not 1"),
    "told twice": (lambda: again(Event.objects.get(name="order.paid"), key="evt_2"), "is 2 events"),
    "not told": (lambda: Event.objects.filter(name="order.paid").delete(), "has no event order.paid"),
    "a fen too much": (lambda: Payment.objects.update(amount_fen=1), "I1"),
}


def again(row, **changes):
    for name, value in {"pk": None, **changes}.items():
        setattr(row, name, value)
    row.save(force_insert=True)


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_each_corruption_is_seen(bought, what):
    corrupt, said = CORRUPTIONS[what]
    corrupt()
    assert any(said in wrong for wrong in found(bought)), found(bought)


@pytest.mark.parametrize(
    ("answers", "statuses", "said"),
    [
        (["1", "2"], ["PAID"], "answered with ['1', '2']"),
        ([], ["PAID"], "answered with []"),
        (["1"], ["UNPAID", "PAID", "UNPAID"], "saw"),
        (["1"], ["UNPAID"], "saw"),
        (["1"], ["TIMED_OUT", "PAID"], "saw"),
    ],
)
def test_what_a_buyer_was_told_wrong_is_seen(answers, statuses, said):
    buyer = Buyer(1, "", "127.1.0.1", (), "0.00")
    this = Purchase(buyer, "k", False, False, False, answers=answers, statuses=statuses)
    assert any(said in wrong for wrong in oracle.told_wrong(this))


def test_an_event_that_nobody_heard_or_that_is_forged_is_seen(bought):
    _, this = bought
    events = list(Event.objects.all())
    assert any("was not heard of" in wrong for wrong in oracle.not_told([heard(one) for one in events[1:]], [this]))
    forged = [heard(one, genuine=False) for one in events]
    assert "an event with a wrong signature came" in list(oracle.not_told(forged, [this]))


def test_an_order_that_was_promised_and_is_not_there_is_seen(bought):
    world, this = bought
    this.answers = ["1"]
    assert "1 was promised and is not there" in list(oracle.of_the_books(Books.read(world.simulator), [this]))


def test_a_secret_or_a_traceback_in_a_log_is_seen(tmp_path):
    class Program:
        log = tmp_path / "program1.log"

        def said(self):
            return "a token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0abc.c2lnbmF0dXJl"

        def tracebacks(self):
            return ["KeyError: 1"]

    assert list(oracle.in_the_logs([Program()])) == [
        "a traceback in program1.log: KeyError: 1",
        "a token in program1.log",
    ]
