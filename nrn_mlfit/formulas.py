"""Formulas of cell files, `g_pas.all = 1/(1000*rm)`: read into a small tree of our own, evaluated, and written as HOC.

Python's parser reads the text, and nothing of Python runs it: what is no arithmetic is refused.
"""

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from nrn_mlfit.errors import CellError, FormulaError

DISTANCE = "distance"  # of a segment from the cell's origin, in um
LONGEST, DEEPEST = 300, 50  # characters, operations within operations
NAME = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*", re.ASCII)
OURS = re.compile(r"(?<![\w.])_\d+\b", re.ASCII)  # the numbered names below; of (1)._9 is not one
ALLOWED = re.compile(r"[A-Za-z0-9_.+\-*/^() ]*")


def _exp(x: float) -> float:
    """As in HOC, which has 0 below exp(-700), and warns above exp(700)."""
    if x > 700:
        raise OverflowError
    return 0.0 if x < -700 else math.exp(x)


FUNCTIONS: dict[str, Callable[[float], float]] = {  # of one number; HOC has them by the same names
    **{"abs": abs, "exp": _exp},
    **{name: getattr(math, name) for name in ("cos", "log", "log10", "sin", "sqrt", "tanh")},
}
SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^"}
OPERATIONS: dict[str, Callable[[float, float], float]] = {
    **{"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv},
    "^": math.pow,  # of floats: a huge power is an error at once, and the root of a negative number no complex one
}
WANTED = (
    "a formula is made of numbers, + - * / ^ (or **), brackets, parameters of the cell, distance, and "
    f"{', '.join(sorted(FUNCTIONS))}"
)


@dataclass(frozen=True)
class Node:
    """kind and parts: number (), name (), call (one), negative (one), or a sign of OPERATIONS (two). `word` is the number as
    it is written, the name, or the function's name."""

    kind: str
    word: str = ""
    parts: tuple["Node", ...] = ()


@dataclass(frozen=True)
class Formula:
    """What the place `target` of a cell is set to; `text` as the cell file has it."""

    target: str
    text: str
    tree: Node

    @cached_property
    def names(self) -> frozenset[str]:
        """The parameters in it, and `distance`."""
        return frozenset(_names(self.tree))

    @property
    def parameters(self) -> frozenset[str]:
        return self.names - {DISTANCE}

    @property
    def by_distance(self) -> bool:
        """Whether it has a value of its own for each segment."""
        return DISTANCE in self.names

    def __str__(self):
        return f"{self.target} = {self.text}"

    def value(self, values: Mapping[str, float]) -> float:
        """Its value for those of its names; raises FormulaError where that is no finite number."""
        try:
            found = self._evaluate(values)
        except (ArithmeticError, ValueError):  # 1/0, exp(1000), log(-1)
            found = math.nan
        if not math.isfinite(found):
            at = ", ".join(f"{name} = {values[name]:g}" for name in sorted(self.names))
            raise FormulaError(f"{self} is no finite number{f' at {at}' if at else ''}")
        return found

    @cached_property
    def _evaluate(self) -> Callable[[Mapping[str, float]], float]:
        return _evaluator(self.tree)

    def hoc(self, words: Mapping[str, str]) -> str:
        """It in HOC, with a word of HOC for each of its names."""
        return _hoc(self.tree, words)


def is_formula(entry: str) -> bool:
    """Whether an entry of `sets` is TARGET = EXPRESSION."""
    return "=" in entry


def target_of(entry: str) -> str:
    """What an entry of `sets` sets, whether to the parameter's value or to that of a formula."""
    return entry.partition("=")[0].strip()


def read(entry: str) -> Formula:
    """The formula of an entry of `sets`; raises CellError for what is no arithmetic."""
    target, text = target_of(entry), " ".join(entry.partition("=")[2].split())
    if len(text) > LONGEST:
        raise CellError(f"{target}: its formula has {len(text)} characters; write one of up to {LONGEST}")
    odd = ALLOWED.sub("", text)
    if odd:
        raise CellError(f'"{target} = {text}" is no arithmetic, as it has {odd[0]!r} in it; {WANTED}')
    try:
        return Formula(target, text, _Reader(text).tree())
    except CellError as error:
        raise CellError(f'"{target} = {text}": {error}') from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CellError(f'"{target} = {text}" cannot be read as arithmetic; {WANTED}') from None


class _Reader:
    """Reads a text by Python's parser, with numbered names in place of its own: they may have dots, and be called lambda."""

    def __init__(self, text: str):
        self._names: list[str] = []
        self._text = NAME.sub(self._numbered, text).replace("^", "**")

    def _numbered(self, match) -> str:
        self._names.append(match[0])
        return f"_{len(self._names) - 1}"

    def tree(self) -> Node:
        with warnings.catch_warnings(action="ignore"):  # Python's advice on its own syntax
            return self._read(ast.parse(self._text, mode="eval").body, 0)

    def _read(self, node: ast.expr, depth: int) -> Node:
        if depth > DEEPEST:
            raise CellError(f"it has more than {DEEPEST} operations within each other; write it shorter")
        match node:
            case ast.Constant():
                return self._number(node)
            case ast.Name(id=word):
                return Node("name", self._names[int(word[1:])])
            case ast.UnaryOp(op=ast.USub()):
                return Node("negative", parts=(self._read(node.operand, depth + 1),))
            case ast.UnaryOp(op=ast.UAdd()):
                return self._read(node.operand, depth + 1)
            case ast.BinOp() if sign := SIGNS.get(type(node.op)):
                return Node(sign, parts=(self._read(node.left, depth + 1), self._read(node.right, depth + 1)))
            case ast.Call(func=ast.Name(id=word), args=[inner], keywords=[]):
                return Node("call", self._function(self._names[int(word[1:])]), (self._read(inner, depth + 1),))
        raise self._no_arithmetic(node)

    def _no_arithmetic(self, node) -> CellError:
        own = {f"_{k}": name for k, name in enumerate(self._names)}
        shown = OURS.sub(lambda match: own.get(match[0], match[0]), ast.unparse(node))
        return CellError(f"{shown} is no arithmetic; {WANTED}")

    def _number(self, node) -> Node:
        if not isinstance(node.value, int | float):  # 1j
            raise self._no_arithmetic(node)
        value = float(node.value)
        if not math.isfinite(value):
            raise CellError("it has a number that is too large; write one below 1e308")
        return Node("number", repr(value).removesuffix(".0"))

    def _function(self, name) -> str:
        if name not in FUNCTIONS:
            raise CellError(f"{name} is no function of a formula; there are {', '.join(sorted(FUNCTIONS))}")
        return name


def _names(node: Node) -> set[str]:
    return {node.word} if node.kind == "name" else set().union(*map(_names, node.parts))


def _evaluator(node: Node) -> Callable[[Mapping[str, float]], float]:
    """A node as a function of the names' values."""
    if node.kind == "number":
        number = float(node.word)
        return lambda values: number
    if node.kind == "name":
        return operator.itemgetter(node.word)
    first, *rest = map(_evaluator, node.parts)
    if rest:
        combine, second = OPERATIONS[node.kind], rest[0]
        return lambda values: combine(first(values), second(values))
    change = operator.neg if node.kind == "negative" else FUNCTIONS[node.word]
    return lambda values: change(first(values))


SUMS, PRODUCTS = ("+", "-", "negative"), ("*", "/")
WRAPPED = {  # which parts need brackets, left and right, so that nothing is added or multiplied in another order
    "+": (("negative",), SUMS),
    "-": (("negative",), SUMS),
    "*": (SUMS, (*SUMS, *PRODUCTS)),
    "/": (SUMS, (*SUMS, *PRODUCTS)),
    "^": ((*SUMS, *PRODUCTS, "^"), (*SUMS, *PRODUCTS, "^")),
    "negative": ((*SUMS, *PRODUCTS, "^"),),
}


def _hoc(node: Node, words) -> str:
    inner = [_hoc(part, words) for part in node.parts]
    if node.kind in WRAPPED:
        pairs = zip(node.parts, inner, WRAPPED[node.kind], strict=True)
        inner = [f"({text})" if part.kind in wrapped else text for part, text, wrapped in pairs]
    match node.kind:
        case "number":
            return node.word
        case "name":
            return words[node.word]
        case "call":
            return f"{node.word}({inner[0]})"
        case "negative":
            return f"-{inner[0]}"
    return f" {node.kind} ".join(inner) if node.kind in "+-" else node.kind.join(inner)
