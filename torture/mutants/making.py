"""The mutants of a file: mutmut's operators, everywhere in it.

mutmut's own runner leaves out decorated functions, because its trampolines do not fit them, and those are the very
use cases here (``@in_transaction``, ``@property``); and all that stands outside of functions. So its visitor walks the
tree, and ``torture.planting`` puts each change in.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import IgnoredCode, MutationVisitor
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).resolve().parents[2]
PAYMENTS = ("trades", "refunds", "refunding", "notifications")
FILES = (
    "backend/money.py",
    "backend/status.py",
    *(f"backend/payments/{name}.py" for name in PAYMENTS),
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("backend/payments/providers/alipay*.py")),
)


@dataclass(frozen=True)
class Mutant:
    """One change. ``name`` is told by the source alone, so that it is the same in the next run.

    ``lines`` are the statement's, 1-based and inclusive; ``function`` is blank outside of one.
    """

    file: str
    function: str
    lines: tuple[int, int]
    source: str
    before: str
    after: str
    number: int = 1
    in_body: bool = True
    """In the body of a function: what is changed is its code, and no value that was made at import."""

    @property
    def name(self) -> str:
        again = f" ({self.number})" if self.number > 1 else ""
        return f"{self.file} {self.function or '-'}: {self.before} → {self.after}{again}"

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".")


class Everywhere(MutationVisitor):
    """mutmut's, but into decorated functions as well, though not into their decorators."""

    METADATA_DEPENDENCIES = MutationVisitor.METADATA_DEPENDENCIES

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        return not isinstance(node, cst.FunctionDef) and bool(super()._skip_node_and_children(node))


class Places(cst.CSTVisitor):
    """Of every node: its outermost function with its class, the statement of the module and its own one, and whether it
    is in a function's body."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.functions: list[cst.FunctionDef] = []
        self.statements: list[cst.CSTNode] = []
        self.bodies = 0
        self.of: dict[cst.CSTNode, tuple[str, cst.CSTNode, cst.CSTNode, bool]] = {}

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self.path.append(node.name.value)
        if isinstance(node, cst.FunctionDef):
            self.functions.append(node)
        if isinstance(node, cst.BaseStatement | cst.BaseSmallStatement):
            self.statements.append(node)
        if self.functions and node is self.functions[0].body:
            self.bodies += 1
        if self.statements:
            function = ".".join(self.path) if self.functions else ""
            self.of[node] = (function, self.statements[0], self.statements[-1], self.bodies > 0)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self.path.pop()
        if self.functions and original_node is self.functions[0].body:
            self.bodies -= 1
        if isinstance(original_node, cst.FunctionDef):
            self.functions.pop()
        if isinstance(original_node, cst.BaseStatement | cst.BaseSmallStatement):
            self.statements.pop()


def mutants_of(file: str) -> Iterator[Mutant]:
    """All mutants of the file that Python can compile, in the order of the source."""
    wrapper = MetadataWrapper(cst.parse_module((ROOT / file).read_text("utf-8")))
    module, positions = wrapper.module, wrapper.resolve(PositionProvider)
    visitor, seen = Everywhere(mutation_operators, IgnoredCode(set(), set(), set())), Counter[tuple[str, str, str]]()
    wrapper.visit(visitor)
    places, text = Places(), cache(module.code_for_node)
    module.visit(places)
    for mutation in visitor.mutations:
        function, outermost, statement, in_body = places.of[mutation.original_node]
        old = text(outermost)
        new = module.code_for_node(outermost.deep_replace(mutation.original_node, mutation.mutated_node))
        before, after = difference(old, new)
        source = module.code.replace(old, new, 1)
        if before == after or not compiles(source):
            continue
        seen[function, before, after] += 1
        span = positions[head_of(statement)]
        lines = (span.start.line, span.end.line)
        yield Mutant(file, function, lines, source, before, after, seen[function, before, after], in_body)


def head_of(statement: cst.CSTNode) -> cst.CSTNode:
    """Of a compound statement what is evaluated to enter it; the whole of a simple one."""
    for name in ("test", "iter", "subject"):
        if hasattr(statement, name) and not isinstance(statement, cst.Assert):
            return getattr(statement, name)
    return statement


def difference(before: str, after: str) -> tuple[str, str]:
    """The lines that differ, without their indents."""
    old, new = before.splitlines(), after.splitlines()
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    old, new = old[same:], new[same:]
    end = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(reversed(old), reversed(new), strict=False)))
    return flat(old[: len(old) - end]), flat(new[: len(new) - end])


def flat(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)


def compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True
