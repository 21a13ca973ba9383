"""Scalar expressions: the closed set of operations that every backend can print.

An expression is a node of a `Graph`; equal nodes are one node, so that whatever is written twice is
computed once. Types are named as in LLVM and C, with signs: i1 is a truth value, u8 … i64 integers,
f32 and f64. Float arithmetic here is exactly the operations written; only printers may contract.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

# op → what it takes and gives:
#   panels      panel, within: x // attr, x % attr of a counter whose vectors never cross the edge
#   leaves      const, index (a loop's counter), load (of a buffer, at an offset), parameter, sum
#   arithmetic  add sub mul div rem neg abs min max — div and rem of integers truncate, as in C
#   floats      fma sqrt floor ceil trunc rint copysign
#   bits        and or xor not shl shr — shr keeps the sign of signed types
#   compare     eq ne lt le gt ge (false where a float is NaN, ne true) → i1
#   choice      select(condition, a, b)
#   types       cast (to the nearest value), bits (the same bits under another name)
#   call        a function of `mathematics`, by name
#   table       the entry of a list of constants that an index says
#   rare        (condition, otherwise, *arguments): such a call, made only where the condition
#               holds, which is seldom; otherwise elsewhere
_PYTHON: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_COMPARE = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
_COMMUTE = frozenset({"add", "mul", "and", "or", "xor", "eq", "ne"})


def numpy_type(kind: str) -> np.dtype[Any]:
    """f64 → float64, i1 → bool."""
    if kind == "i1":
        return np.dtype(bool)
    return np.dtype(f"{kind[0]}{int(kind[1:]) // 8}")


def scalar_type(dtype: np.dtype[Any]) -> str:
    """float64 → f64, bool → i1."""
    return "i1" if dtype.kind == "b" else f"{dtype.kind}{dtype.itemsize * 8}"


def bits_of(kind: str) -> int:
    """The width of a type: 64 for f64."""
    return int(kind[1:])


class Node:
    """One scalar operation. Made by a graph only; compare nodes with `is`."""

    __slots__ = ("args", "attr", "graph", "kind", "number", "op")

    def __init__(
        self, graph: Graph, number: int, op: str, kind: str, args: tuple[Node, ...], attr: Any
    ) -> None:
        self.graph = graph
        self.number = number
        self.op = op
        self.kind = kind
        self.args = args
        self.attr = attr

    def __add__(self, other: Any) -> Node:
        return self.graph.binary("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return self.graph.binary("add", other, self)

    def __sub__(self, other: Any) -> Node:
        return self.graph.binary("sub", self, other)

    def __rsub__(self, other: Any) -> Node:
        return self.graph.binary("sub", other, self)

    def __mul__(self, other: Any) -> Node:
        return self.graph.binary("mul", self, other)

    def __rmul__(self, other: Any) -> Node:
        return self.graph.binary("mul", other, self)

    def __truediv__(self, other: Any) -> Node:
        return self.graph.binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return self.graph.binary("div", other, self)

    def __neg__(self) -> Node:
        return self.graph.make("neg", self.kind, self)

    def __abs__(self) -> Node:
        return self.graph.make("abs", self.kind, self)

    def __and__(self, other: Any) -> Node:
        return self.graph.binary("and", self, other)

    def __or__(self, other: Any) -> Node:
        return self.graph.binary("or", self, other)

    def __xor__(self, other: Any) -> Node:
        return self.graph.binary("xor", self, other)

    def __invert__(self) -> Node:
        return self.graph.make("not", self.kind, self)

    def __lshift__(self, other: Any) -> Node:
        return self.graph.binary("shl", self, other)

    def __rshift__(self, other: Any) -> Node:
        return self.graph.binary("shr", self, other)

    def __lt__(self, other: Any) -> Node:
        return self.graph.binary("lt", self, other)

    def __le__(self, other: Any) -> Node:
        return self.graph.binary("le", self, other)

    def __gt__(self, other: Any) -> Node:
        return self.graph.binary("gt", self, other)

    def __ge__(self, other: Any) -> Node:
        return self.graph.binary("ge", self, other)

    def eq(self, other: Any) -> Node:
        """self == other; `==` itself would say whether they are one node."""
        return self.graph.binary("eq", self, other)

    def ne(self, other: Any) -> Node:
        """self != other; true where either is NaN."""
        return self.graph.binary("ne", self, other)

    def __bool__(self) -> bool:
        raise TypeError("a scalar expression has no truth value; use select")

    def __repr__(self) -> str:
        return expression_text(self)


class Graph:
    """Makes nodes, each one once."""

    def __init__(self) -> None:
        self.nodes: dict[Any, Node] = {}
        self.reads: dict[int, list[tuple[Any, tuple[Node, ...]]]] = {}  # of whole expressions

    def make(self, op: str, kind: str, *args: Node, attr: Any = None) -> Node:
        """The node of this operation; arithmetic of constants is done on the spot."""
        if args:
            simpler = _simplified(self, op, kind, args)
            if simpler is not None:
                return simpler
            if op in _COMMUTE and args[0].op == "const" and args[1].op != "const":
                args = (args[1], args[0])
        key = (op, kind, attr, *[a.number for a in args])
        node = self.nodes.get(key)
        if node is None:
            node = self.nodes[key] = Node(self, len(self.nodes), op, kind, args, attr)
        return node

    def const(self, value: Any, kind: str) -> Node:
        """A literal. Floats are kept by their bits, so that -0.0 and every NaN stay themselves."""
        if kind == "i1":
            return self.make("const", kind, attr=bool(value))
        if kind[0] in "iu":
            return self.make("const", kind, attr=int(value))
        with np.errstate(all="ignore"):
            exact = numpy_type(kind).type(value)
        return self.make("const", kind, attr=exact.tobytes())

    def binary(self, op: str, left: Any, right: Any) -> Node:
        """An operation of two nodes of one type, of which one may be a Python number."""
        if not isinstance(left, Node):
            left = self.const(left, right.kind)
        elif not isinstance(right, Node):
            right = self.const(right, left.kind)
        if left.kind != right.kind:
            raise TypeError(f"{op} of {left.kind} and {right.kind}")
        return self.make(op, "i1" if op in _COMPARE else left.kind, left, right)

    def index(self, axis: Any) -> Node:
        """The counter of a loop."""
        return self.make("index", "i64", attr=axis)

    def load(self, buffer: Any, offset: Node, kind: str) -> Node:
        """An entry of a buffer, counted in entries."""
        return self.make("load", kind, offset, attr=buffer)

    def parameter(self, position: int, kind: str) -> Node:
        """An argument of a function of `mathematics`."""
        return self.make("parameter", kind, attr=position)

    def call(self, name: str, *args: Node) -> Node:
        """A function of `mathematics`; its result has the type of its first argument."""
        return self.make("call", args[0].kind, *args, attr=name)


def value_of(node: Node) -> Any:
    """The number that a constant stands for."""
    if isinstance(node.attr, bytes):
        return np.frombuffer(node.attr, numpy_type(node.kind))[0]
    return node.attr


def is_const(node: Node, value: float) -> bool:
    """Whether a node is this very constant; 0 is not -0."""
    if node.op != "const":
        return False
    known = value_of(node)
    return bool(known == value) and (value != 0 or math.copysign(1, known) > 0)


def _simplified(graph: Graph, op: str, kind: str, args: Sequence[Node]) -> Node | None:
    """What follows from constants, with every NaN, infinity and signed zero as it would be."""
    if len(args) == 2:
        x, y = args
        if x.op == "const" and y.op == "const" and op in _PYTHON:
            with np.errstate(all="ignore"):
                result = _PYTHON[op](value_of(x), value_of(y))
            exact = kind[0] == "f" or kind == "i1"
            return graph.const(result if exact else _wrapped(result, kind), kind)
        return _identity(graph, op, x, y)
    if op == "select":
        condition, a, b = args
        if condition.op == "const":
            return a if condition.attr else b
        return a if a is b else None
    if op not in ("cast", "neg", "not"):
        return None
    (x,) = args
    constant = x.op == "const"
    if op == "cast" and x.kind == kind:
        return x
    if op == "cast" and constant and not (kind[0] in "iu" and x.kind[0] == "f"):
        return graph.const(value_of(x), kind)
    if op == "neg" and constant and kind[0] == "f":
        return graph.const(-value_of(x), kind)
    if op == "neg" and x.op == "neg":
        return x.args[0]
    if op == "not" and kind == "i1" and constant:
        return graph.const(not x.attr, "i1")
    return None


def _wrapped(value: int, kind: str) -> int:
    """An integer as its type holds it."""
    bits = bits_of(kind)
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind[0] == "i" and value >> (bits - 1) else value


def _identity(graph: Graph, op: str, x: Node, y: Node) -> Node | None:
    """x + 0, x · 1 and the like, where they hold for every x."""
    whole = x.kind[0] != "f"
    if op in ("and", "or") and x.kind == "i1":
        for a, b in ((x, y), (y, x)):
            if a.op == "const":
                return b if a.attr == (op == "and") else a
        return x if x is y else None
    if op == "mul":
        for a, b in ((x, y), (y, x)):
            if is_const(a, 1):
                return b
            if whole and is_const(a, 0):
                return a
            if not whole and is_const(a, -1):
                return graph.make("neg", b.kind, b)
    if op == "add" and whole:
        for a, b in ((x, y), (y, x)):
            if is_const(a, 0):
                return b
            # (i + 2) + 3: offsets stay short, and equal ones meet.
            if a.op == "const" and b.op == "add" and b.args[1].op == "const":
                return b.args[0] + graph.const(_wrapped(a.attr + b.args[1].attr, a.kind), a.kind)
    if op == "sub" and whole and y.op == "const":
        return x + graph.const(_wrapped(-y.attr, y.kind), y.kind)
    if op == "sub" and is_const(y, 0):
        return x
    if op == "div" and (is_const(y, 1)):
        return x
    if whole and x is y and op in ("eq", "le", "ge"):
        return graph.const(True, "i1")
    if whole and x is y and op in ("ne", "lt", "gt"):
        return graph.const(False, "i1")
    return None


# ---- the operations that Python has no operator for ----------------------------------------------


def fma(x: Node, y: Any, z: Any) -> Node:
    """x·y + z, rounded once."""
    g = x.graph
    y = y if isinstance(y, Node) else g.const(y, x.kind)
    z = z if isinstance(z, Node) else g.const(z, x.kind)
    return g.make("fma", x.kind, x, y, z)


def select(condition: Node, a: Any, b: Any) -> Node:
    """a where the condition holds, else b; one of them may be a Python number."""
    g = condition.graph
    if not isinstance(a, Node):
        a = g.const(a, b.kind)
    if not isinstance(b, Node):
        b = g.const(b, a.kind)
    return g.make("select", a.kind, condition, a, b)


def cast(x: Node, kind: str) -> Node:
    """The nearest value of another type; floats to integers truncate."""
    return x.graph.make("cast", kind, x)


def convert(x: Node, kind: str) -> Node:
    """Another type as C and NumPy convert: what no integer holds becomes a fixed number too."""
    if x.kind[0] != "f" or kind[0] not in "iu" or kind == "i1":
        return cast(x, kind)
    if kind == "u64":
        top = 2.0**63
        far = convert(x - x.graph.const(top, x.kind), "i64") ^ -(2**63)
        return cast(select(x >= top, far, convert(x, "i64")), kind)
    if kind not in ("i32", "i64"):
        return cast(convert(x, "i64" if kind == "u32" else "i32"), kind)
    top = 2.0 ** (bits_of(kind) - 1)
    inside = (x > -top - 1) & (x < top)
    return select(inside, cast(x, kind), -(2 ** (bits_of(kind) - 1)))


def bits(x: Node, kind: str) -> Node:
    """The same bits as another type of the same width."""
    return x.graph.make("bits", kind, x)


def unary(op: str, x: Node) -> Node:
    """sqrt, floor, ceil, trunc, rint, abs, neg, not."""
    return x.graph.make(op, x.kind, x)


def table(values: Sequence[int], index: Node, kind: str) -> Node:
    """The entry of a list of constants that an index says, which must lie within."""
    return index.graph.make("table", kind, index, attr=tuple(values))


def rare(condition: Node, name: str, otherwise: Node, *args: Node) -> Node:
    """Where a condition holds, which is seldom, a function of `mathematics`; else `otherwise`."""
    return otherwise.graph.make("rare", otherwise.kind, condition, otherwise, *args, attr=name)


def sqrt(x: Node) -> Node:
    """The square root, correctly rounded."""
    return unary("sqrt", x)


def rint(x: Node) -> Node:
    """The nearest whole number, ties to even."""
    return unary("rint", x)


def floor(x: Node) -> Node:
    """The largest whole number not above x."""
    return unary("floor", x)


def copysign(x: Node, sign: Node) -> Node:
    """|x| with the sign of another."""
    return x.graph.make("copysign", x.kind, x, sign)


def minimum(x: Node, y: Any) -> Node:
    """The smaller; where one is NaN it may be either: select first where that matters."""
    return x.graph.binary("min", x, y)


def maximum(x: Node, y: Any) -> Node:
    """The larger; where one is NaN it may be either: select first where that matters."""
    return x.graph.binary("max", x, y)


def is_nan(x: Node) -> Node:
    """Whether x is NaN."""
    return x.graph.make("ne", "i1", x, x)


def postorder(roots: Sequence[Node], known: Container[int] = ()) -> list[Node]:
    """Every node that the roots need, each after its operands; what's known is left out."""
    seen: set[int] = set()
    order: list[Node] = []
    stack: list[Node | None] = [*reversed(roots)]  # None: the node below has its operands
    while stack:
        node = stack.pop()
        if node is None:
            order.append(stack.pop())  # type: ignore[arg-type]
        elif node.number not in seen and node.number not in known:
            seen.add(node.number)
            if node.args:
                stack += (node, None, *reversed(node.args))
            else:
                order.append(node)
    return order


def rebuilt(
    roots: Sequence[Node], graph: Graph, change: Callable[[Node], Node | None]
) -> list[Node]:
    """The same expressions in a graph, each node replaced where `change` gives another."""
    made: dict[int, Node] = {}
    for node in postorder(roots):
        other = change(node)
        if other is None:
            args = [made[a.number] for a in node.args]
            other = graph.make(node.op, node.kind, *args, attr=node.attr)
        made[node.number] = other
    return [made[root.number] for root in roots]


_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "eq": "==", "ne": "!=", "and": "&", "or": "|",
}  # fmt: skip


def expression_text(node: Node) -> str:
    """An expression as people write it: i, j, k … are counters, v3[i] is an entry of a value."""
    if node.op == "const":
        return repr(value_of(node).item() if isinstance(node.attr, bytes) else node.attr)
    if node.op == "index":
        return "ijklmnop"[node.attr] if node.attr < 8 else f"i{node.attr}"
    if node.op == "parameter":
        return f"x{node.attr}"
    inside = [expression_text(a) for a in node.args]
    if node.op in ("load", "read"):
        return f"{node.attr}[{', '.join(inside)}]" if inside else repr(node.attr)
    if node.op in _INFIX:
        return f"({inside[0]} {_INFIX[node.op]} {inside[1]})"
    name = {"call": node.attr, "cast": node.kind}.get(node.op, node.op)
    return f"{name}({', '.join(inside)})"
