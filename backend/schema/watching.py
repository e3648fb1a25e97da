"""Who may watch which order, and what they see of it. All of it runs in threads, on the database."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Max
from strawberry.http import GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from backend.accounts.models import AccessToken, User
from backend.accounts.tokens import claims_of
from backend.live.hub import State, Waiter
from backend.logs import request_id
from backend.orders.models import Order, OrderEvent, OrderStatus
from backend.schema.access import Refused, bad_request
from backend.schema.assembly import schema
from backend.schema.order_queries import newest_attempts
from backend.schema.peers import as_peers
from backend.schema.requests import parse_post
from backend.schema.subscriptions import Asking, Showing
from backend.schema.view import presentable, presentable_result

MOST_EVENTS = 1000
CHUNK = 1000
"""Values in one IN."""


def refusal(code: str, message: str) -> bytes:
    return orjson.dumps({"errors": [{"message": message, "extensions": {"code": code}}]})


SIGNED_OUT = refusal("UNAUTHENTICATED", "This token is not valid, or no longer. Sign in again.")
TOO_MANY = refusal("RATE_LIMITED", "Too many clients are waiting here. Ask for the order's status instead.")
TOO_MANY_OF_YOURS = refusal("RATE_LIMITED", "You are waiting for too many orders at once. Close another page.")
NOTHING_ASKED = refusal("BAD_REQUEST", "This subscription asks for nothing.")


@dataclass(frozen=True, slots=True)
class Question:
    """What came over the wire."""

    content_type: str
    content_encoding: str
    authorization: str | None
    body: bytes
    request_id: str


class Client(Waiter):
    """Somebody who waits, and the document by which they want to see the order."""

    __slots__ = ("asked", "expires_at", "request_id", "session")

    def __init__(
        self, number: str, asked: GraphQLRequestData, session: tuple[User, str], *, expires_at: float, request_id: str
    ) -> None:
        super().__init__(number=number, owner=session[0].pk)
        # Most clients send the same text: it is kept once.
        self.asked = replace(asked, query=sys.intern(asked.query or ""))
        self.session, self.expires_at, self.request_id = session, expires_at, request_id


def run(asked: GraphQLRequestData, context: Asking | Showing) -> ExecutionResult:
    """The document, through everything that guards /graphql too. Raises Refused for another kind of operation."""
    try:
        return schema.execute_sync(
            asked.query,
            variable_values=asked.variables,
            operation_name=asked.operation_name,
            context_value=context,
            allowed_operation_types={OperationType.SUBSCRIPTION},
        )
    except InvalidOperationTypeError as error:
        raise bad_request("Only subscriptions are served here. Send the rest to /graphql.") from error
    except CannotGetOperationTypeError as error:
        raise bad_request(error.as_http_error_reason()) from error


def admit(question: Question) -> Client | bytes:
    """A client who waits, its first state delivered; or the answer that is all. Raises HTTPException for a bad body."""
    request_id.set(question.request_id)
    asking = Asking(question.authorization)
    try:
        asked = parse_post(question.content_type, question.body, content_encoding=question.content_encoding)
        result = run(asked, asking)
    except Refused as refused:
        return orjson.dumps({"errors": [presentable(refused)]})
    if result.data is not None and asking.order is None:
        return NOTHING_ASKED
    state = state_of(result, asking.order)
    if asking.order is None or asking.session is None or state.is_last:
        return state.body
    expires_at = claims_of(str(question.authorization))["exp"]
    client = Client(asking.order.number, asked, asking.session, expires_at=expires_at, request_id=question.request_id)
    client.deliver(state)
    return client


def show(batch: Mapping[str, Collection[Client]]) -> list[tuple[Client, State]]:
    """The orders as they are now, each as its clients asked to see it; all of them are read together."""
    orders = {payment.order.number: payment.order for payment in newest_attempts(list(batch))}
    as_peers(list(orders.values()))
    return [(client, shown(client, orders.get(number))) for number, clients in batch.items() for client in clients]


def shown(client: Client, order: Order | None) -> State:
    """Raises what the database raised where its connection is lost: an answer with errors would be the last one."""
    request_id.set(client.request_id)
    result = run(client.asked, Showing(client.session, order))
    for error in result.errors or ():
        if isinstance(error.original_error, OperationalError | InterfaceError) and not connection.is_usable():
            raise error.original_error
    return state_of(result, order)


def state_of(result: ExecutionResult, order: Order | None) -> State:
    is_last = order is None or order.is_terminal or result.data is None
    return State(orjson.dumps(presentable_result(result)), is_last)


def events_behind(newest: int | None) -> tuple[int, list[str]]:
    """The orders with events behind that row, and the newest row; None asks for the newest row alone."""
    if newest is None:
        return OrderEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0, []
    events = OrderEvent.objects.filter(pk__gt=newest).order_by("pk").values_list("pk", "order__number")[:MOST_EVENTS]
    rows = list(events)
    return (rows[-1][0] if rows else newest), list(dict.fromkeys(number for _, number in rows))


def ended_among(clients: Sequence[Client]) -> list[str]:
    """The orders of these clients that have ended: nobody would wait who had been told."""
    ended = Order.objects.exclude(status=OrderStatus.UNPAID)
    numbers = list({client.number for client in clients})
    return [
        number
        for first in range(0, len(numbers), CHUNK)
        for number in ended.filter(number__in=numbers[first : first + CHUNK]).values_list("number", flat=True)
    ]


def signed_out_among(clients: Sequence[Client]) -> list[Client]:
    """Those whose token has ended: by logout, a new password, or the account's end."""
    good: set[tuple[str, str]] = set()
    tokens = list({client.session[1] for client in clients})
    active = AccessToken.objects.filter(user__is_active=True)
    for first in range(0, len(tokens), CHUNK):
        rows = active.filter(pk__in=tokens[first : first + CHUNK])
        good.update(rows.values_list("pk", "user__token_epoch"))
    return [client for client in clients if (client.session[1], client.session[0].token_epoch) not in good]
