"""A stand-in for Alipay that speaks its wire protocol over HTTP, with its own keys and its own book.

Nothing in this package knows the shop that talks to it. Start it with `python -m alipay_simulator`, or embed it with
`create_app(Config(...))`. "Protocol n.m" in a docstring names the section of the protocol notes that a rule is from.
"""

from .app import create_app
from .config import Config

__all__ = ["Config", "create_app"]
