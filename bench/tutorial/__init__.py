"""The tutorial's way of doing it: Django REST framework and python-alipay-sdk as it comes. Measured beside ours.

A small project of its own, written after the course-shop tutorials from which most such shops in China grew. It does
what they do and no worse: the same server, the same pool of connections, DEBUG off, the lines of an order prefetched,
``success`` as the plain text that Alipay wants. What they leave out (idempotency, locks, an inbox, enrolments, what is
told to other systems) it leaves out too, which makes it cheaper.
"""
