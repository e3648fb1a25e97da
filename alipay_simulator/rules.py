"""The rules that may change while the simulator runs: which events notify, the refund window, the seller's balance."""

from dataclasses import dataclass
from typing import Any

from .config import TRIGGERS, Config
from .money import parse_yuan, yuan

LONGEST_WINDOW = 3650 * 86400


@dataclass(slots=True)
class Rules:
    """Begins as the Config says. `balance_fen` is what the seller can still refund; None is no limit."""

    triggers: set[str]
    refund_window: float
    balance_fen: int | None

    @classmethod
    def of(cls, config: Config) -> "Rules":
        """The rules a simulator starts with; ValueError when a trigger or the balance is none."""
        if unknown := config.triggers - set(TRIGGERS):
            raise ValueError(f"no such trigger: {', '.join(sorted(unknown))}")
        balance = None if config.seller_balance is None else parse_yuan(config.seller_balance)
        return cls(set(config.triggers), _window(config.refund_window), balance)

    def restart(self, config: Config) -> None:
        """Be as at the start again."""
        first = Rules.of(config)
        self.triggers, self.refund_window, self.balance_fen = first.triggers, first.refund_window, first.balance_fen

    def as_json(self) -> dict[str, Any]:
        """Every rule, each trigger with whether it is on."""
        return {
            "triggers": {name: name in self.triggers for name in TRIGGERS},
            "refund_window": self.refund_window,
            "seller_balance": None if self.balance_fen is None else yuan(self.balance_fen),
        }

    def change(self, wanted: dict[str, Any]) -> None:
        """Apply some of what `as_json` shows; ValueError, and nothing changed, if any of it makes no sense."""
        if not wanted or set(wanted) - {"triggers", "refund_window", "seller_balance"}:
            raise ValueError("send triggers, refund_window or seller_balance")
        switches = _switches(wanted.get("triggers", {}))
        window = _window(wanted.get("refund_window", self.refund_window))
        if "seller_balance" in wanted:
            text = wanted["seller_balance"]
            self.balance_fen = None if text is None else parse_yuan(text)
        self.refund_window = window
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
