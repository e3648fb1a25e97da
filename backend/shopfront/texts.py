"""The sentences that the page's script says: here, so that all Chinese is in one place, the message catalogue."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


def texts() -> dict[str, str | Promise]:
    return {**_WORDS, **_STATUSES, **_ENDINGS, **_REFUNDS, **_REFUSALS, **_RESULTS}


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
    "payAgain": _("Pay again"),
    "payBy": _("Pay by {time}"),
    "cancelOrder": _("Cancel order"),
    "cancelWhich": _("Order {number}, ¥{amount}"),
    "cancelDone": _("Order {number} is cancelled. Its courses can be ordered again."),
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

# How an order stands that is not simply paid or waiting for its money.
_ENDINGS: dict[str, str | Promise] = {
    "attemptOver": _("That attempt to pay has ended. Pay again, or cancel the order."),
    "timeOver": _("The time to pay is over. The order ends by itself soon; cancel it to free its courses at once."),
    "CANCELLEDMore": _("You cancelled this order. No money has come for it."),
    "CANCELLEDPaid": _("You cancelled this order. Money that came all the same is given back."),
    "endedTrouble": _("Money came for this order after it had ended, and giving it back failed. We look after it."),
    "TIMED_OUTMore": _("It was not paid in time. You can order the courses again."),
    "TIMED_OUTPaid": _("The money came too late and is given back. You can order the courses again."),
}

# Named by OrderRefundState and RefundStatus.
_REFUNDS: dict[str, str | Promise] = {
    "refundPARTIAL": _("Partly refunded"),
    "refundFULL": _("Refunded"),
    "refundedSum": _("¥{amount} refunded"),
    "refundPENDING": _("Refund of ¥{amount} on its way"),
    "refundSUCCEEDED": _("Refund of ¥{amount} done"),
    "refundFAILED": _("Refund of ¥{amount} failed"),
}

_REFUSALS: dict[str, str | Promise] = {
    "InvalidCredentials": _("The user name or the password is wrong."),
    "RateLimited": _("Too many tries. Please wait {seconds} seconds and try again."),
    "PriceChanged": _("The price has changed: it is ¥{actual} now, not ¥{expected}. Please look again before you buy."),
    "OpenOrderExists": _("Order {number} is still waiting to be paid and holds one of these courses."),
    "OpenOrderPay": _("Pay that order"),
    "OpenOrderEnding": _(
        "Order {number} still holds one of these courses. It ends by itself soon; cancel it to free them at once."
    ),
    "AlreadyOwned": _("Already yours, and taken out of the basket: {names}."),
    "AlreadyOwnedOrder": _("You own a course of this order already. Cancel the order, and order the others again."),
    "CoursesUnavailable": _("No longer on sale, and taken out of the basket: {names}."),
    "InvalidInput": _("Something in this request is not as it must be ({field}). Reload the page and try again."),
    "IdempotencyKeyReused": _("The basket changed while it was being ordered. Please press the button again."),
    "OrderNotFound": _("There is no such order in your account."),
    "OrderNotPayable": _("This order can no longer be paid."),
    "OrderNotCancellable": _("Only an unpaid order can be cancelled. This one: {status}."),
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
    "resultEndedMore": _("No money has come for it. You can order the courses again."),
    "resultEndedPaid": _("Money that was received for it is given back."),
    "resultRefunded": _("This order was refunded"),
    "resultRefundedMore": _("The money went back the way it came. Courses that this order opened are closed."),
    "resultUnknown": _("No order to show"),
    "resultUnknownMore": _("Open your orders to see where they stand."),
    "resultUnsigned": _(
        "This address was not signed by Alipay, so it proves nothing. Below is what we know ourselves."
    ),
}
