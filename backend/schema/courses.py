"""The catalogue, and what the buyer owns of it."""

import re
from typing import Annotated

import strawberry
import strawberry_django

from backend.courses import models
from backend.schema.access import Info, bad_request, buyer, visitor
from backend.schema.pagination import DEFAULT_FIRST, After, Connection, First, Keyset, paginate
from backend.schema.peers import peers_of
from backend.schema.scalars import Money

MAX_SEARCH = 100
_PK = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def course_price(root: strawberry.Parent[models.Course]) -> Money:
    return Money(root.price_fen)


def course_owned(root: strawberry.Parent[models.Course], info: Info) -> bool:
    """Asked for a page of courses at once; of each who looks, for live orders share their rows."""
    user = visitor(info)
    if user is None:
        return False
    known = f"owned_by_{user.pk}"
    if known not in root.__dict__:
        peers = peers_of(root)
        mine = models.Enrollment.objects.open().filter(user_id=user.pk, course_id__in=[course.pk for course in peers])
        owned = set(mine.values_list("course_id", flat=True))
        for course in peers:
            course.__dict__[known] = course.pk in owned
    return bool(root.__dict__[known])


def course_id(root: strawberry.Parent[models.Course]) -> strawberry.ID:
    return strawberry.ID(str(root.pk))


@strawberry_django.type(models.Course, description="A course as the catalogue shows it now.")
class Course:
    id: strawberry.ID = strawberry.field(resolver=course_id, description="Opaque; what createOrder takes.")
    name: strawberry.auto = strawberry_django.field(description="Its title.")
    summary: strawberry.auto = strawberry_django.field(description="What it is about.")
    price: Money = strawberry.field(resolver=course_price, description="What it costs now.")
    owned: bool = strawberry.field(
        resolver=course_owned, description="Whether it is open to the signed-in user; false without a token."
    )


def key_of(cursor: str) -> int | None:
    return int(cursor) if _PK.fullmatch(cursor) else None


BY_COURSE = Keyset(newest_first=False, cursor_of=lambda course: str(course.pk), key_of=key_of)
CourseId = Annotated[strawberry.ID, strawberry.argument(description="The course's id.")]
Search = Annotated[str | None, strawberry.argument(description="Words in the name or the summary.")]


@strawberry.type
class CoursesQuery:
    @strawberry.field(description="A course on sale; null where there is none.")
    def course(self, info: Info, id: CourseId) -> Course | None:
        visitor(info)
        pk = key_of(id)
        return models.Course.objects.on_sale().filter(pk=pk).first() if pk else None  # type: ignore[return-value]

    @strawberry.field(description="The courses on sale.")
    def courses(
        self, info: Info, first: First = DEFAULT_FIRST, after: After = None, search: Search = None
    ) -> Connection[Course]:
        visitor(info)
        rows = models.Course.objects.on_sale()
        if search:
            if len(search) > MAX_SEARCH or "\x00" in search:
                raise bad_request(f"search takes at most {MAX_SEARCH} characters.")
            rows = rows.matching(search)
        return paginate(rows, BY_COURSE, first=first, after=after)

    @strawberry.field(description="The courses that are open to the signed-in user.")
    def my_courses(self, info: Info, first: First = DEFAULT_FIRST, after: After = None) -> Connection[Course]:
        rows = models.Course.objects.owned_by(buyer(info).pk)
        return paginate(rows, BY_COURSE, first=first, after=after)
