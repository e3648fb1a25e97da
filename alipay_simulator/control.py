"""A client of the control API, for the test suites of whoever uses the simulator.

control = Control("http://127.0.0.1:8001")
control.fault("alipay.trade.refund", "timeout_after", seconds=20)
control.pay(pay_url)
control.advance(240)
assert control.money()["order_1"]["paid_fen"] == 11700
"""

from types import TracebackType
from typing import Any, Literal, Self

import httpx

Json = dict[str, Any]
Outcome = Literal["return", "stay", "leave"]


class ControlError(Exception):
    """The simulator refused: `status` is the HTTP status, `reason` its own words or an ACQ code."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class Control:
    """Everything a test does to a running simulator; every method raises ControlError when it is refused.

    `client` may be any httpx.Client whose base_url is the simulator.
    """

    def __init__(self, base_url: str = "", *, timeout: float = 10.0, client: httpx.Client | None = None) -> None:
        self.http = client or httpx.Client(base_url=base_url, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    # What goes wrong.

    def fault(self, target: str, kind: str, *, times: int = 1, out_trade_no: str = "", **parameters: Any) -> Json:
        """Let something go wrong `times` times; returns the fault with its id and complete parameters."""
        wanted = {"target": target, "kind": kind, "times": times, "out_trade_no": out_trade_no, **parameters}
        return self._ask("POST", "/api/faults", wanted)

    def faults(self) -> list[Json]:
        """The faults that are still waiting."""
        found: list[Json] = self._ask("GET", "/api/faults")["faults"]
        return found

    def clear_faults(self) -> None:
        """Nothing more goes wrong."""
        self._ask("DELETE", "/api/faults")

    # What the buyer does.

    def open(self, pay_url: str) -> str:
        """Open a pay URL as the browser does; returns the payOrderId. ControlError when the gateway refuses."""
        answer = self.http.get(pay_url, follow_redirects=False)
        if answer.status_code != 302:
            raise ControlError(answer.status_code, f"the gateway did not open the cashier: {answer.text[:2000]}")
        return str(answer.headers["location"]).partition("payOrderId=")[2]

    def scan(self, pay_url: str, account: str = "") -> str:
        """Open a pay URL and sign in, so that the trade exists; returns the payOrderId."""
        pay_order_id = self.open(pay_url)
        fields = {"payOrderId": pay_order_id, **({"account": account} if account else {})}
        self._act("login" if account else "scan", fields, 303)
        return pay_order_id

    def pay(self, pay_url: str, outcome: Outcome = "return", account: str = "") -> str:
        """Buy through the cashier. Returns the signed address the browser is sent back to, "" when it is not."""
        return self.pay_session(self.scan(pay_url, account), outcome)

    def pay_session(self, pay_order_id: str, outcome: Outcome = "return") -> str:
        """Press the cashier's button in a session that was scanned before."""
        answer = self._act("pay", {"payOrderId": pay_order_id, "outcome": outcome}, 200, 302)
        return str(answer.headers.get("location", ""))

    # What Alipay does by itself.

    def console_refund(self, out_trade_no: str, amount: str, reason: str = "") -> Json:
        """Give back yuan at Alipay's own console, behind the app's back; returns the refund."""
        return self._ask("POST", f"/api/trades/{out_trade_no}/refund", {"amount": amount, "reason": reason})

    def close_trade(self, out_trade_no: str) -> None:
        """Close a trade that was not paid."""
        self._ask("POST", f"/api/trades/{out_trade_no}/close")

    def freeze(self, out_trade_no: str, *, frozen: bool = True) -> None:
        """Hold a trade's money back, or let it go."""
        self._ask("POST", f"/api/trades/{out_trade_no}/freeze", {"frozen": frozen})

    def rules(self, **changes: Any) -> Json:
        """Change some of `refund_window`, `seller_balance` and `triggers`; returns the rules in force."""
        return self._ask("POST", "/api/rules", changes) if changes else self._ask("GET", "/api/rules")

    def triggers(self, **switches: bool) -> Json:
        """Switch events on or off, `triggers(full_refund=True)`; returns the rules in force."""
        return self.rules(triggers=switches)

    # Time.

    def advance(self, seconds: float) -> Json:
        """Let time pass for everything at once; returns the clock."""
        return self._ask("POST", "/api/clock", {"advance": seconds})

    def speed(self, speed: float) -> Json:
        """Let the notify schedule run so many times as fast; returns the clock."""
        return self._ask("POST", "/api/clock", {"speed": speed})

    def send_now(self, notify_id: str) -> Json:
        """Send a notify at once; returns what the merchant answered."""
        return self._ask("POST", f"/api/notifies/{notify_id}/send-now")

    # What the book says.

    def trade(self, out_trade_no: str) -> Json | None:
        """A trade with its notifies and their attempts; None while it does not exist."""
        try:
            return self._ask("GET", f"/api/trades/{out_trade_no}")
        except ControlError as error:
            if error.status == 404:
                return None
            raise

    def money(self) -> dict[str, Json]:
        """Per out_trade_no `paid_fen`, `refunded_fen` and `refunds`, from the append-only book."""
        return self._ask("GET", "/api/money")

    def events(self, kind: str = "") -> list[Json]:
        """The whole journal, oldest first, or one kind of event."""
        events: list[Json] = []
        page: Json = {"more": True, "last": 0}
        while page["more"]:
            page = self._ask("GET", f"/api/book?after={page['last']}&limit=10000")
            events += page["events"]
        return [event for event in events if kind in ("", event["kind"])]

    def reset(self) -> None:
        """Begin with an empty book, no faults and the rules and clock of the start."""
        self._ask("POST", "/api/reset")

    def _act(self, step: str, fields: dict[str, str], *good: int) -> httpx.Response:
        answer = self.http.post(f"/cashier/{step}", data=fields, follow_redirects=False)
        if answer.status_code not in good:
            raise ControlError(answer.status_code, f"the cashier refused to {step}: {answer.text[:2000]}")
        return answer

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self.http.request(method, path, json=body)
        found: Json = answer.json()
        if answer.is_error:
            raise ControlError(answer.status_code, str(found.get("error", "")))
        return found
