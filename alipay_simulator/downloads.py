"""`/downloadBillFile.resource`: a bill on its way out; HTTP 200 unless the token or a fault says otherwise."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .bills import PATH
from .broken import Places, broken_response
from .simulator import Simulator


class Downloads:
    """The one address that a bill's URL leads to."""

    def __init__(self, simulator: Simulator) -> None:
        self.bills = simulator.bills
        self.places = Places()

    def routes(self) -> list[Route]:
        """The bill centre, which at Alipay has a host of its own."""
        return [Route(PATH, self.answer, methods=["GET"])]

    async def answer(self, request: Request) -> Response:
        """The zip, sent as it is read from its file."""
        query = dict(request.query_params)
        reply = await run_in_threadpool(self.bills.download, query)
        if reply.file is None or reply.drip is not None:
            return broken_response(reply, self.places)
        headers = {
            "Content-Disposition": f'attachment; filename="{query["downloadFileName"]}"',
            "Content-Length": str(reply.size),
        }
        return StreamingResponse(reply.chunks(), reply.status, headers, reply.media_type)
