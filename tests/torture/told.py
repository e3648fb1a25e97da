"""Histories of one order, told by hand, legal and wrong, and such as chance makes."""

from torture.linear import MODEL, NOTHING, Created, Operation

NEW, AGAIN = Created("1", "UNPAID", replayed=False), Created("1", "UNPAID", replayed=True)
CANCELLED, REFUSED = "CancelOrderSuccess", "OrderNotCancellable"
CREATE = ("create", 0, 1, NEW)
PAY, HEAR = ("pay", 10, 11, "paid"), ("hear", 10)
PAID = (CREATE, PAY, HEAR, ("read", 20, 21, "PAID"))
"""Created, paid at Alipay, and seen to be paid. Each is: what, when it was called and answered, and the answer."""
EXPIRES = ("expire", 30)


def history(*told):
    return [Operation(*one) for one in told]


LEGAL = {
    "a purchase": (*PAID, ("notify", 10, 30, "success"), ("courses", 22, 23, "all")),
    "nothing but a question without an answer": (("create", 0),),
    "a poll while the notify is on its way": (CREATE, PAY, ("notify", 12, 20, "success"), ("read", 19, 25, "UNPAID")),
    "a poll that comes back late": (*PAID, ("read", 5, 40, "UNPAID")),
    "a repeat is told of the order as it is": (*PAID, ("create", 22, 23, Created("1", "PAID", replayed=True))),
    "two clicks at once, the second is first": (("create", 0, 9, AGAIN), ("create", 5, 8, NEW)),
    "a creation without an answer took effect": (("create", 0), ("create", 5, 6, AGAIN)),
    "a creation without an answer has any number": (
        ("create", 0), ("create", 5, 6, Created("2", "UNPAID", replayed=True))
    ),
    "a creation without an answer took none": (("create", 0), ("create", 5, 6, NEW)),
    "a creation without an answer comes second": (("create", 0), ("create", 5, 6, NEW), ("create", 7, 8, AGAIN)),
    "a cancel": (CREATE, ("cancel", 5, 6, CANCELLED), ("read", 7, 8, "CANCELLED"), ("courses", 7, 8, "none")),
    "a poll beside a cancel": (CREATE, ("cancel", 5, 9, CANCELLED), ("read", 7, 12, "UNPAID")),
    "a cancel without an answer took effect": (CREATE, ("cancel", 5), ("cancel", 7, 8, REFUSED)),
    "a cancel without an answer takes effect late": (
        CREATE, ("cancel", 5), ("read", 6, 7, "UNPAID"), ("read", 8, 9, "CANCELLED")
    ),
    "a cancel that came too late": (*PAID, ("cancel", 22, 23, REFUSED)),
    "a cancel beside the money": (CREATE, PAY, HEAR, ("cancel", 9, 20, REFUSED), ("read", 15, 16, "UNPAID")),
    "money for a cancelled order goes back": (
        CREATE, ("cancel", 5, 6, CANCELLED), PAY, ("notify", 12, 13, "success"), ("read", 14, 15, "CANCELLED")
    ),
    "a payment without an answer": (CREATE, ("pay", 10), ("notify", 10, 15, "success"), ("read", 16, 17, "PAID")),
    "its time is over": (CREATE, EXPIRES, ("read", 29, 31, "UNPAID"), ("read", 32, 33, "TIMED_OUT")),
    "late money is honoured": (
        CREATE, EXPIRES, ("read", 32, 33, "TIMED_OUT"), ("pay", 40, 41, "paid"), ("hear", 40), ("read", 45, 46, "PAID")
    ),
    "late money goes back": (
        CREATE, EXPIRES, ("read", 32, 33, "TIMED_OUT"), ("pay", 40, 41, "paid"), ("notify", 40, 42, "success"),
        ("read", 45, 46, "TIMED_OUT"),
    ),
    "a part goes back": (*PAID, ("refund part", 25, 26, False), ("courses", 27, 28, "all")),
    "all goes back": (
        *PAID, ("refund all", 25), ("refund all", 27, 28, True), ("courses", 30, 31, "all"),
        ("courses", 32, 33, "none"), ("read", 34, 35, "PAID"), ("courses", 36, 37, "none"),
    ),
}  # fmt: skip
WRONG = {
    "a poll goes back": (*PAID, ("read", 22, 23, "UNPAID")),
    "a poll goes back to another window": (*PAID, ("read", 21.5, 40, "UNPAID")),
    "no order, and it is read": (("read", 0, 1, "UNPAID"),),
    "a cancel that is not kept": (CREATE, ("cancel", 5, 6, CANCELLED), ("read", 7, 8, "UNPAID")),
    "paid before the buyer paid": (CREATE, ("read", 5, 6, "PAID"), PAY, HEAR),
    "paid, and nobody paid": (CREATE, ("hear", 5), ("read", 20, 21, "PAID")),
    "a notify, and nobody paid": (CREATE, ("notify", 5, 6, "success")),
    "unpaid after Alipay was told success": (CREATE, PAY, ("notify", 12, 13, "success"), ("read", 14, 15, "UNPAID")),
    "paid without an order": (PAY,),
    "one key, two orders": (CREATE, ("create", 5, 6, Created("2", "UNPAID", replayed=False))),
    "one key, another order's number": (CREATE, ("create", 5, 6, Created("2", "UNPAID", replayed=True))),
    "one key, two orders at once": (("create", 0, 9, NEW), ("create", 0, 9, Created("2", "UNPAID", replayed=False))),
    "the same order is new twice": (CREATE, ("create", 5, 6, NEW)),
    "two numbers after a creation without an answer": (
        ("create", 0), ("create", 5, 6, AGAIN), ("create", 7, 8, Created("2", "UNPAID", replayed=True))
    ),
    "a repeat of nothing": (("create", 0, 1, AGAIN),),
    "a repeat of what was asked for later": (("create", 0, 1, AGAIN), ("create", 5)),
    "new, and paid already": (("create", 0, 1, Created("1", "PAID", replayed=False)),),
    "a repeat is told of the order as it was": (*PAID, ("create", 22, 23, AGAIN)),
    "no answer to createOrder": (("create", 0, 1, "OpenOrderExists"),),
    "no answer to createOrder's repeat": (CREATE, ("create", 5, 6, "OpenOrderExists")),
    "cancelled twice": (CREATE, ("cancel", 5, 6, CANCELLED), ("cancel", 7, 8, CANCELLED)),
    "cancelled before there was an order": (("cancel", 0, 1, REFUSED),),
    "refused to cancel what is unpaid": (CREATE, ("cancel", 5, 6, REFUSED)),
    "cancelled what is paid": (*PAID, ("cancel", 22, 23, CANCELLED)),
    "cancelled before anybody asked": (CREATE, ("read", 2, 3, "CANCELLED"), ("cancel", 5)),
    "money opens a cancelled order": (CREATE, ("cancel", 5, 6, CANCELLED), PAY, HEAR, ("read", 20, 21, "PAID")),
    "over before its time": (CREATE, ("read", 20, 21, "TIMED_OUT"), EXPIRES),
    "over, and it is paid": (*PAID, EXPIRES, ("read", 32, 33, "TIMED_OUT")),
    "over, and Alipay has the money": (CREATE, PAY, EXPIRES, ("read", 32, 33, "TIMED_OUT")),
    "over, and unpaid again": (CREATE, EXPIRES, ("read", 32, 33, "TIMED_OUT"), ("read", 34, 35, "UNPAID")),
    "over, and a cancel": (CREATE, EXPIRES, ("read", 32, 33, "TIMED_OUT"), ("cancel", 34, 35, CANCELLED)),
    "over, and it was cancelled": (CREATE, ("cancel", 5, 6, CANCELLED), EXPIRES, ("read", 32, 33, "TIMED_OUT")),
    "open before it is paid": (CREATE, ("courses", 5, 6, "all")),
    "paid, and nothing is open": (*PAID, ("courses", 22, 23, "none")),
    "a course of three is open before it is paid": (CREATE, ("courses", 5, 6, "1 of 3")),
    "a course of three": (*PAID, ("courses", 22, 23, "1 of 3")),
    "given back before it was paid": (CREATE, ("refund all", 5, 6, False)),
    "given back twice": (*PAID, ("refund all", 25, 26, False), ("refund all", 27, 28, False)),
    "given back again, for the first time": (*PAID, ("refund part", 25, 26, True)),
    "a part goes back, and all is shut": (*PAID, ("refund part", 25, 26, False), ("courses", 27, 28, "none")),
    "open again": (
        *PAID, ("refund all", 25, 26, False), ("courses", 27, 28, "none"), ("courses", 29, 30, "all")
    ),
}  # fmt: skip


def some_history(chance, size, wrong=0.15):
    """Answers of an order that is asked one thing after the other, at moments that overlap; some of it is changed."""
    state, found = NOTHING, []
    for moment in range(size):
        kind, answer = chance.choice(ASKED)
        if after := MODEL[kind](state, answer):
            state = chance.choice(after)
        elif chance.random() >= wrong:
            continue
        ends = [] if chance.random() < 0.2 else [moment + chance.uniform(0, 3), answer]
        found.append(Operation(kind, moment - chance.uniform(0, 3), *ends))
    return found


ASKED = [
    ("create", NEW), ("create", NEW), ("create", AGAIN), ("cancel", CANCELLED), ("cancel", REFUSED), ("pay", "paid"),
    ("hear", "success"), ("read", "UNPAID"), ("read", "PAID"), ("read", "CANCELLED"), ("read", "TIMED_OUT"),
    ("expire", ""), ("refund all", False), ("refund all", True), ("courses", "all"), ("courses", "none"),
]  # fmt: skip
READS = ("read", "courses")
