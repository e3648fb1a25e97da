"""The cashier: what the buyer sees and does. Plain pages and forms; a script drives it like a browser."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .errors import BusinessError
from .incoming import read_form
from .messages import return_address
from .pages import Pages, qr_path
from .simulator import Simulator
from .trade import Trade
from .trades import Session

# Which page a refusal shows, and the HTTP status a script sees.
PROBLEMS = {
    "ACQ.TRADE_NOT_EXIST": ("unknown", 404),
    "ACQ.TRADE_HAS_SUCCESS": ("paid", 409),
    "ACQ.TRADE_HAS_CLOSE": ("closed", 409),
    "ACQ.CONTEXT_INCONSISTENT": ("changed", 409),
    "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR": ("expired", 410),
}
LONGEST_REFRESH = 24 * 3600


class Cashier:
    """GET /cashier, and one POST for each thing a buyer does."""

    def __init__(self, simulator: Simulator, pages: Pages) -> None:
        self.simulator = simulator
        self.trades = simulator.trades
        self.pages = pages

    def routes(self) -> list[Route]:
        """The cashier's own part of the site."""
        return [
            Route("/cashier", self.show, methods=["GET"]),
            Route("/cashier/scan", self.scan, methods=["POST"]),
            Route("/cashier/login", self.login, methods=["POST"]),
            Route("/cashier/pay", self.pay, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page of a session: sign in, confirm, or the receipt of what this session paid."""
        try:
            session = self.trades.session(request.query_params.get("payOrderId", ""))
            trade = self.trades.find(out_trade_no=session.order.out_trade_no)
            if trade and trade.paid_by == session.pay_order_id:
                return self._receipt(request, session, trade)
            self.trades.refuse_unless_payable(session.order, session.expires_at)
        except BusinessError as error:
            return self._problem(request, error)
        if "switch" in request.query_params or not session.account:
            return self._page(request, "enter.html", session, account_wanted=False)
        return self._page(request, "confirm.html", session)

    async def scan(self, request: Request) -> Response:
        """The buyer's app read the code: the default buyer is signed in."""
        form = await read_form(request)
        return self._enter(request, form, self.simulator.config.buyer_account, "scan")

    async def login(self, request: Request) -> Response:
        """The buyer signs in with any account; the password is not looked at."""
        form = await read_form(request)
        account = form.get("account", "").strip()
        if 0 < len(account) <= 100 and account.isprintable():
            return self._enter(request, form, account, "login")
        try:
            session = self.trades.session(form.get("payOrderId", ""))
        except BusinessError as error:
            return self._problem(request, error)
        return self._page(request, "enter.html", session, status=422, account_wanted=True)

    def _enter(self, request: Request, form: Mapping[str, str], account: str, way: str) -> Response:
        try:
            self.trades.enter(form.get("payOrderId", ""), account, way)
        except BusinessError as error:
            return self._problem(request, error)
        return self._to_cashier(form["payOrderId"])

    async def pay(self, request: Request) -> Response:
        """`outcome` is `return` (default), `stay` (pay, no return) or `leave` (no payment)."""
        form = await read_form(request)
        outcome = form.get("outcome", "return")
        try:
            session = self.trades.session(form.get("payOrderId", ""))
            if outcome == "leave":
                return self._page(request, "left.html", session)
            if not session.account:
                return self._to_cashier(session.pay_order_id)
            trade = self.trades.pay(session.pay_order_id)
        except BusinessError as error:
            return self._problem(request, error)
        if outcome == "return" and session.order.return_url:
            return RedirectResponse(self._return_address(session, trade), 302)
        return self._receipt(request, session, trade)

    def _to_cashier(self, pay_order_id: str) -> Response:
        prefix = self.simulator.config.cashier_prefix
        return RedirectResponse(f"{prefix}/cashier?payOrderId={pay_order_id}", 303)

    def _return_address(self, session: Session, trade: Trade) -> str:
        config, now = self.simulator.config, self.simulator.clock.now()
        return return_address(session.order.return_url, trade, config, now, self.simulator.key)

    def _receipt(self, request: Request, session: Session, trade: Trade) -> Response:
        back = self._return_address(session, trade) if session.order.return_url else ""
        return self._page(request, "paid.html", session, trade=trade, back=back)

    def _page(
        self, request: Request, template: str, session: Session, *, status: int = 200, **context: Any
    ) -> Response:
        remaining = max(0, round((session.expires_at or 0) - self.simulator.clock.now()))
        return self.pages.show(
            request,
            template,
            status,
            session=session,
            order=session.order,
            remaining=remaining,
            refresh=remaining + 1 if remaining < LONGEST_REFRESH else 0,
            qr=qr_path(session.pay_order_id),
            **context,
        )

    def _problem(self, request: Request, error: BusinessError) -> Response:
        kind, status = PROBLEMS[error.sub_code]
        pay_order_id = request.query_params.get("payOrderId", "")
        return self.pages.show(request, "problem.html", status, kind=kind, error=error, pay_order_id=pay_order_id)
