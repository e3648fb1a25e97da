"""The schema, put together."""

import strawberry
from django.conf import settings
from strawberry.schema.config import StrawberryConfig

from backend.schema.accounts import AccountsMutation, AccountsQuery
from backend.schema.courses import CoursesQuery
from backend.schema.documents import MOST_KEPT, Documents, KnownDocuments
from backend.schema.orders import OrdersQuery
from backend.schema.payments import PaymentsMutation
from backend.schema.scalars import SCALARS


@strawberry.type(description="What can be read.")
class Query(AccountsQuery, CoursesQuery, OrdersQuery):
    pass


@strawberry.type(description="What can be done.")
class Mutation(AccountsMutation, PaymentsMutation):
    pass


documents = Documents(MOST_KEPT)
schema = strawberry.Schema(
    Query,
    Mutation,
    config=StrawberryConfig(disable_field_suggestions=not settings.DEBUG, scalar_map=SCALARS),
    extensions=[lambda: KnownDocuments(documents)],
)
