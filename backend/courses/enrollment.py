"""Opens access to courses."""

from collections.abc import Mapping
from datetime import datetime

from backend.courses.models import Enrollment


def open_access(*, user_id: int, line_ids: Mapping[int, int], at: datetime) -> None:
    """Open each course of ``line_ids`` (course id → id of the order line that pays for it) to the user.

    A course that is open already stays as it is: the database lets one open enrolment stand, whoever comes second. In
    order of course, so that two payments of one buyer never wait for each other in a circle.
    """
    Enrollment.objects.bulk_create(
        [
            Enrollment(user_id=user_id, course_id=course_id, line_id=line_id, opened_at=at)
            for course_id, line_id in sorted(line_ids.items())
        ],
        ignore_conflicts=True,
    )


def owned_course_ids(*, user_id: int, course_ids: list[int]) -> list[int]:
    """Which of these courses are open to the user, in order of id."""
    rows = Enrollment.objects.open().filter(user_id=user_id, course_id__in=course_ids)
    return sorted(rows.values_list("course_id", flat=True))
