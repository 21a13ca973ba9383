"""A kernel made concrete: what is loaded from where, combined, and stored where."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.loops.cluster import Kernel, memory_of
from chainrule.loops.scalar import Graph, Node, postorder, rebuilt
from chainrule.loops.value import Shape, Value, strides


@dataclass(eq=False)
class Store:
    """One value written at each point; `limit` is where the innermost counter ends for it."""

    target: Value
    offset: Node
    node: Node
    limit: int


@dataclass(eq=False)
class Fold:
    """One value combined at each point; the result is read as the node `fold(number)`."""

    value: Value
    node: Node
    limit: int


@dataclass(eq=False)
class Nest:
    """A loop nest: counters 0 … over `shape`, then those over `extents`."""

    graph: Graph
    shape: Shape
    extents: Shape
    inner: list[Store]
    folds: list[Fold]
    outer: list[Store]

    @property
    def domain(self) -> Shape:
        return self.shape + self.extents

    def nodes(self) -> list[Node]:
        """All expressions and offsets."""
        stores = [*self.inner, *self.outer]
        return [n for s in stores for n in (s.node, s.offset)] + [f.node for f in self.folds]

    def limits(self) -> list[int]:
        """Where the innermost counter ends for each of them."""
        return [s.limit for s in self.inner] + [f.limit for f in self.folds]

    def loads(self) -> list[Node]:
        return [n for n in postorder(self.nodes()) if n.op == "load"]


Targets = dict[int, list[tuple[Value, int, Shape]]]


def nest_of(kernel: Kernel, expressions: dict[int, Node], targets: Targets) -> Nest:
    """Reads become loads, or what this very kernel computes at the same place."""
    graph = Graph()
    own = {v.number: v for v in kernel.roots}
    made: dict[int, Node] = {}

    def change(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op != "read":
            return graph.make(node.op, node.kind, *args, attr=node.attr)
        source: Value = node.attr
        if source.number in own:
            if source.how == "fold":
                return graph.make("fold", node.kind, attr=source)
            return made[source.number]
        return graph.load(memory_of(source), _offset(graph, args, strides(source.shape)), node.kind)

    memo: dict[int, Node] = {}
    for value in [*kernel.inner, *kernel.outer]:
        expression = expressions[value.number]
        if value.number in kernel.turned:
            expression = _exchanged(expression)
        for node in postorder([expression]):
            if node.number not in memo:
                memo[node.number] = change(node, tuple(memo[a.number] for a in node.args))
        made[value.number] = memo[expression.number]
    last = kernel.domain[-1] if kernel.domain else 1

    def stores(value: Value, node: Node) -> list[Store]:
        counters = [graph.index(k) for k in range(value.ndim)]
        limit = value.shape[-1] if value.ndim == len(kernel.domain) and value.shape else last
        if value.number in kernel.turned:
            counters, limit = counters[::-1], last
        return [
            Store(target, _offset(graph, counters, steps) + start, node, limit)
            for target, start, steps in targets.get(value.number, ())
        ]

    inner: list[Store] = []
    folds: list[Fold] = []
    outer: list[Store] = []
    for value in kernel.inner:
        node = made[value.number]
        if value.how == "fold":
            folds.append(Fold(value, node, value.extents[-1]))
            outer += stores(value, graph.make("fold", node.kind, attr=value))
        else:
            inner += stores(value, node)
    for value in kernel.outer:
        outer += stores(value, made[value.number])
    nest = Nest(graph, kernel.shape, kernel.extents, inner, folds, outer)
    return _collapsed(nest)


def _exchanged(expression: Node) -> Node:
    """The same with its two counters in each other's place."""
    graph = expression.graph
    return rebuilt(
        [expression], graph, lambda n: graph.index(1 - n.attr) if n.op == "index" else None
    )[0]


def _offset(graph: Graph, index: Sequence[Node], steps: Sequence[int]) -> Node:
    offset = graph.const(0, "i64")
    for i, step in zip(index, steps, strict=True):
        offset = offset + i * step
    return offset


# ---- how an offset moves -------------------------------------------------------------------------


def affine(node: Node, panels: bool = False) -> tuple[int, dict[int, Any]] | None:
    """c₀ + Σ cₖ·index(k), if an expression has that form.

    With `panels`, counters may go through panels too; their cₖ is NaN.
    """
    if panels and node.op in ("panel", "within") and node.args[0].op == "index":
        return 0, {node.args[0].attr: math.nan}
    if node.op == "const":
        return node.attr, {}
    if node.op == "index":
        return 0, {node.attr: 1}
    if node.op not in ("add", "sub", "mul"):
        return None
    left, right = affine(node.args[0], panels), affine(node.args[1], panels)
    if left is None or right is None:
        return None
    if node.op == "mul":
        if left[1] and right[1]:
            return None
        (c, slopes), (factor, _) = (left, right) if left[1] else (right, left)
        return c * factor, {k: s * factor for k, s in slopes.items()}
    sign = 1 if node.op == "add" else -1
    slopes = dict(left[1])
    for k, s in right[1].items():
        slopes[k] = slopes.get(k, 0) + sign * s
    return left[0] + sign * right[0], slopes


def step_along(node: Node, axis: int, memo: dict[int, int | None] | None = None) -> int | None:
    """By how much an expression grows with one counter; None where that isn't constant.

    Lanes are counted as the axis −1. A memo may be kept between calls for one axis.
    """
    known = {} if memo is None else memo
    if node.number in known:
        return known[node.number]
    for n in postorder([node], known):
        known[n.number] = _step(n, [known[a.number] for a in n.args], axis)
    return known[node.number]


def _step(n: Node, steps: list[int | None], axis: int) -> int | None:
    if n.op in ("index", "lane"):
        return int(axis == (n.attr if n.op == "index" else -1))
    if not any(steps) and None not in steps:
        return 0
    if None in steps:
        return None
    if n.op in ("add", "sub"):
        sign = 1 if n.op == "add" else -1
        return _int(steps[0]) + sign * _int(steps[1])
    if n.op == "mul" and n.args[1].op == "const":
        return _int(steps[0]) * n.args[1].attr
    if n.op == "select" and steps[0] == 0 and steps[1] == steps[2]:
        return steps[1]
    if n.op in ("panel", "within") and steps[0] == 1:
        return int(n.op == "within")  # a vector lies within one panel
    return None


def _int(value: int | None) -> int:
    assert value is not None
    return value


def _collapsed(nest: Nest) -> Nest:
    """Neighbouring axes that every access walks as one become one."""
    offsets = [n.args[0] for n in nest.loads()] + [s.offset for s in [*nest.inner, *nest.outer]]
    forms = [affine(offset, panels=True) for offset in offsets]
    values = [s.node for s in [*nest.inner, *nest.outer]] + [f.node for f in nest.folds]
    if any(form is None for form in forms) or _counted(values):
        return nest
    slopes = [form[1] for form in forms if form is not None]
    domain = nest.domain
    count = len(nest.shape)
    groups: list[list[int]] = []
    for k in range(len(domain)):
        mine = (
            k != count
            and groups
            and all(s.get(k - 1, 0) == s.get(k, 0) * domain[k] for s in slopes)
        )
        if mine:
            groups[-1].append(k)
        else:
            groups.append([k])
    if len(groups) == len(domain):
        return nest
    return _regrouped(nest, groups, sum(1 for group in groups if group[-1] < count))


def _regrouped(nest: Nest, groups: list[list[int]], kept: int) -> Nest:
    """A nest whose counters run over groups of axes."""
    place = {group[-1]: number for number, group in enumerate(groups)}
    graph = nest.graph

    def change(node: Node) -> Node | None:
        if node.op == "index":
            return graph.index(place[node.attr]) if node.attr in place else graph.const(0, "i64")
        return None

    nodes = rebuilt(nest.nodes(), graph, change)
    sizes = [math.prod(nest.domain[k] for k in group) for group in groups]
    return over(nest, tuple(sizes[:kept]), tuple(sizes[kept:]), nodes)


def over(nest: Nest, shape: Shape, extents: Shape, nodes: list[Node]) -> Nest:
    """A nest over other counters; its expressions as `nodes` lists them, rebuilt for those."""
    last = (shape + extents or (1,))[-1]
    found = iter(nodes)
    inner = [Store(s.target, o, n, last) for s, n, o in _pairs(nest.inner, found)]
    outer = [Store(s.target, o, n, last) for s, n, o in _pairs(nest.outer, found)]
    folds = [Fold(f.value, n, last) for f, n in zip(nest.folds, found, strict=True)]
    return Nest(nest.graph, shape, extents, inner, folds, outer)


def _pairs(stores: list[Store], found: object) -> list[tuple[Store, Node, Node]]:
    return [(s, next(found), next(found)) for s in stores]  # type: ignore[call-overload]


def _counted(values: Sequence[Node]) -> bool:
    """Whether a counter is used as a number, and not only to find places in memory."""
    stack, seen = list(values), set()
    while stack:
        node = stack.pop()
        if node.op == "index":
            return True
        if node.number not in seen and node.op != "load":
            seen.add(node.number)
            stack += node.args
    return False


# ---- the innermost loop in segments --------------------------------------------------------------


def breakpoints(nest: Nest, axis: int) -> list[int]:
    """Where along one axis a condition on its counter changes, or a shorter store ends."""
    end = nest.domain[axis]
    points = {0, end}
    if axis == len(nest.domain) - 1:
        points |= {s.limit for s in nest.inner} | {f.limit for f in nest.folds}
    for node in postorder(nest.nodes()):
        turn = _turning_point(node, axis)
        if turn is not None:
            points |= turn
    inside = sorted(p for p in points if 0 <= p <= end)
    return inside if len(inside) <= 9 else [0, end]


def _turning_point(node: Node, axis: int) -> set[int] | None:
    """The counters at which `index + c < d` and its like change their answer."""
    if node.op not in ("lt", "le", "gt", "ge", "eq", "ne") or node.args[0].kind != "i64":
        return None
    left, right = affine(node.args[0]), affine(node.args[1])
    if left is None or right is None or right[1] or set(left[1]) != {axis} or left[1][axis] != 1:
        return None
    at = right[0] - left[0]
    if node.op in ("lt", "ge"):
        return {at}
    return {at + 1} if node.op in ("le", "gt") else {at, at + 1}


def settled(axis: int, low: int, high: int) -> Callable[[Node], Node | None]:
    """A change for `rebuilt`: conditions on a counter that runs from low to high − 1."""

    def change(node: Node) -> Node | None:
        turn = _turning_point(node, axis)
        if turn is None:
            return None
        answers = {_holds(node, axis, i) for i in (low, high - 1)}
        if node.op in ("eq", "ne") and high - low > 1:
            at = min(turn)
            if low <= at < high:
                return None
        return node.graph.const(answers.pop(), "i1") if len(answers) == 1 else None

    return change


_ANSWERS: dict[str, Callable[[int, int], bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
}


def _holds(node: Node, axis: int, i: int) -> bool:
    left, right = affine(node.args[0]), affine(node.args[1])
    assert left is not None
    assert right is not None
    return _ANSWERS[node.op](left[0] + i, right[0])
