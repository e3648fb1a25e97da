"""The sentences that the page's script says: here, so that all Chinese is in one place, the message catalogue."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


def texts() -> dict[str, str | Promise]:
    return {**_WORDS, **_STATUSES, **_REFUSALS, **_RESULTS}


_WORDS: dict[str, str | Promise] = {
    "inBasket": _("In the basket"),
    "addToBasket": _("Add to basket"),
    "owned": _("Yours"),
    "basketCount": _("{count} courses"),
    "remove": _("Remove"),
    "removeNamed": _("Remove “{name}” from the basket"),
    "countCourses": _("Courses: {count}"),
    "noCourses": _("No course matches your search."),
    "noOrders": _("You have no orders yet."),
    "noMine": _("You have no courses yet. What you buy appears here."),
    "signedIn": _("Welcome, {name}."),
    "signedOut": _("You are signed out."),
    "payNow": _("Pay now"),
    "payBy": _("Pay by {time}"),
    "paidAt": _("Paid on {time}"),
    "learning": _("“{name}” is open to you. The classroom itself is not part of this demonstration."),
    "toCashier": _("Taking you to the cashier…"),
    "freeDone": _("Done: nothing to pay. Your courses are open."),
    "basketFull": _("An order takes at most 50 courses."),
}

_STATUSES: dict[str, str | Promise] = {
    "UNPAID": _("Unpaid"),
    "PAID": _("Paid"),
    "CANCELLED": _("Cancelled"),
    "TIMED_OUT": _("Timed out"),
}

_REFUSALS: dict[str, str | Promise] = {
    "InvalidCredentials": _("The user name or the password is wrong."),
    "RateLimited": _("Too many tries. Please wait {seconds} seconds and try again."),
    "PriceChanged": _("The price has changed: it is ¥{actual} now, not ¥{expected}. Please look again before you buy."),
    "OpenOrderExists": _("Order {number} is still waiting to be paid and holds one of these courses."),
    "OpenOrderPay": _("Pay that order"),
    "OpenOrderEnding": _("Order {number} still holds one of these courses and is about to end. Try again shortly."),
    "AlreadyOwned": _("Already yours, and taken out of the basket: {names}."),
    "CoursesUnavailable": _("No longer on sale, and taken out of the basket: {names}."),
    "InvalidInput": _("Something in this request is not as it must be ({field}). Reload the page and try again."),
    "IdempotencyKeyReused": _("The basket changed while it was being ordered. Please press the button again."),
    "OrderNotFound": _("There is no such order in your account."),
    "OrderNotPayable": _("This order can no longer be paid."),
    "UNAUTHENTICATED": _("Your sign-in has ended. Please sign in again; your basket is kept."),
    "RATE_LIMITED": _("Too many requests. Please wait a moment."),
    "OFFLINE": _("No connection. Press again when you are back: you will not be charged twice."),
    "FAILED": _("Something went wrong on our side. Please try again."),
}

_RESULTS: dict[str, str | Promise] = {
    "resultLooking": _("Looking up your payment…"),
    "resultWaiting": _("Waiting for the payment"),
    "resultWaitingMore": _("This page changes by itself as soon as the payment is confirmed. You need not reload it."),
    "resultPaid": _("Payment received"),
    "resultPaidMore": _("Thank you. Your courses are open."),
    "resultPaidAnonymous": _("Thank you. Sign in to see the order and your courses."),
    "resultWaitingAnonymous": _("Not confirmed yet. Sign in to see the order."),
    "resultCancelled": _("This order was cancelled"),
    "resultTimedOut": _("This order timed out"),
    "resultEndedMore": _("Nothing was paid. You can order the courses again."),
    "resultEndedPaid": _("Money that was received for it is given back."),
    "resultUnknown": _("No order to show"),
    "resultUnknownMore": _("Open your orders to see where they stand."),
    "resultUnsigned": _(
        "This address was not signed by Alipay, so it proves nothing. Below is what we know ourselves."
    ),
}
