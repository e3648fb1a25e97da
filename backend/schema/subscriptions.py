"""What a client may wait for.

The field is a plain one: `backend.schema.stream` runs the client's whole document once to learn who asks and for which
order, and then once for every state that is to be shown. (Strawberry's own subscriptions keep three nested generators
for each client and resolve in the event loop, where the database must not be touched.)
"""

from typing import Annotated

import strawberry
from django.http import HttpRequest

from backend.accounts.models import User
from backend.orders import models
from backend.schema.access import Context, Info, Refused, bad_request, buyer
from backend.schema.order_queries import visible_to
from backend.schema.orders import Order


class Asking(Context):
    """The first run: ``number`` is the order that was asked for, once somebody signed in has asked for one."""

    number: str | None = None

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
        if isinstance(context, Showing):
            if context.order is None or not visible_to(user, context.order):
                raise not_found()
            return context.order  # type: ignore[return-value]
        if not isinstance(context, Asking):
            raise bad_request("Subscribe at POST /graphql/stream.")
        if not (id.isascii() and id.isdecimal() and len(id) <= 22):
            raise not_found()
        context.number = str(id)
        raise bad_request("This run only asks.")
