"""The tutorial's endpoints: create, status, minimal status, and Alipay's notify."""

import logging
from typing import Any

import jwt
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.tutorial.models import Order, User
from bench.tutorial.pay import alipay
from bench.tutorial.serializers import OrderSerializer, StatusSerializer

logger = logging.getLogger("django")


class TokenAuthentication(BaseAuthentication):
    """A JWT in the header, and its user by one query: as djangorestframework-jwt does it."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        word, _, token = get_authorization_header(request).decode().partition(" ")
        if word.lower() != "jwt":
            return None
        try:
            claims: dict[str, Any] = jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])
            user = User.objects.get_by_natural_key(claims["username"])
        except (jwt.PyJWTError, User.DoesNotExist) as error:
            raise AuthenticationFailed("非法用户") from error
        if not user.is_active:
            raise AuthenticationFailed("非法用户")
        return user, token


class SignedIn(APIView):
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated,)


class PayView(SignedIn):
    """Places an order and answers with the URL to pay at."""

    def post(self, request: Request) -> Response:
        serializer = OrderSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        order = serializer.save()
        return Response({"out_trade_no": order.out_trade_no, "pay_url": serializer.context["pay_url"]})


class OrderView(SignedIn):
    def get(self, request: Request, out_trade_no: str) -> Response:
        orders = Order.objects.filter(user=request.user).prefetch_related("order_courses__course")
        return Response(StatusSerializer(get_object_or_404(orders, out_trade_no=out_trade_no)).data)


class StatusView(SignedIn):
    def get(self, request: Request, out_trade_no: str) -> Response:
        order = get_object_or_404(Order, out_trade_no=out_trade_no, user=request.user)
        return Response({"order_status": order.order_status})


class SuccessView(APIView):
    """Alipay's notify."""

    def post(self, request: Request) -> HttpResponse:
        data = request.data.dict()
        out_trade_no = data["out_trade_no"]
        signature = data.pop("sign")
        if not alipay.verify(data, signature) or data["trade_status"] not in ("TRADE_SUCCESS", "TRADE_FINISHED"):
            logger.error("%s支付失败", out_trade_no)
            return HttpResponse("fail")
        paid = {"order_status": 1, "trade_no": data["trade_no"], "pay_time": data["gmt_payment"]}
        Order.objects.filter(out_trade_no=out_trade_no).update(**paid)
        logger.info("%s支付成功", out_trade_no)
        return HttpResponse("success")
