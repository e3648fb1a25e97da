"""The rules that may change while it runs: which events notify, the refund window, the seller's balance, the bill."""

from dataclasses import dataclass, fields
from typing import Any

from .config import TRIGGERS, Config
from .money import parse_yuan, yuan

LONGEST_WINDOW = 3650 * 86400
BILL_RULES: dict[str, tuple[bool, ...] | tuple[str, ...]] = {
    "bill_at_once": (False, True),
    "bill_codes": ("wire", "listed"),
    "bill_quotes": (False, True),
}


@dataclass(slots=True)
class Rules:
    """Begins as the Config says. `balance_fen` is what the seller can still refund; None is no limit."""

    triggers: set[str]
    refund_window: float
    balance_fen: int | None
    bill_at_once: bool
    bill_codes: str
    bill_quotes: bool

    @classmethod
    def of(cls, config: Config) -> "Rules":
        """The rules a simulator starts with; ValueError when a trigger or the balance is none."""
        if unknown := config.triggers - set(TRIGGERS):
            raise ValueError(f"no such trigger: {', '.join(sorted(unknown))}")
        balance = None if config.seller_balance is None else parse_yuan(config.seller_balance)
        bill = {name: _bill_rule(name, getattr(config, name)) for name in BILL_RULES}
        return cls(set(config.triggers), _window(config.refund_window), balance, **bill)

    def restart(self, config: Config) -> None:
        """Be as at the start again."""
        first = Rules.of(config)
        for one in fields(self):
            setattr(self, one.name, getattr(first, one.name))

    def as_json(self) -> dict[str, Any]:
        """Every rule, each trigger with whether it is on."""
        return {
            "triggers": {name: name in self.triggers for name in TRIGGERS},
            "refund_window": self.refund_window,
            "seller_balance": None if self.balance_fen is None else yuan(self.balance_fen),
            **{name: getattr(self, name) for name in BILL_RULES},
        }

    def change(self, wanted: dict[str, Any]) -> None:
        """Apply some of what `as_json` shows; ValueError, and nothing changed, if any of it makes no sense."""
        known = ("triggers", "refund_window", "seller_balance", *BILL_RULES)
        if not wanted or set(wanted) - set(known):
            raise ValueError(f"send some of {', '.join(known)}")
        switches = _switches(wanted.get("triggers", {}))
        window = _window(wanted.get("refund_window", self.refund_window))
        bill = {name: _bill_rule(name, wanted[name]) for name in BILL_RULES if name in wanted}
        if "seller_balance" in wanted:
            text = wanted["seller_balance"]
            self.balance_fen = None if text is None else parse_yuan(text)
        self.refund_window = window
        for name, value in bill.items():
            setattr(self, name, value)
        self.triggers |= {name for name, on in switches.items() if on}
        self.triggers -= {name for name, on in switches.items() if not on}


def _switches(wanted: object) -> dict[str, bool]:
    known = isinstance(wanted, dict) and all(name in TRIGGERS for name in wanted)
    if not isinstance(wanted, dict) or not known or not all(isinstance(on, bool) for on in wanted.values()):
        raise ValueError(f"triggers is an object of {', '.join(TRIGGERS)}, each true or false")
    return wanted


def _window(wanted: object) -> float:
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or not 0 <= wanted <= LONGEST_WINDOW:
        raise ValueError("refund_window is a number of seconds, at most ten years")
    return wanted


def _bill_rule(name: str, wanted: object) -> Any:
    choices = BILL_RULES[name]
    if type(wanted) is not type(choices[0]) or wanted not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(str, choices))}")
    return wanted
