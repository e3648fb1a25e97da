"""Signing in and out."""

from datetime import datetime
from typing import Annotated

import strawberry
import strawberry_django

from backend.accounts import models
from backend.accounts.login import log_in
from backend.accounts.tokens import end_token
from backend.schema.access import Info, buyer, visitor
from backend.schema.errors import InvalidCredentials, RateLimited, typed_refusals
from backend.schema.scalars import opaque_id


def user_id(root: strawberry.Parent[models.User]) -> strawberry.ID:
    return opaque_id("user", root.pk)


@strawberry_django.type(models.User, description="Somebody with an account.")
class User:
    id: strawberry.ID = strawberry.field(resolver=user_id, description="Opaque.")
    username: strawberry.auto = strawberry_django.field(description="The name to sign in with.")


@strawberry.input(description="A name and its password.")
class LoginInput:
    username: str = strawberry.field(description="The name of the account.")
    password: str = strawberry.field(description="Its password.")


@strawberry.type(description="Signed in.")
class LoginSuccess:
    token: str = strawberry.field(description='To be sent as "Authorization: Bearer <token>".')
    expires_at: datetime = strawberry.field(description="When to sign in again at the latest.")
    user: User = strawberry.field(description="Who signed in.")


LoginResult = Annotated[
    LoginSuccess | InvalidCredentials | RateLimited,
    strawberry.union("LoginResult", description="A token, or why there is none."),
]


Credentials = Annotated[LoginInput, strawberry.argument(description="Who signs in.")]


@strawberry.type
class AccountsQuery:
    @strawberry.field(description="Who is signed in; null without a token.")
    def me(self, info: Info) -> User | None:
        return visitor(info)  # type: ignore[return-value]


@strawberry.type
class AccountsMutation:
    @strawberry.mutation(description="Sign in. Tries are counted per account and per address.")
    @typed_refusals
    def login(self, info: Info, input: Credentials) -> LoginResult:
        signed_in = log_in(info.context.request, username=input.username, password=input.password)
        return LoginSuccess(
            token=signed_in.token.text,
            expires_at=signed_in.token.expires_at,
            user=signed_in.user,  # type: ignore[arg-type]
        )

    @strawberry.mutation(description="End this token. The user's other tokens stay; a password change ends them all.")
    def logout(self, info: Info) -> bool:
        buyer(info)
        assert info.context.session is not None
        end_token(info.context.session[1])
        return True
