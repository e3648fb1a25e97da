"""The order's serializer, which checks, prices and stores it, and those that show it."""

import uuid
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from rest_framework import serializers

from bench.tutorial.models import Course, Order, OrderDetail
from bench.tutorial.pay import alipay


class OrderSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    """What is bought. ``PrimaryKeyRelatedField`` asks for each course on its own."""

    courses = serializers.PrimaryKeyRelatedField(queryset=Course.objects.all(), write_only=True, many=True)

    class Meta:
        model = Order
        fields: ClassVar = ("total_amount", "subject", "pay_type", "courses")
        extra_kwargs: ClassVar = {"total_amount": {"required": True}, "pay_type": {"required": True}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        total = self._check_price(attrs)
        attrs["out_trade_no"] = str(uuid.uuid4()).replace("-", "")
        attrs["user"] = self.context["request"].user
        self.context["pay_url"] = self._pay_url(attrs["out_trade_no"], total, attrs["subject"])
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Order:
        courses = validated_data.pop("courses")
        order = Order.objects.create(**validated_data)
        for course in courses:
            OrderDetail.objects.create(order=order, course=course, price=course.price, real_price=course.price)
        return order

    def _check_price(self, attrs: dict[str, Any]) -> Decimal:
        total: Decimal = attrs["total_amount"]
        if sum(course.price for course in attrs["courses"]) != total:
            raise serializers.ValidationError("价格不合法")
        return total

    def _pay_url(self, out_trade_no: str, total: Decimal, subject: str) -> str:
        order_string = alipay.api_alipay_trade_page_pay(
            out_trade_no=out_trade_no,
            total_amount=float(total),
            subject=subject,
            return_url=settings.RETURN_URL,
            notify_url=settings.NOTIFY_URL,
        )
        return f"{settings.GATEWAY}?{order_string}"


class CourseSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    class Meta:
        model = Course
        fields: ClassVar = ("id", "name")


class DetailSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    course = CourseSerializer()

    class Meta:
        model = OrderDetail
        fields: ClassVar = ("price", "real_price", "course")


class StatusSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    order_courses = DetailSerializer(many=True)

    class Meta:
        model = Order
        fields: ClassVar = ("id", "out_trade_no", "order_status", "total_amount", "pay_time", "order_courses")
