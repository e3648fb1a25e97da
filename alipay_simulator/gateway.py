"""`/gateway.do`: reads a request, has it dealt with and writes the answer; HTTP 200 unless a fault says otherwise."""

import contextlib

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .broken import Places, broken_response
from .desk import Desk
from .faults import PAGE_PAY
from .incoming import read_pairs
from .pages import Pages
from .simulator import Simulator
from .words import REASONS


class Gateway:
    """The one endpoint of the wire protocol, GET and POST."""

    def __init__(self, simulator: Simulator, pages: Pages) -> None:
        self.prefix = simulator.config.cashier_prefix
        self.pages = pages
        self.desk: Desk = simulator.desk
        self.places = Places()

    async def answer(self, request: Request) -> Response:
        """Answer one request; nothing that a merchant sends makes this anything but HTTP 200 or the 302."""
        pairs = None
        with contextlib.suppress(ValueError):
            pairs = await read_pairs(request)
        handled = self.desk.handle(pairs, request.method)
        outcome, reply = handled.outcome, handled.reply
        if handled.broken:
            return broken_response(reply, self.places)
        if outcome.to:
            return RedirectResponse(f"{self.prefix}/cashier?payOrderId={outcome.to.pay_order_id}", 302)
        if ("method", PAGE_PAY) in (pairs or ()):
            english = REASONS[outcome.body["sub_code"]]
            return self.pages.show(request, "refused.html", error=outcome.body, reason=outcome.reason, english=english)
        return Response(reply.body, reply.status, media_type=reply.media_type)
