"""The tutorial's addresses, and the one that tells that the server is up."""

from django.http import HttpResponse
from django.urls import path

from bench.tutorial import views

urlpatterns = [
    path("healthz/live", lambda request: HttpResponse("ok")),
    path("order/pay/", views.PayView.as_view()),
    path("order/success/", views.SuccessView.as_view()),
    path("order/<str:out_trade_no>/", views.OrderView.as_view()),
    path("order/<str:out_trade_no>/status/", views.StatusView.as_view()),
]
