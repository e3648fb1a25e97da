"""What a load balancer and Prometheus ask. Strangers learn nothing but names and yes or no."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from backend.accounts.tokens import InvalidToken, user_of
from backend.limits.throttle import peer_address
from backend.monitoring.readiness import readiness
from backend.monitoring.scrape import registry


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The process is up and answers; what it stands on is another question."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Whether requests should be sent to this process: 200, or 503 and which check says no."""
    found = readiness()
    is_ready = all(finding.state != "failed" for finding in found)
    body = {"ready": is_ready, "checks": {finding.name: finding.state for finding in found}}
    return JsonResponse(body, status=200 if is_ready else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """In Prometheus' text format, for METRICS_ALLOW's addresses and for staff with a token."""
    if not (is_allowed_address(request) or is_staff(request)):
        return HttpResponse("Not from this address.\n", content_type="text/plain", status=403)
    return HttpResponse(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)


def is_allowed_address(request: HttpRequest) -> bool:
    """Not what came through a proxy that is not ours: its address would stand for everybody behind it."""
    if "HTTP_X_FORWARDED_FOR" in request.META and request.META.get("REMOTE_ADDR") not in settings.TRUSTED_PROXIES:
        return False
    address = peer_address(request)
    return address is not None and any(address in network for network in settings.METRICS_ALLOW)


def is_staff(request: HttpRequest) -> bool:
    try:
        user, _ = user_of(request.META.get("HTTP_AUTHORIZATION", ""))
    except InvalidToken:
        return False
    return user.is_staff
