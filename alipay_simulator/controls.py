"""The console's second page: forms for everything the control API can do. It does not refresh itself."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from .config import TRIGGERS
from .control_api import is_local
from .errors import BusinessError
from .faults import ANY, BILL, NOTIFY, NUMBERS, kinds_of
from .incoming import Params, read_form
from .methods import METHODS
from .money import parse_yuan
from .pages import Pages
from .simulator import Simulator

PLACE = "/console/controls"
Action = Callable[["Controls", Params], None]


def form_action(action: Action) -> Callable[["Controls", Request], Awaitable[Response]]:
    """Do what a form asks and come back to the page; what is refused is shown above the forms, with its status."""

    @wraps(action)
    async def answer(controls: "Controls", request: Request) -> Response:
        form = await read_form(request)
        try:
            action(controls, form)
        except BusinessError as error:
            return controls.page(request, form, 409, error.sub_code, error.reason)
        except ValueError as error:
            return controls.page(request, form, 400, "", str(error))
        return RedirectResponse(PLACE, 303)

    return answer


class Controls:
    """GET /console/controls, and one POST for each form."""

    def __init__(self, simulator: Simulator, pages: Pages) -> None:
        self.simulator = simulator
        self.pages = pages

    def routes(self) -> list[Route]:
        """This page's own part of the site."""
        return [
            Route(PLACE, self.show, methods=["GET"]),
            Route(f"{PLACE}/fault", self.fault, methods=["POST"]),
            Route(f"{PLACE}/clear", self.clear, methods=["POST"]),
            Route(f"{PLACE}/triggers", self.triggers, methods=["POST"]),
            Route(f"{PLACE}/limits", self.limits, methods=["POST"]),
            Route(f"{PLACE}/trade", self.trade, methods=["POST"]),
            Route(f"{PLACE}/bill", self.bill, methods=["GET"]),
            Route(f"{PLACE}/bill", self.bill_rules, methods=["POST"]),
            Route(f"{PLACE}/reset", self.reset, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The forms; `?trade=` fills in an order number."""
        return self.page(request, {"out_trade_no": request.query_params.get("trade", "")})

    @form_action
    def fault(self, form: Params) -> None:
        """One number field serves every kind that takes a number, one text field every kind that takes a text."""
        target, _, kind = form.get("fault", "").partition(" ")
        wanted: dict[str, Any] = {"out_trade_no": form.get("out_trade_no", "")}
        if form.get("times"):
            wanted["times"] = int(form["times"])
        if form.get("number") and kind in NUMBERS:
            wanted[next(iter(NUMBERS[kind]))] = _number(form["number"])
        if form.get("value"):
            wanted["value"] = form["value"]
        self.simulator.fault(target, kind, **wanted)

    @form_action
    def clear(self, _form: Params) -> None:
        """Nothing more goes wrong."""
        self.simulator.faults.clear()

    @form_action
    def triggers(self, form: Params) -> None:
        """A box that is not ticked is not sent."""
        self.simulator.rules.change({"triggers": {name: name in form for name in TRIGGERS}})

    @form_action
    def limits(self, form: Params) -> None:
        """An empty balance is no limit."""
        days = _number(form.get("refund_days", ""))
        self.simulator.rules.change(
            {"refund_window": days * 86400, "seller_balance": form.get("seller_balance") or None}
        )

    @form_action
    def trade(self, form: Params) -> None:
        """What Alipay, or the buyer, does to a trade without the merchant's app."""
        number, action = form.get("out_trade_no", ""), form.get("action", "")
        if action == "refund":
            self.simulator.console_refund(number, parse_yuan(form.get("amount")), form.get("reason", ""))
        elif action == "close":
            self.simulator.close_trade(number)
        elif action in ("freeze", "thaw"):
            self.simulator.freeze_trade(number, frozen=action == "freeze")
        else:
            raise ValueError("no such action")

    async def bill(self, request: Request) -> Response:
        """Send the browser to a bill as the merchant would get it, but on the same day already."""
        form = dict(request.query_params)
        try:
            url = self.simulator.bills.url(form.get("bill_type"), form.get("bill_date"), early=True)
        except BusinessError as error:
            return self.page(request, form, 409, error.sub_code, error.reason)
        return RedirectResponse(urlsplit(url)._replace(scheme="", netloc="").geturl(), 303)

    @form_action
    def bill_rules(self, form: Params) -> None:
        """A box that is not ticked is off."""
        codes = "listed" if "bill_listed" in form else "wire"
        ticks = {name: name in form for name in ("bill_at_once", "bill_quotes")}
        self.simulator.rules.change({**ticks, "bill_codes": codes})

    async def reset(self, request: Request) -> Response:
        """Empty the book; only for a browser on this machine."""
        if not is_local(request):
            return self.page(request, {}, 403, "", "only from the same machine")
        self.simulator.reset()
        return RedirectResponse(PLACE, 303)

    def page(self, request: Request, form: Params, status: int = 200, code: str = "", problem: str = "") -> Response:
        """The page, with what was typed and what was wrong with it."""
        return self.pages.show(
            request,
            "controls.html",
            status,
            form=form,
            code=code,
            problem=problem,
            kinds={target: kinds_of(target) for target in (ANY, NOTIFY, BILL, *METHODS)},
            faults=self.simulator.faults.waiting(),
            rules=self.simulator.rules.as_json(),
            clock=self.simulator.clock,
            trades=self.simulator.trades.newest(20),
        )


def _number(text: str) -> float:
    """Read a number as a person types it: whole where it is whole."""
    number = float(text)
    return int(number) if number.is_integer() else number
