"""The REST edge: what Alipay posts and what the browser brings back. GraphQL can take neither."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from backend.limits.quotas import RETURNS
from backend.limits.throttle import allows, client_address
from backend.payments.notifications import receive_notification
from backend.payments.providers.base import MessageRefused
from backend.payments.returns import confirm_return

PROVIDER = "alipay"
MOST_READ = 64 * 1024
"""Bytes of a notify that are read at all: four times what is taken."""
LONGEST_TOLD = 2**31 - 1
"""What a sender says of the length is kept as it says, within what the column holds."""


@csrf_exempt
@require_POST
def alipay_notify(request: HttpRequest) -> HttpResponse:
    """Alipay's asynchronous notify. The body of the answer is exactly ``success`` or ``fail``.

    A failure of our own store is left to raise: it becomes a 500, and Alipay comes again.
    """
    try:
        body = request.read(MOST_READ)
    except UnreadablePostError:
        return plain("fail")
    length = request.META.get("CONTENT_LENGTH") or ""
    taken = receive_notification(
        provider=PROVIDER,
        body=body,
        headers=request.headers,
        sender=client_address(request),
        length=min(int(length), LONGEST_TOLD) if length.isdecimal() and len(length) < 20 else None,
    )
    return plain("success" if taken else "fail")


@never_cache
@require_GET
def alipay_return(request: HttpRequest) -> JsonResponse:
    """What the success page forwards of ``location.search``; the answer is for display."""
    # Who comes too often is answered from our own rows: Alipay is not asked for them.
    ask = allows(RETURNS, client_address(request))
    try:
        returned = confirm_return(provider=PROVIDER, query=request.META.get("QUERY_STRING", ""), ask=ask)
    except MessageRefused as refusal:
        number = refusal.fields.get("out_trade_no")
        return JsonResponse({"outTradeNo": number, "verified": False, "paid": False, "status": None})
    return JsonResponse(
        {
            "outTradeNo": returned.claim.out_trade_no,
            "verified": True,
            "paid": returned.is_paid,
            "status": returned.order.status if returned.order else None,
        }
    )


@csrf_exempt
@require_http_methods(["GET", "POST"])
def order_success(request: HttpRequest) -> HttpResponse:
    """The tutorial's one address for both: POST is the notify, GET the return."""
    return alipay_notify(request) if request.method == "POST" else alipay_return(request)


def plain(text: str) -> HttpResponse:
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
