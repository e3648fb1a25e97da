"""What a client may wait for.

The field is a plain one: `backend.schema.stream` runs the client's whole document once to let it in, with what it is
shown first, and then once for every change. (Strawberry's own subscriptions keep three nested generators for each
client and resolve in the event loop, where the database must not be touched.)
"""

from typing import Annotated

import strawberry
from django.http import HttpRequest

from backend.accounts.models import User
from backend.orders import models
from backend.schema.access import Context, Info, Refused, bad_request, buyer
from backend.schema.order_queries import visible_to, waited_for
from backend.schema.orders import Order


class Asking(Context):
    """The first run: it finds the order, for whoever the token says, as a poll does."""

    order: models.Order | None = None

    def __init__(self, authorization: str | None) -> None:
        request = HttpRequest()
        if authorization:
            request.META["HTTP_AUTHORIZATION"] = authorization
        super().__init__(request)


class Showing(Context):
    """Every other run: the order as it is now, or None where there is none."""

    def __init__(self, session: tuple[User, str], order: models.Order | None) -> None:
        self.__dict__["session"] = session
        self.order = order


def not_found() -> Refused:
    """The same for what is not there and for what is another's."""
    return Refused("NOT_FOUND", "There is no such order.")


@strawberry.type(description="What can be waited for, at POST /graphql/stream.")
class Subscription:
    @strawberry.field(
        description="An order as it is now, then each change of it; ends when it is terminal. Served at"
        " POST /graphql/stream, as multipart/mixed (Apollo's protocol) or text/event-stream."
    )
    def order_updated(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Order.id.")]
    ) -> Order:
        user, context = buyer(info), info.context
        if not isinstance(context, Asking | Showing):
            raise bad_request("Subscribe at POST /graphql/stream.")
        if isinstance(context, Asking):
            context.order = waited_for(user, str(id), by_out_trade_no=False)
        if context.order is None or not visible_to(user, context.order):
            raise not_found()
        return context.order  # type: ignore[return-value]
