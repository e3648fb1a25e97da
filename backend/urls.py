"""Every address of the backend but those of its watchers: backend.monitoring.middleware answers these."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from backend.payments import views as payments
from backend.schema.assembly import schema
from backend.schema.view import CoursepayView, ide
from backend.shopfront import views as shopfront


def no_icon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it unasked, of the pages that name none."""
    return HttpResponse(status=204)


STOREFRONT = (
    "",
    "courses/<id>",
    "cart",
    "sign-in",
    "cashier/<id>",
    "pay/success",
    "orders",
    "orders/<id>",
    "my-courses",
)
"""The storefront's pages (frontend/src/router.ts)."""
OURS = ("graphql", "payments", "order", "healthz", "metrics", "admin", "static", "assets")
"""Below these the storefront has nothing to say, not even that there is nothing."""

urlpatterns = [
    # A token in a header, never a cookie: there is nothing for a foreign page to ride on.
    path("graphql", csrf_exempt(CoursepayView.as_view(schema=schema, graphql_ide=ide()))),
    path("payments/alipay/notify/", payments.alipay_notify),
    path("payments/alipay/return/", payments.alipay_return),
    path("order/success/", payments.order_success),
    path("favicon.ico", no_icon),
    path("admin/", admin.site.urls),
    *(path(address, shopfront.page) for address in STOREFRONT),
    re_path(rf"^(?!(?:{'|'.join(OURS)})(?:/|$)).*$", shopfront.missing),
]
