"""The tutorial's tables."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    telephone = models.CharField(max_length=11, blank=True)


class Course(models.Model):
    name = models.CharField(max_length=128)
    brief = models.TextField(max_length=2048, blank=True)
    price = models.DecimalField(max_digits=7, decimal_places=2)
    is_show = models.BooleanField(default=True)
    students = models.IntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    STATUSES: ClassVar = [(0, "未支付"), (1, "已支付"), (2, "已取消"), (3, "超时取消")]

    subject = models.CharField(max_length=150)
    total_amount = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    out_trade_no = models.CharField(max_length=64, unique=True)
    trade_no = models.CharField(max_length=64, null=True)  # noqa: DJ001 - as the tutorial has it
    order_status = models.SmallIntegerField(choices=STATUSES, default=0)
    pay_type = models.SmallIntegerField(choices=[(1, "支付宝"), (2, "微信支付")], default=1)
    pay_time = models.DateTimeField(null=True)
    user = models.ForeignKey(User, related_name="order_user", on_delete=models.DO_NOTHING, db_constraint=False)
    created_time = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.subject} - ¥{self.total_amount}"


class OrderDetail(models.Model):
    order = models.ForeignKey(Order, related_name="order_courses", on_delete=models.CASCADE, db_constraint=False)
    course = models.ForeignKey(Course, related_name="course_orders", on_delete=models.CASCADE, db_constraint=False)
    price = models.DecimalField(max_digits=6, decimal_places=2)
    real_price = models.DecimalField(max_digits=6, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.course_id} of {self.order_id}"
