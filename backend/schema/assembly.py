"""The schema, put together."""

import strawberry
from django.conf import settings
from strawberry.schema.config import StrawberryConfig

from backend.schema.accounts import AccountsMutation, AccountsQuery
from backend.schema.courses import CoursesQuery
from backend.schema.documents import KNOWN, KnownDocuments
from backend.schema.lean import make_lean
from backend.schema.order_queries import OrdersQuery
from backend.schema.payments import PaymentsMutation
from backend.schema.scalars import SCALARS
from backend.schema.subscriptions import Subscription
from backend.schema.trusted import load


@strawberry.type(description="What can be read.")
class Query(AccountsQuery, CoursesQuery, OrdersQuery):
    pass


@strawberry.type(description="What can be done.")
class Mutation(AccountsMutation, PaymentsMutation):
    pass


schema = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[lambda: KnownDocuments(KNOWN)],
)
make_lean(schema._schema)  # noqa: SLF001 - strawberry shows no other
trusted_problems = list(load(KNOWN, schema._schema, settings.TRUSTED_DOCUMENTS_FILE))  # noqa: SLF001
"""What is wrong with the storefront's documents; a system check says it."""
