"""Opens and closes access to courses."""

from collections.abc import Mapping
from datetime import datetime

from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Greatest

from backend.courses.models import Enrollment
from backend.prepared import Argument, PreparedIn
from backend.stored import insert_new

_OPEN_TO = PreparedIn(
    lambda ids: Enrollment.objects.open().filter(user_id=Argument("user_id"), course_id__in=ids).order_by("course_id")
)


def open_access(*, user_id: int, line_ids: Mapping[int, int], at: datetime) -> set[int]:
    """Open each course of ``line_ids`` (course id → id of the order line that pays for it) to the user.

    Returns the ids of the courses that this opened. A course that is open already stays as it is: the database lets
    one open enrolment stand, whoever comes second. In order of course, so that two payments of one buyer never wait
    for each other in a circle.
    """
    rows = [
        Enrollment(user_id=user_id, course_id=course_id, line_id=line_id, opened_at=at)
        for course_id, line_id in sorted(line_ids.items())
    ]
    return set(insert_new(rows, returning="course"))


def close_access(*, order_id: int, course_ids: list[int] | None, at: datetime) -> list[int]:
    """Close the enrolments that an order's lines opened: all, or those of these courses. Returns their courses' ids."""
    rows = Enrollment.objects.open().filter(line__order_id=order_id)
    if course_ids is not None:
        rows = rows.filter(course_id__in=course_ids)
    found = dict(rows.values_list("pk", "course_id"))
    # Never before it was opened: two machines' clocks differ, and money that went back must close the course.
    closed_at = Greatest(Value(at, output_field=DateTimeField()), F("opened_at"))
    Enrollment.objects.filter(pk__in=found, closed_at=None).update(closed_at=closed_at)
    return list(found.values())


def owned_course_ids(*, user_id: int, course_ids: list[int]) -> list[int]:
    """Which of these courses are open to the user, in order of id."""
    rows = _OPEN_TO.all(course_ids, user_id=user_id)
    return [row.course_id for row in rows]
