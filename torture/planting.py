"""Changes the shop while it runs: the functions of one module become those of other source.

For a process that was forked for it and ends with it. A function is changed in place, by its code, so that whoever
imported it, and whatever decorator holds it, calls the new one. Values of a module are bound anew wherever they went
by their name.
"""

import gc
import sys
import types
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import EnumType
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OURS = str(ROOT / "backend")


class NotPlanted(Exception):
    """The change cannot be made in a running process, or the source is no longer what it was written for."""


@dataclass(frozen=True)
class Edit:
    """Some words of a file of ours, and what stands there instead."""

    file: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        if source.count(self.old) != 1:
            raise NotPlanted(f"{self.file} has {source.count(self.old)} times, not once: {self.old}")
        return source.replace(self.old, self.new)


def plant(*edits: Edit) -> None:
    """Make the edits. Raises NotPlanted where their words are not found once, or nothing that runs is changed."""
    sources: dict[str, str] = {}
    for edit in edits:
        before = sources.get(edit.file) or (ROOT / edit.file).read_text("utf-8")
        sources[edit.file] = edit.apply(before)
    for file, source in sources.items():
        if change_functions(file, source) == 0:
            raise NotPlanted(f"no function of {file} is another one now")


def change_functions(file: str, source: str) -> int:
    """Give every live function of the file the code that the source has for it; how many are not what they were."""
    path = str(ROOT / file)
    now, changed = codes_by_name(compile(source, path, "exec")), 0
    for name, functions in all_functions()[path].items():
        before = sorted({function.__code__ for function in functions}, key=lambda code: code.co_firstlineno)
        if len(before) != len(now[name]):
            continue  # it has gone; or one that is made anew by the changed function
        pairs = dict(zip(before, now[name], strict=True))
        for function in functions:
            after = pairs[function.__code__]
            changed += after.co_code != function.__code__.co_code or after.co_consts != function.__code__.co_consts
            try:
                function.__code__ = after
            except ValueError as error:  # it closes over other names
                raise NotPlanted(str(error)) from error
    forget_answers(path)
    return changed


def forget_answers(path: str) -> None:
    """What the functions of a file have answered before and ``lru_cache`` keeps: it is from the time before."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == path:
            for each in vars(module).values():
                if hasattr(each, "cache_clear"):
                    each.cache_clear()


def change_values(module_name: str, source: str) -> None:
    """Run the source as the module, and take over each value that is another one: constants, defaults, attributes."""
    module = sys.modules[module_name]
    fresh = types.ModuleType(module_name)
    fresh.__file__ = module.__file__
    exec(compile(source, str(module.__file__), "exec"), fresh.__dict__)  # the shop's own source, with one change
    for name, new in list(vars(fresh).items()):
        old = vars(module).get(name)
        if isinstance(new, types.FunctionType) and new.__module__ == module_name:
            change_defaults(old, new)
        elif isinstance(new, type):
            if new.__module__ == module_name:
                change_attributes(old, new)
        elif not name.startswith("__") and not isinstance(new, types.ModuleType) and differ(old, new):
            bind_everywhere(name, old, new)


def differ(old: object, new: object) -> bool:
    return old is not new and (type(old) is not type(new) or old != new)


def change_defaults(old: Any, new: Any) -> None:
    while hasattr(new, "__wrapped__"):
        old, new = old.__wrapped__, new.__wrapped__
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


def change_attributes(old: Any, new: Any) -> None:
    for name, value in list(vars(new).items()):
        if isinstance(new, EnumType) and isinstance(value, new):
            vars(old)[name]._value_ = value._value_
        elif isinstance(value, types.FunctionType):
            change_defaults(vars(old)[name], value)
        elif not name.startswith("_") and isinstance(value, int | str | frozenset | tuple | dict | None):
            setattr(old, name, value)


def bind_everywhere(name: str, old: object, new: object) -> None:
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("backend.") and vars(module).get(name, module) is old:
            setattr(module, name, new)


def codes_by_name(code: types.CodeType) -> dict[str, list[types.CodeType]]:
    """All functions of a compiled module, also those in classes and functions, in the order of their lines."""
    found: dict[str, list[types.CodeType]] = defaultdict(list)
    for inner in walk(code):
        found[inner.co_qualname].append(inner)
    return found


def walk(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from walk(constant)


Functions = dict[str, list[types.FunctionType]]


@cache
def all_functions() -> dict[str, Functions]:
    """Every live function of ours, by its file and its name. Once: to look at every object makes a fork copy them all.

    By their type: to ask a lazy object for its class would bring it to life.
    """
    found: dict[str, Functions] = defaultdict(lambda: defaultdict(list))
    for each in gc.get_objects():
        if type(each) is types.FunctionType and each.__code__.co_filename.startswith(OURS):
            found[each.__code__.co_filename][each.__code__.co_qualname].append(each)
    return found
