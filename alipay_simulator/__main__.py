"""`python -m alipay_simulator`: the command line."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from .app import create_app
from .config import TRIGGERS, Config
from .keys import PUBLIC_NAME, load_or_make_keys


def parser() -> argparse.ArgumentParser:
    """The options; their defaults are Config's."""
    options = argparse.ArgumentParser(
        prog="python -m alipay_simulator",
        description="A stand-in for Alipay: gateway, cashier, notifies and a console, with its own keys and book.",
    )
    default = Config()
    add = options.add_argument
    add("--init", action="store_true", help="make the key pair and exit")
    add("--host", default=default.host)
    add("--port", type=int, default=default.port)
    add("--data", type=Path, default=default.data, help="directory of keys and book (%(default)s)")
    add("--app-id", default=default.app_id)
    add("--seller-id", default=default.seller_id)
    add("--app-public-key", type=Path, help="the merchant's public key, PEM (app_public_key.pem in the data directory)")
    add("--clock-speed", type=positive, default=default.clock_speed, help="how many times as fast notify retries run")
    add("--public-url", default=default.public_url, help="where browsers reach this, if not at http://HOST:PORT")
    add("--merchant-name", default=default.merchant_name, help="shown at the cashier")
    add("--timestamp-tolerance", type=float, default=default.timestamp_tolerance, metavar="SECONDS")
    add("--min-expiry", type=float, default=default.min_expiry, metavar="SECONDS", help="Alipay itself says 60")
    add("--notify-timeout", type=float, default=default.notify_timeout, metavar="SECONDS")
    add("--notify-content-type", default=default.notify_content_type)
    add_rules(add, default)
    return options


def add_rules(add: Callable[..., argparse.Action], default: Config) -> None:
    """The options of what may also be changed while it runs, and the seed."""
    add("--triggers", type=triggers, default=default.triggers, metavar="NAME,...", help="events that notify")
    add("--refund-window", type=float, default=default.refund_window, metavar="SECONDS", help="then TRADE_FINISHED")
    add("--seller-balance", default=default.seller_balance, metavar="YUAN", help="limit of all refunds together")
    add("--bill-at-once", action="store_true", help="a bill can be had before 09:00 of the next day")
    add("--seed", type=int, default=default.seed, help="the same made-up numbers each time, for a new book")


def triggers(text: str) -> frozenset[str]:
    """Read a list of triggers; an empty one lets nothing notify."""
    wanted = frozenset(filter(None, text.split(",")))
    if wanted - set(TRIGGERS):
        raise argparse.ArgumentTypeError(f"choose from {', '.join(TRIGGERS)}")
    return wanted


def positive(text: str) -> float:
    """Read a number above 0 and up to a million."""
    if not 0 < float(text) <= 1_000_000:
        raise argparse.ArgumentTypeError("it must be above 0 and at most 1000000")
    return float(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the keys, or serve until stopped."""
    options = vars(parser().parse_args(arguments))
    init = options.pop("init")
    config = Config(**options)
    if init:
        load_or_make_keys(config.data)
        sys.stdout.write(f"{config.data / PUBLIC_NAME}\n")
        return 0
    app = create_app(config)
    sys.stdout.write(f"Sandbox console: {config.base_url}/  gateway: {config.base_url}/gateway.do\n")
    sys.stdout.flush()
    # A connection that a fault holds would keep the process from ending.
    uvicorn.run(  # by h11, which takes a request line with the whole address, as an SDK writes it
        app,
        host=config.host,
        port=config.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        http="h11",
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
