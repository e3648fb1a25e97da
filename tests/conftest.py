"""Fixtures of the whole suite."""

import os

import pytest

from tests.canaries import Watch, planted
from tests.shop import AlipaySide, Shopper

SEEN = pytest.StashKey[set[str]]()
"""The canaries that sang, in this process or in a worker of it (pytest-xdist)."""

CI = os.environ.get("CI") == "true"


def pytest_configure(config):
    config.stash[SEEN] = set()


def pytest_collection_modifyitems(config, items):
    """What is about the other database is left out, and is no test that did not run."""
    from tests.settings import ON_POSTGRES

    other = "sqlite" if ON_POSTGRES else "postgres"
    if out := [item for item in items if item.get_closest_marker(other)]:
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=out)


@pytest.fixture
def courses(db):
    """Three on sale, at 117.00, 39.00 and 0.01, and one that is not."""
    from backend.courses.models import Course

    rows = [
        Course(name="Python 全栈开发", price_fen=11700),
        Course(name="Vue 3 实战", price_fen=3900),
        Course(name="Linux 入门", price_fen=1),
        Course(name="Flash 动画", price_fen=100, on_sale=False),
    ]
    return [Course.objects.create(**{f: getattr(c, f) for f in ("name", "price_fen", "on_sale")}) for c in rows]


@pytest.fixture
def user(db):
    from backend.accounts.models import User

    return User.objects.create_user("li", password="correct horse")


@pytest.fixture
def buyer(user):
    return Shopper.signed_in(user)


@pytest.fixture
def stranger(db):
    from backend.accounts.models import User

    return Shopper.signed_in(User.objects.create_user("wang", password="battery staple"))


@pytest.fixture
def staff(db):
    from backend.accounts.models import User

    return Shopper.signed_in(User.objects.create_user("zhao", password="paper clip", is_staff=True))


@pytest.fixture
def anonymous(db):
    return Shopper()


@pytest.fixture
def alipay():
    return AlipaySide()


@pytest.fixture
def order(buyer, courses):
    """An unpaid order of the buyer for the first two courses, 156.00."""
    from backend.orders.models import Order

    answer = buyer.create_order(courses[:2])
    return Order.objects.get(number=answer["order"]["id"])


@pytest.fixture
def payment(order):
    return order.payments.get()


@pytest.fixture(autouse=True)
def fresh_provider(settings):
    """The registry keeps providers for the life of a process; a test that changes settings gets one of its own."""
    from backend.payments.registry import get_provider

    get_provider.cache_clear()
    yield
    get_provider.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def canary_watch(request):
    """No secret of the run in any log line or answer; what sang fails the run at its end."""
    watch = Watch(planted(), request.config.stash[SEEN])
    with watch.watching():
        yield watch


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """What a worker's watch has seen counts as seen here. A worker that died is a failure already."""
    node.config.stash[SEEN].update(getattr(node, "workeroutput", {}).get("seen", ()))


def pytest_terminal_summary(terminalreporter):
    if seen := terminalreporter.config.stash[SEEN]:
        terminalreporter.section("secrets were seen")
        for what in sorted(seen):
            terminalreporter.line(what)
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("not run here")
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr[2] if report.longrepr else ''}")


def pytest_sessionfinish(session, exitstatus):
    """In CI everything is there, so a test that did not run is a failure. So is a secret that was seen, anywhere."""
    seen = session.config.stash[SEEN]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["seen"] = sorted(seen)
    if seen:
        session.exitstatus = 1
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if CI and reporter and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = 1
