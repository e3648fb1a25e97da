"""Opens and closes access to courses."""

from collections.abc import Mapping
from datetime import datetime

from backend.courses.models import Enrollment


def open_access(*, user_id: int, line_ids: Mapping[int, int], at: datetime) -> set[int]:
    """Open each course of ``line_ids`` (course id → id of the order line that pays for it) to the user.

    Returns the ids of the courses that this opened. A course that is open already stays as it is: the database lets
    one open enrolment stand, whoever comes second. In order of course, so that two payments of one buyer never wait
    for each other in a circle.
    """
    Enrollment.objects.bulk_create(
        [
            Enrollment(user_id=user_id, course_id=course_id, line_id=line_id, opened_at=at)
            for course_id, line_id in sorted(line_ids.items())
        ],
        ignore_conflicts=True,
    )
    opened = Enrollment.objects.open().filter(user_id=user_id, line_id__in=list(line_ids.values()))
    return set(opened.values_list("course_id", flat=True))


def close_access(*, order_id: int, course_ids: list[int] | None, at: datetime) -> int:
    """Close the enrolments that an order's lines opened: all, or those of these courses. Returns how many."""
    rows = Enrollment.objects.open().filter(line__order_id=order_id)
    if course_ids is not None:
        rows = rows.filter(course_id__in=course_ids)
    return Enrollment.objects.filter(pk__in=list(rows.values_list("pk", flat=True)), closed_at=None).update(
        closed_at=at
    )


def owned_course_ids(*, user_id: int, course_ids: list[int]) -> list[int]:
    """Which of these courses are open to the user, in order of id."""
    rows = Enrollment.objects.open().filter(user_id=user_id, course_id__in=course_ids)
    return sorted(rows.values_list("course_id", flat=True))
