"""Which values get memory, and which loops compute them together.

A value that gets memory is a *root*; everything between roots is written out where it's read. Roots
over the same counters share one kernel, so that what they have in common is computed once and
passes over memory are saved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.loops.expand import Expander, is_counting, reads_of
from chainrule.loops.order import numbers_first
from chainrule.loops.scalar import Node, postorder
from chainrule.loops.value import Shape, Value

_DEPTH = 40  # longest chain that is written out in one place
_COSTLY = 8  # what is worth remembering instead of computing it twice, in operations
_COSTS = {"call": 20, "div": 8, "sqrt": 8, "rem": 8, "const": 0, "index": 0, "read": 0}
_LOOKBACK = 12  # kernels that a root may still join
_LARGE = 2**20  # entries that no cache holds
_STRAIGHT = 400  # nodes of straight-line code in one function: LLVM is quadratic beyond
_RAGGED = 16  # one-dimensional loops may be this much shorter than the longest in their kernel
_WIDE = 256  # bytes of a row from which on its columns are summed while it's made
_TURNED = 4096  # entries of a copy that turns memory over, from which on it has a loop of its own


@dataclass(eq=False)
class Kernel:
    """One loop nest: over `shape`, and inside it over `extents` for what is folded.

    `inner` is computed at every point of both, `outer` after the folds at every point of `shape`.
    """

    shape: Shape
    extents: Shape
    inner: list[Value] = field(default_factory=list)
    outer: list[Value] = field(default_factory=list)
    late: set[int] = field(default_factory=set)  # roots that are known after the folds only
    touched: set[int] = field(default_factory=set)  # whose memory is read or written
    ragged: bool = False  # some inner roots end earlier than others
    alone: bool = False  # nothing else may join
    work: int = 0  # nodes of all expressions
    turned: set[int] = field(default_factory=set)  # roots of two axes, whose counters are exchanged

    @property
    def domain(self) -> Shape:
        return self.shape + self.extents

    @property
    def roots(self) -> list[Value]:
        return self.inner + self.outer

    def add(self, value: Value, needs: Needs, after: bool = False) -> None:
        """Take in a root, to be computed after the folds or with them."""
        (self.outer if after else self.inner).append(value)
        if after or value.how == "fold":
            self.late.add(value.number)
        self.touched |= needs.memory
        self.touched.add(value.number)
        self.work += needs.work


@dataclass(eq=False)
class Needs:
    """What a root's expression reads, the memory of whatever is large there, and its size."""

    reads: list[tuple[Value, tuple[Node, ...]]]
    memory: set[int]
    work: int


@dataclass(eq=False)
class Clusters:
    """The order of work: kernels, externals, checks and loops, and each root's whole expression."""

    steps: list[Kernel | Value]
    expressions: dict[int, Node]
    roots: set[int]


def cluster(values: Sequence[Value], outputs: Sequence[Value]) -> Clusters:
    """Choose the roots and group them; once more where something costly fell between kernels."""
    roots = first_roots(values, outputs)
    for _ in range(3):
        expander = Expander(roots)
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


def first_roots(values: Sequence[Value], outputs: Sequence[Value]) -> set[int]:
    roots: set[int] = {v.number for v in outputs}
    readers: dict[int, list[tuple[Value, int]]] = {}
    for value in values:
        if value.how not in ("entry", "fold"):
            roots.add(value.number)
            whole = value.operands if value.expression is None else [p for p, _, _ in value.parts]
            roots |= {operand.number for operand in whole}
        if value.stored:
            roots.add(value.number)
        for source, index in value.reads:
            readers.setdefault(source.number, []).append((value, len(index)))
        if value.how == "fold":
            roots.add(value.number)
    depth: dict[int, int] = {}
    costs: dict[int, int] = {}
    memory: dict[int, set[Value]] = {}  # what is read where a value is written out
    for value in values:
        if value.how != "entry":
            continue
        inlined = [v for v in value.operands if v.number not in roots]
        memory[value.number] = {v for v in value.operands if v.number in roots}
        memory[value.number].update(*[memory.get(v.number, ()) for v in inlined])
        depth[value.number] = 1 + max((depth.get(v.number, 0) for v in inlined), default=0)
        cost = own_cost(value) + sum(costs.get(v.number, 0) for v in inlined)
        costs[value.number] = cost
        if value.number in roots:
            continue
        # A number that is used twice is remembered: it lies in a register where it can.
        again = not value.shape and len(readers.get(value.number, ())) > 1
        if depth[value.number] >= _DEPTH or (
            cost > 0 and (again or _repeated(value, cost, readers, memory[value.number]))
        ):
            roots.add(value.number)
    return roots


def _repeated(
    value: Value, cost: int, readers: dict[int, list[tuple[Value, int]]], memory: set[Value]
) -> bool:
    """Whether writing a value out where it's read would compute its entries again and again."""
    for reader, _ in readers.get(value.number, ()):
        times = math.prod(reader.domain) / max(value.size, 1)
        if times <= 1.5:
            continue
        # A number, or one per row, is worked out outside the inner loop anyway.
        if value.size == 1 and cost <= 2 * _COSTLY:
            continue
        # Cheaper to make from little memory than to read from much.
        if cost <= 2 and sum(v.size for v in memory) * 4 <= value.size and times <= 64:
            continue
        return True
    return False


def _torn(expander: Expander, where: dict[int, int]) -> set[int]:
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


# ---- grouping ------------------------------------------------------------------------------------


def _grouped(
    values: Sequence[Value], expander: Expander, roots: set[int]
) -> tuple[list[Kernel | Value], dict[int, int]]:
    """Steps in an order that respects who reads whom; and the step of each root."""
    steps: list[Kernel | Value] = []
    where: dict[int, int] = {}
    for value in numbers_first(values):
        if value.number not in roots:
            continue
        if value.how in ("entry", "fold"):
            _place(value, expander, steps, where)
        elif value.how in ("input", "literal"):
            where[value.number] = -1
        elif value.how in ("part", "alias"):
            where[value.number] = where[value.operands[0].number]
        else:
            if value.expression is not None:
                expander.root(value)
            where[value.number] = len(steps)
            steps.append(value)
    return steps, where


def _needs(expression: Node) -> Needs:
    nodes = postorder([expression])
    reads = [(n.attr, n.args) for n in nodes if n.op == "read"]
    expression.graph.reads[expression.number] = reads
    return Needs(reads, {memory_of(v).number for v, _ in reads if v.size > 1}, len(nodes))


def _place(
    value: Value, expander: Expander, steps: list[Kernel | Value], where: dict[int, int]
) -> None:
    """Into the latest kernel that takes it, or into a new one."""
    expression = expander.root(value)
    needs = _needs(expression)
    alone = value.how == "entry" and value.size >= _TURNED and _turns_over(expression)
    if value.how == "fold" and len(value.domain) == 2:
        _delay(value, needs, steps, where, expander)
    earliest = max((where[source.number] for source, _ in needs.reads), default=-1)
    lowest = max(earliest, len(steps) - _LOOKBACK, 0)
    near = range(len(steps) - 1, lowest - 1, -1)
    # Large results of what was made far before, and short sums of it: they needn't go through
    # memory once more.
    large = value.size >= _LARGE or _condenses(value)
    far = [earliest] if 0 <= earliest < lowest and large else []
    for position in () if alone else (*near, *far):
        kernel = steps[position]
        if not isinstance(kernel, Kernel) or kernel.alone:
            continue
        if _joins(value, needs, kernel, position, where):
            where[value.number] = position
            return
    where[value.number] = len(steps)
    kernel = Kernel(value.shape, value.extents, alone=alone)
    kernel.add(value, needs)
    steps.append(kernel)


def _condenses(value: Value) -> bool:
    """Whether little is left of much."""
    return value.how == "fold" and math.prod(value.extents) >= _TURNED


def _delay(
    value: Value,
    needs: Needs,
    steps: list[Kernel | Value],
    where: dict[int, int],
    expander: Expander,
) -> None:
    """Move a kernel whose entries a sum reads to the end, if nothing since has read any of them."""
    for source, index in needs.reads:
        at = where[source.number]
        kernel = steps[at] if 0 <= at < len(steps) - 1 else None
        if not isinstance(kernel, Kernel) or kernel.extents:
            continue
        shape = kernel.shape[::-1] if _is_turned(index) else kernel.shape
        if shape != value.domain or not (_is_turned(index) or is_counting(index)):
            continue
        own = {root.number for root in kernel.roots}
        if any(_reads_any(step, own, expander) for step in steps[at + 1 :]):
            continue
        steps.append(steps.pop(at))
        for number, place in where.items():
            where[number] = len(steps) - 1 if place == at else place - (place > at)


def _reads_any(step: Kernel | Value, numbers: set[int], expander: Expander) -> bool:
    if isinstance(step, Kernel):
        return not step.touched.isdisjoint(numbers)
    read = [*step.operands, *(part for part, _, _ in step.parts)]
    if step.number in expander.expressions:  # and what is written out in it
        read += [source for source, _ in reads_of(expander.expressions[step.number])]
    return any(memory_of(value).number in numbers for value in read)


def _is_turned(index: Sequence[Node]) -> bool:
    """Whether an index is two counters, the second one first."""
    return [i.attr if i.op == "index" else -1 for i in index] == [1, 0]


def _turns_over(expression: Node) -> bool:
    """Whether all it does is to read memory with its axes in another order.

    Beside anything else, in loops that suit that, a copy would be written entry by entry.
    """
    if expression.op != "read":
        return False
    axes = [i.attr for i in expression.args if i.op == "index"]
    return axes != sorted(axes) and all(i.op in ("index", "const") for i in expression.args)


def _joins(
    value: Value, needs: Needs, kernel: Kernel, position: int, where: dict[int, int]
) -> bool:
    """Put a root into a kernel if its counters fit and all it reads is there by then."""
    here = [(source, index) for source, index in needs.reads if where[source.number] == position]
    if here and _joins_turned(value, needs, kernel, here):
        return True
    if any(source.how == "alias" or not is_counting(index) for source, index in here):
        return False
    if any(source.number in kernel.turned for source, _ in here):
        return False
    if not kernel.domain:
        if value.domain or kernel.work > _STRAIGHT:
            return False
        kernel.add(value, needs)
        return True
    late = any(source.number in kernel.late for source, _ in here)
    if value.how == "entry" and kernel.extents and value.shape == kernel.shape:
        if late or not kernel.shape or _shares(needs, kernel):
            kernel.add(value, needs, after=True)
            return True
        return False
    if late:
        return False
    if not kernel.ragged and _fits(value, needs, kernel, bool(here)):
        kernel.add(value, needs)
        return True
    return not here and _joins_ragged(value, needs, kernel)


def _fits(value: Value, needs: Needs, kernel: Kernel, reads_here: bool) -> bool:
    """Whether a root runs over just the counters of a kernel."""
    if value.how == "entry":
        if value.shape != kernel.domain:
            return False
        return not kernel.extents or _shares(needs, kernel)
    if (value.shape, value.extents) == (kernel.shape, kernel.extents):
        small = math.prod(kernel.domain) <= 4096
        return reads_here or small or _shares(needs, kernel)
    if not kernel.extents and value.domain == kernel.shape and _full(needs, value):
        kernel.shape, kernel.extents = value.shape, value.extents
        return True
    return False


def _joins_turned(
    value: Value, needs: Needs, kernel: Kernel, here: list[tuple[Value, tuple[Node, ...]]]
) -> bool:
    """A sum down the columns of what a kernel makes row by row: one sweep over memory for both."""
    if value.how != "fold" or value.domain != kernel.shape[::-1] or len(value.extents) != 1:
        return False
    if kernel.extents or kernel.ragged or any(v.shape != kernel.shape for v in kernel.inner):
        return False
    if value.size * value.dtype.itemsize < _WIDE or len(value.shape) != 1:
        return False
    if not all(_is_turned(index) for _, index in here):
        return False
    kernel.turned = {v.number for v in kernel.inner}
    kernel.shape, kernel.extents = value.shape, value.extents
    kernel.add(value, needs)
    return True


def _joins_ragged(value: Value, needs: Needs, kernel: Kernel) -> bool:
    """One-dimensional loops of nearly the same length run as one."""
    if len(value.domain) != 1 or len(kernel.domain) != 1:
        return False
    longer = max(value.domain[0], kernel.domain[0])
    if longer < 4 * _RAGGED or abs(value.domain[0] - kernel.domain[0]) > _RAGGED:
        return False
    if not _shares(needs, kernel) or (value.extents and not kernel.extents and kernel.outer):
        return False
    if value.extents or kernel.extents:
        kernel.shape, kernel.extents = (), (longer,)
    else:
        kernel.shape = (longer,)
    kernel.ragged = True
    kernel.add(value, needs)
    return True


def _full(needs: Needs, value: Value) -> bool:
    """Whether everything large that a fold reads is read along all its counters."""
    count = len(value.domain)
    for source, index in needs.reads:
        used = {n.attr for n in postorder(index) if n.op == "index"}
        if source.size > 1 and len(used) < count and source.size * 64 > math.prod(value.domain):
            return False
    return True


def _shares(needs: Needs, kernel: Kernel) -> bool:
    """Whether a kernel reads or makes something that a new root reads."""
    return not needs.memory or not needs.memory.isdisjoint(kernel.touched)


def memory_of(value: Value) -> Value:
    """Whose memory a value lies in."""
    while value.same_memory_as is not None:
        value = value.same_memory_as
    return value
