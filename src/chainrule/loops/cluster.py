"""Which values get memory, and which loops compute them together.

A value that gets memory is a *root*; everything between roots is written out where it's read. Roots
over the same counters share one kernel, so that what they have in common is computed once and
passes over memory are saved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.loops.scalar import Graph, Node, postorder
from chainrule.loops.value import Shape, Value

_DEPTH = 40  # longest chain that is written out in one place
_COSTLY = 8  # what is worth remembering instead of computing it twice, in operations
_COSTS = {"call": 20, "div": 8, "sqrt": 8, "rem": 8, "const": 0, "index": 0, "read": 0}
_LOOKBACK = 12  # kernels that a root may still join
_RAGGED = 16  # one-dimensional loops may be this much shorter than the longest in their kernel


@dataclass(eq=False)
class Kernel:
    """One loop nest: over `shape`, and inside it over `extents` for what is folded.

    `inner` is computed at every point of both, `outer` after the folds at every point of `shape`.
    """

    shape: Shape
    extents: Shape
    inner: list[Value] = field(default_factory=list)
    outer: list[Value] = field(default_factory=list)
    parallel: bool = True

    @property
    def domain(self) -> Shape:
        return self.shape + self.extents

    @property
    def roots(self) -> list[Value]:
        return self.inner + self.outer


@dataclass(eq=False)
class Clusters:
    """The order of work: kernels, externals, checks and loops, and each root's whole expression."""

    steps: list[Kernel | Value]
    expressions: dict[int, Node]
    roots: set[int]


def cluster(values: Sequence[Value], outputs: Sequence[Value]) -> Clusters:
    """Choose the roots and group them; once more where something costly fell between kernels."""
    roots = _first_roots(values, outputs)
    for _ in range(3):
        expander = _Expander(roots)
        steps, where = _grouped(values, expander, roots)
        more = _torn(expander, where) - roots
        if not more:
            break
        roots |= more
    return Clusters(steps, expander.expressions, roots)


# ---- choosing roots ------------------------------------------------------------------------------


def own_cost(value: Value) -> int:
    """Operations in a value's own expression, moving things for free."""
    if value.expression is None:
        return 0
    cost = 0
    for node in postorder([value.expression]):
        if node.kind == "i64" and node.op in ("add", "mul", "sub"):
            continue
        cost += _COSTS.get(node.op, 1)
    return cost


def _first_roots(values: Sequence[Value], outputs: Sequence[Value]) -> set[int]:
    roots: set[int] = {v.number for v in outputs}
    readers: dict[int, list[tuple[Value, int]]] = {}
    for value in values:
        if value.how not in ("entry", "fold"):
            roots.add(value.number)
            roots |= {operand.number for operand in value.operands}
        for source, index in value.reads:
            readers.setdefault(source.number, []).append((value, len(index)))
        if value.how == "fold":
            roots.add(value.number)
    depth: dict[int, int] = {}
    costs: dict[int, int] = {}
    for value in values:
        if value.how != "entry":
            continue
        inlined = [v for v in value.operands if v.number not in roots]
        depth[value.number] = 1 + max((depth.get(v.number, 0) for v in inlined), default=0)
        cost = own_cost(value) + sum(costs.get(v.number, 0) for v in inlined)
        costs[value.number] = cost
        if value.number in roots:
            continue
        if depth[value.number] >= _DEPTH or (cost > 0 and _repeated(value, cost, readers)):
            roots.add(value.number)
    return roots


def _repeated(value: Value, cost: int, readers: dict[int, list[tuple[Value, int]]]) -> bool:
    """Whether writing a value out where it's read would compute its entries again and again."""
    for reader, _ in readers.get(value.number, ()):
        times = math.prod(reader.domain) / max(value.size, 1)
        if times <= 1.5:
            continue
        # A number, or one per row, is worked out outside the inner loop anyway.
        if value.size == 1 and cost <= 2 * _COSTLY:
            continue
        return True
    return False


def _torn(expander: _Expander, where: dict[int, int]) -> set[int]:
    """Costly values that several kernels would compute."""
    kernels: dict[int, set[int]] = {}
    by_number: dict[int, Value] = {}
    for root, inlined in expander.inlined.items():
        for value in inlined:
            kernels.setdefault(value.number, set()).add(where[root])
            by_number[value.number] = value
    return {
        number
        for number, places in kernels.items()
        if len(places) > 1 and own_cost(by_number[number]) >= _COSTLY
    }


# ---- whole expressions ---------------------------------------------------------------------------


class _Expander:
    """Writes out the expressions of roots until they read nothing but roots."""

    def __init__(self, roots: set[int]) -> None:
        self.roots = roots
        self.graph = Graph()
        self.expressions: dict[int, Node] = {}
        self.inlined: dict[int, set[Value]] = {}
        self.memo: dict[tuple[int, tuple[int, ...]], Node] = {}
        self.below: dict[int, set[Value]] = {}

    def root(self, value: Value) -> Node:
        """The expression of a root over its own counters."""
        if value.number not in self.expressions:
            counters = tuple(self.graph.index(k) for k in range(len(value.domain)))
            self.expressions[value.number] = self._written_out(value, counters)
            self.inlined[value.number] = self._inside(value)
        return self.expressions[value.number]

    def _inside(self, value: Value) -> set[Value]:
        known = self.below.get(value.number)
        if known is None:
            known = set()
            for operand in value.operands:
                if operand.number not in self.roots:
                    known |= {operand} | self._inside(operand)
            self.below[value.number] = known
        return known

    def _written_out(self, value: Value, index: tuple[Node, ...]) -> Node:
        key = (value.number, tuple(i.number for i in index))
        if key in self.memo:
            return self.memo[key]
        assert value.expression is not None
        graph, made = self.graph, {}
        for node in postorder([value.expression]):
            if node.op == "index":
                other = index[node.attr]
            else:
                args = tuple(made[a.number] for a in node.args)
                if node.op == "read" and node.attr.number not in self.roots:
                    other = self._written_out(node.attr, args)
                else:
                    other = graph.make(node.op, node.kind, *args, attr=node.attr)
            made[node.number] = other
        self.memo[key] = made[value.expression.number]
        return self.memo[key]


def reads_of(expression: Node) -> list[tuple[Value, tuple[Node, ...]]]:
    """What memory an expression reads, and where."""
    return [(n.attr, n.args) for n in postorder([expression]) if n.op == "read"]


def is_counting(index: Sequence[Node]) -> bool:
    """Whether an index is the loop's own counters, in order."""
    return all(i.op == "index" and i.attr == k for k, i in enumerate(index))


# ---- grouping ------------------------------------------------------------------------------------


def _grouped(
    values: Sequence[Value], expander: _Expander, roots: set[int]
) -> tuple[list[Kernel | Value], dict[int, int]]:
    """Steps in an order that respects who reads whom; and the step of each root."""
    steps: list[Kernel | Value] = []
    where: dict[int, int] = {}
    for value in values:
        if value.number not in roots:
            continue
        if value.how in ("entry", "fold"):
            _place(value, expander.root(value), steps, where)
        elif value.how in ("input", "part"):
            where[value.number] = where[value.operands[0].number] if value.operands else -1
        elif value.how == "alias":
            where[value.number] = where[value.operands[0].number]
        else:
            where[value.number] = len(steps)
            steps.append(value)
    return steps, where


def _place(
    value: Value, expression: Node, steps: list[Kernel | Value], where: dict[int, int]
) -> None:
    """Into the latest kernel that takes it, or into a new one."""
    reads = reads_of(expression)
    earliest = max((where[source.number] for source, _ in reads), default=-1)
    lowest = max(earliest, len(steps) - _LOOKBACK, 0)
    for position in range(len(steps) - 1, lowest - 1, -1):
        kernel = steps[position]
        if isinstance(kernel, Kernel) and _joins(value, reads, kernel, position, where):
            where[value.number] = position
            return
    extents = value.extents
    steps.append(Kernel(value.shape, extents, inner=[value]))
    where[value.number] = len(steps) - 1


def _joins(
    value: Value,
    reads: list[tuple[Value, tuple[Node, ...]]],
    kernel: Kernel,
    position: int,
    where: dict[int, int],
) -> bool:
    """Put a root into a kernel if its counters fit and all it reads is there by then."""
    here = [(source, index) for source, index in reads if where[source.number] == position]
    if any(source.how == "alias" or not is_counting(index) for source, index in here):
        return False
    inner = {v.number for v in kernel.inner if v.how == "entry"}
    after = {v.number for v in kernel.roots} - inner
    if any(v.domain != kernel.domain for v in kernel.inner) and value.domain != ():
        return _joins_ragged(value, reads, here, kernel)
    late = any(source.number in after for source, _ in here)
    if value.how == "entry" and kernel.extents and value.shape == kernel.shape:
        if late or not kernel.shape or _shares(reads, kernel):
            kernel.outer.append(value)
            return True
        return False
    if late:
        return False
    if value.how == "entry" and value.shape == kernel.domain:
        if kernel.extents and not _shares(reads, kernel):
            return False
        kernel.inner.append(value)
        return True
    if value.how == "fold":
        if (value.shape, value.extents) == (kernel.shape, kernel.extents):
            if not here and not _shares(reads, kernel) and math.prod(kernel.domain) > 4096:
                return False
            kernel.inner.append(value)
            return True
        if not kernel.extents and value.domain == kernel.shape and _full(reads, value):
            kernel.shape, kernel.extents = value.shape, value.extents
            kernel.inner.append(value)
            return True
    return _joins_ragged(value, reads, here, kernel)


def _joins_ragged(
    value: Value,
    reads: list[tuple[Value, tuple[Node, ...]]],
    here: list[tuple[Value, tuple[Node, ...]]],
    kernel: Kernel,
) -> bool:
    """One-dimensional loops of nearly the same length run as one."""
    if len(value.domain) != 1 or len(kernel.domain) != 1 or here:
        return False
    longer = max(value.domain[0], kernel.domain[0])
    if longer < 4 * _RAGGED or abs(value.domain[0] - kernel.domain[0]) > _RAGGED:
        return False
    if not _shares(reads, kernel):
        return False
    if value.extents or kernel.extents:
        kernel.shape, kernel.extents = (), (longer,)
    else:
        kernel.shape = (longer,)
    kernel.inner.append(value)
    return True


def _full(reads: list[tuple[Value, tuple[Node, ...]]], value: Value) -> bool:
    """Whether everything large that a fold reads is read along all its counters."""
    count = len(value.domain)
    for source, index in reads:
        used = {n.attr for n in postorder(index) if n.op == "index"}
        if source.size > 1 and len(used) < count and source.size * 64 > math.prod(value.domain):
            return False
    return True


def _shares(reads: list[tuple[Value, tuple[Node, ...]]], kernel: Kernel) -> bool:
    """Whether a kernel reads or makes something that a new root reads."""
    mine = {memory_of(source).number for source, _ in reads if source.size > 1}
    theirs = {memory_of(v).number for v in kernel.roots}
    for root in kernel.roots:
        theirs |= {memory_of(v).number for v in _all_reads(root)}
    return bool(mine & theirs) or not mine


def _all_reads(root: Value) -> set[Value]:
    """Everything below a root, whether it has memory or not."""
    seen: set[Value] = set()
    stack = list(root.operands)
    while stack:
        value = stack.pop()
        if value not in seen and len(seen) < 200:
            seen.add(value)
            if value.how == "entry":
                stack += value.operands
    return seen


def memory_of(value: Value) -> Value:
    """Whose memory a value lies in."""
    while value.same_memory_as is not None:
        value = value.same_memory_as
    return value
