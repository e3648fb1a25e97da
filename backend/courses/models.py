"""What is sold, and who may take part in it."""

from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from backend.money import MAX_FEN, format_yuan


class CourseQuerySet(models.QuerySet["Course"]):
    def on_sale(self) -> Self:
        return self.filter(on_sale=True)

    def matching(self, words: str) -> Self:
        """Courses with each of these words in the name or the summary."""
        rows = self
        for word in words.split():
            rows = rows.filter(models.Q(name__icontains=word) | models.Q(summary__icontains=word))
        return rows

    def owned_by(self, user_id: int) -> Self:
        return self.filter(pk__in=Enrollment.objects.open().filter(user_id=user_id).values("course_id"))


class Course(models.Model):
    """A course as the catalogue shows it now; an order keeps its own copy of name and price."""

    name = models.CharField(_("name"), max_length=120)
    summary = models.TextField(_("summary"), max_length=2000, blank=True)
    price_fen = models.BigIntegerField(
        _("price (fen)"),
        validators=[MinValueValidator(0), MaxValueValidator(MAX_FEN)],
        help_text=_("In fen: 11700 is 117.00 yuan. 0 is free."),
    )
    on_sale = models.BooleanField(_("on sale"), default=True)

    objects = CourseQuerySet.as_manager()

    class Meta:
        verbose_name = _("course")
        verbose_name_plural = _("courses")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(price_fen__gte=0, price_fen__lte=MAX_FEN), name="course_price_in_range"
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="course_has_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (¥{format_yuan(self.price_fen)})"


class EnrollmentQuerySet(models.QuerySet["Enrollment"]):
    def open(self) -> Self:
        return self.filter(closed_at=None)


class Enrollment(models.Model):
    """A user's access to a course. Open until ``closed_at``; at most one is open for a user and a course."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="enrollments", verbose_name=_("user")
    )
    course = models.ForeignKey(Course, models.PROTECT, related_name="enrollments", verbose_name=_("course"))
    # By name: courses know no orders in Python, yet the row must say which purchase opened it. Its index is that of
    # one_enrollment_per_order_line.
    line = models.ForeignKey(
        "orders.OrderLine",
        models.PROTECT,
        db_index=False,
        null=True,
        blank=True,
        related_name="enrollments",
        verbose_name=_("order line"),
        help_text=_("The order line that opened it; empty when the operator did."),
    )
    opened_at = models.DateTimeField(_("opened at"), default=timezone.now)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    objects = EnrollmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("enrollment")
        verbose_name_plural = _("enrollments")
        indexes = [models.Index(fields=["opened_at"], name="enrollment_by_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "course"], condition=models.Q(closed_at=None), name="one_open_enrollment"
            ),
            models.UniqueConstraint(fields=["line"], name="one_enrollment_per_order_line"),
            models.CheckConstraint(
                condition=models.Q(closed_at=None) | models.Q(closed_at__gte=models.F("opened_at")),
                name="enrollment_closes_after_it_opens",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.course_id}"
