"""All trials: the name of each, and the module of ``torture.trials`` that has it."""

from importlib import import_module

from torture.trial import Trial

PLAN: dict[str, str] = {
    "T1": "schedules",
    "T2": "api_machine",
    "T3": "crash_points",
    "T3P": "crash_points",
    "T4-workers": "kills",
    "T4-servers": "kills",
    "T5-sessions": "databases",
    "T5-crashes": "databases",
    "T6": "duplicates",
    "T7": "forged",
    "T7B": "forged",
    "T8": "permutations",
    "T9": "double_clicks",
    "T10": "refund_storms",
    "T11": "gateway_answers",
    "T12": "pay_against_close",
    "T13": "attacks",
    "T14": "inputs",
    "T15": "wires",
    "T16": "planted",
    "T17": "clocks",
    "T18": "rotation",
    "T19": "soak",
    "T20": "rebuilt",
    "many": "many",
    "many-rabbitmq": "many",
    "many-pgbouncer": "many",
}


def load(name: str) -> Trial:
    """The trial of that name. Its module reads Django's models: ``django.setup()`` comes first."""
    module = import_module(f"torture.trials.{PLAN[name]}")
    for value in vars(module).values():
        for found in value if isinstance(value, tuple) else (value,):
            if isinstance(found, Trial) and found.name == name:
                return found
    raise LookupError(f"torture.trials.{PLAN[name]} has no trial {name}")
