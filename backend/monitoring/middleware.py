"""The outermost middleware: answers who watches the shop, and times everybody else's requests.

A load balancer and Prometheus ask by address and over plain http. They are answered here, before the host name and the
scheme are looked at; none of the three answers uses either.
"""

import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from backend.monitoring.meters import REQUESTS
from backend.monitoring.views import live, metrics, ready

WATCHERS: dict[str, Callable[[HttpRequest], HttpResponseBase]] = {
    "/healthz/live": live,
    "/healthz/ready": ready,
    "/metrics": metrics,
}
ROUTES = {
    "/graphql": "graphql",
    "/graphql/stream": "stream",
    "/payments/alipay/notify/": "notify",
    "/payments/alipay/return/": "return",
}
BOTH = "/order/success/"
"""The tutorial's one address: posted to it is a notify, asked of it a return."""


class Monitoring:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.children: dict[tuple[str, int], Any] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if watched := WATCHERS.get(request.path_info):
            return watched(request)
        began = time.perf_counter()
        response = self.get_response(request)
        self.child(route_of(request), response.status_code // 100).observe(time.perf_counter() - began)
        return response

    def child(self, route: str, hundreds: int) -> Any:
        """The meter of these labels, looked up once: finding it costs more than counting."""
        try:
            return self.children[route, hundreds]
        except KeyError:
            meter = self.children[route, hundreds] = REQUESTS.labels(route, f"{hundreds}xx")
            return meter


def route_of(request: HttpRequest) -> str:
    """One of a few words, whatever the path."""
    path = request.path_info
    if route := ROUTES.get(path):
        return route
    if path == BOTH:
        return "notify" if request.method == "POST" else "return"
    if path.startswith("/admin/"):
        return "admin"
    return "static" if path.startswith("/static/") else "pages"
