"""Values between a program and its loops: what each array's entries are made of.

A value says how one entry is computed from entries of other values: an expression over the counters
`index(0) … index(n-1)` of its axes, whose leaves `read` other values at some place. Nothing runs
yet; which values get memory, and which loops compute them, is decided afterwards (see cluster.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.place import Place
from chainrule.loops.call import Branch, Linked, Product, Scan, While, WhileBack
from chainrule.loops.draw import GROUP, Distribution, Philox
from chainrule.loops.scalar import (
    Graph,
    Node,
    bits,
    convert,
    copysign,
    fma,
    postorder,
    scalar_type,
    select,
)

Shape = tuple[int, ...]
Index = tuple[Node, ...]


@dataclass(eq=False, slots=True)
class Value:
    """One array, or number, of a program on its way to loops.

    Args:
        number: position in the order of definition.
        shape, kind: as in memory; kind is None for numbers that no scalar holds (complex ones).
        how: "input", "literal", "entry", "fold", "alias", "assemble", "check", "external" (code
            that isn't ours to fuse, and loops), "part" (a further output of one), "running" (totals
            along an axis, `call`) or "scatter" (writes to computed places, over `extents`).
        expression: what one entry is; of a fold, what is combined, its counters after the axes'.
        combine, extents: of a fold: add, mul, min, max, and, or; how far its counters run.
        parts: of an assembly: (value, first place, steps) of each piece, counted in entries.
        call: of an external: what runs it; of a check: the number of the equation that fails.
    """

    number: int
    shape: Shape
    dtype: np.dtype[Any]
    kind: str | None
    how: str
    graph: Graph
    expression: Node | None = None
    combine: str = ""
    extents: Shape = ()
    parts: tuple[tuple[Value, int, Shape], ...] = ()
    call: Any = None
    operands: tuple[Value, ...] = ()
    same_memory_as: Value | None = None
    place: Place | None = None
    stored: bool = False
    reads: list[tuple[Value, Index]] = field(default_factory=list)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def domain(self) -> Shape:
        """All counters over which the expression runs."""
        return self.extents if self.how == "scatter" else self.shape + self.extents

    def __call__(self, *index: Node) -> Node:
        """The entry at a place."""
        assert self.kind is not None
        assert len(index) == self.ndim
        if self.expression is not None and self.expression.op == "const" and self.how == "entry":
            return self.expression  # rules see what is known
        return self.graph.make("read", self.kind, *index, attr=self)

    def __repr__(self) -> str:
        return f"v{self.number}"

    def __hash__(self) -> int:
        return self.number


class Scalars:
    """The scalar operations, as lowering rules are handed them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    select = staticmethod(select)
    fma = staticmethod(fma)
    cast = staticmethod(convert)
    bits = staticmethod(bits)
    copysign = staticmethod(copysign)

    def const(self, value: Any, kind: str) -> Node:
        return self.graph.const(value, kind)

    def call(self, name: str, *args: Node) -> Node:
        """A function of `mathematics`."""
        return self.graph.call(name, *args)

    def unary(self, op: str, x: Node) -> Node:
        """sqrt, floor, ceil, trunc, rint, abs."""
        return self.graph.make(op, x.kind, x)

    def compare(self, relation: str, x: Node, y: Node) -> Node:
        """lt, le, gt, ge, eq, ne."""
        return self.graph.binary(relation, x, y)

    def is_nan(self, x: Node) -> Node:
        return self.graph.make("ne", "i1", x, x)


class Builder(Scalars):
    """What lowering rules build values with."""

    def __init__(self) -> None:
        super().__init__(Graph())
        self.values: list[Value] = []
        self.place: Place | None = None
        self.equation = -1  # the one that is being lowered
        self.quiet = False  # some of what it computes isn't used: divided by zero, perhaps
        self.body: Callable[[Any], Any]  # lowers a program inside this one
        self.links: Callable[[], bool] = lambda: False  # whether LAPACK's routines can be called

    def _new(self, shape: Sequence[int], dtype: Any, how: str, **more: Any) -> Value:
        dtype = np.dtype(dtype)
        kind = scalar_type(dtype) if dtype.kind in "bf" or dtype.kind in "iu" else None
        if kind in ("f16", "f128", "f96"):
            kind = None
        value = Value(
            len(self.values), tuple(shape), dtype, kind, how, self.graph, place=self.place, **more
        )
        if value.expression is not None:
            describe_reads(value)
        self.values.append(value)
        return value

    def at(self, value: Value, index: Sequence[Node], dtype: Any = None) -> Node:
        """The entry that broadcasting puts at a place, converted."""
        own = index[len(index) - value.ndim :]
        node = value(*self.broadcast_index(value.shape, own))
        return node if dtype is None else convert(node, scalar_type(np.dtype(dtype)))

    def written_out(self, value: Value, index: Sequence[Node]) -> Node:
        """The entry at a place, computed there from what isn't as large, never from memory.

        For a reader that reads hardly more entries than there are.
        """

        def here(inner: Value, place: Index) -> Node:
            large = inner.how == "entry" and not inner.stored and inner.size >= value.size
            if not large or inner.expression is None:
                return inner(*place)
            made: dict[int, Node] = {}
            for node in postorder([inner.expression]):
                args = tuple(made[a.number] for a in node.args)
                if node.op == "index":
                    other = place[node.attr]
                elif node.op == "read":
                    other = here(node.attr, args)
                else:
                    other = self.graph.make(node.op, node.kind, *args, attr=node.attr)
                made[node.number] = other
            return made[inner.expression.number]

        return here(value, tuple(index))

    def broadcast_index(self, shape: Shape, index: Sequence[Node]) -> Index:
        """Where in an array of this shape the entry lies that broadcasting puts at a place."""
        own = index[len(index) - len(shape) :]
        zero = self.graph.const(0, "i64")
        return tuple(zero if n == 1 else i for i, n in zip(own, shape, strict=True))

    def within(self, i: Node, start: int, step: int, count: int) -> Node:
        """Whether a counter is one of start, start ± 1, …, as many as count."""
        low, high = (start, start + count) if step > 0 else (start - count + 1, start + 1)
        return (i >= low) & (i < high)

    def truth(self, x: Node) -> Node:
        """Whether a number isn't zero."""
        return convert(x, "i1")

    def input(self, shape: Shape, dtype: Any) -> Value:
        """Memory that is given."""
        return self._new(shape, dtype, "input")

    def literal(self, array: np.ndarray) -> Value:
        """Memory whose contents stand in the code."""
        return self._new(array.shape, array.dtype, "literal", call=np.array(array, order="C"))

    def scan(
        self, body: Any, length: int, consts: int, carry: int, reverse: bool,
        operands: Sequence[Value], outputs: Sequence[tuple[Shape, Any]],
    ) -> tuple[Value, ...]:  # fmt: skip
        """A body run again and again; see `Scan`."""
        call = Scan(self.body(body), length, consts, carry, reverse)
        return self.external(call, operands, outputs)

    def while_loop(
        self, cond: Any, body: Any, seen: int, consts: int,
        operands: Sequence[Value], outputs: Sequence[tuple[Shape, Any]],
    ) -> tuple[Value, ...]:  # fmt: skip
        """A body run while a condition holds; see `While`."""
        return self.external(
            While(self.body(cond), self.body(body), seen, consts), operands, outputs
        )

    def while_back(
        self, cond: Any, body: Any, back: Any, seen: int, consts: int, carry: int,
        operands: Sequence[Value], outputs: Sequence[tuple[Shape, Any]],
    ) -> tuple[Value, ...]:  # fmt: skip
        """The reverse of such a loop; see `WhileBack`."""
        first, second, third = map(self.body, (cond, body, back))
        call = WhileBack(first, second, third, seen, consts, carry, self.equation)
        return self.external(call, operands, outputs)

    def cond(
        self, branches: Sequence[Any], operands: Sequence[Value],
        outputs: Sequence[tuple[Shape, Any]],
    ) -> tuple[Value, ...]:  # fmt: skip
        """One of two bodies; see `Branch`."""
        first, second = (self.body(branch) for branch in branches)
        return self.external(Branch((first, second)), operands, outputs)

    def words(self, keys: Value, starts: Value, region: int, least: int) -> Value:
        """At least so many random words of each of several keys; see `Philox`."""
        whole = max(1, -(-least // GROUP)) * GROUP
        shape = (keys.shape[0], whole)
        return self.external(Philox(region, keys.shape[0]), (keys, starts), [(shape, np.uint64)])[0]

    def distribution(self, keys: Value, size: int, dtype: Any, **call: Any) -> Value:
        """So many numbers for each of several keys; see `Distribution`."""
        count = keys.shape[0]
        return self.external(Distribution(count, **call), (keys,), [((count, size), dtype)])[0]

    def routine(
        self, name: str, rows: int, columns: int, operands: Sequence[Value],
        outputs: Sequence[tuple[Shape, Any]], lower: bool = True,
    ) -> tuple[Value, ...]:  # fmt: skip
        """A routine of LAPACK on each matrix of a stack; see `Linked`."""
        count = math.prod(operands[0].shape[:-2])
        call = Linked(name, count, rows, columns, self.equation, lower)
        return self.external(call, operands, outputs)

    def product(self, x: Value, y: Value, shape: Shape, turned: tuple[bool, bool]) -> Value:
        """Matrices multiplied by BLAS; see `Product`. Operands have the shape's stack, or none."""
        inner = x.shape[-2 if turned[0] else -1]
        count = math.prod(shape[:-2])
        repeated = (x.ndim == 2, y.ndim == 2)
        assert x.kind is not None
        call = Product(x.kind, count, shape[-2], inner, shape[-1], turned, repeated)
        return self.external(call, (x, y), [(shape, x.dtype)])[0]

    def counters(self, count: int, first: int = 0) -> Index:
        return tuple(self.graph.index(first + k) for k in range(count))

    def entry(self, shape: Shape, dtype: Any, rule: Callable[..., Node]) -> Value:
        """An array whose entry at index (i, j, …) is `rule(i, j, …)`."""
        expression = rule(*self.counters(len(shape)))
        return self._new(shape, dtype, "entry", expression=expression)

    def fold(
        self, combine: str, shape: Shape, extents: Shape, dtype: Any, rule: Callable[..., Node]
    ) -> Value:
        """Entries combined over further counters: `rule(i, j, …, r, s, …)`."""
        if all(n == 1 for n in extents):
            first = (self.graph.const(0, "i64"),) * len(extents)
            return self.entry(shape, dtype, lambda *i: rule(*i, *first))
        expression = rule(*self.counters(len(shape) + len(extents)))
        return self._new(
            shape, dtype, "fold", expression=expression, combine=combine, extents=tuple(extents)
        )

    def reduce(self, combine: str, out: Any, x: Value, axis: Sequence[int]) -> Value:
        """The entries of x along some axes, combined, as a type says."""

        def entry(*index: Node) -> Node:
            own, over = iter(index[: len(out.shape)]), iter(index[len(out.shape) :])
            return self.at(x, [next(over if k in axis else own) for k in range(x.ndim)], out.dtype)

        extents = tuple(x.shape[k] for k in axis)
        return self.fold(combine, out.shape, extents, out.dtype, entry)

    def stored(self, x: Value) -> Value:
        """The same value, given memory: worth it where entries are read again and again."""
        x.stored = True
        return x

    def running(
        self, combine: str, shape: Shape, axis: int, dtype: Any, rule: Callable[..., Node]
    ) -> Value:
        """`rule(i, j, …)` added up, or multiplied, from the first entry along an axis to each."""
        if shape[axis] == 1:
            return self.entry(shape, dtype, rule)
        expression = rule(*self.counters(len(shape)))
        return self._new(shape, dtype, "running", expression=expression, combine=combine, call=axis)

    def scatter(
        self,
        base: Value,
        combine: str,
        extents: Shape,
        place: Callable[..., Sequence[Node]],
        rule: Callable[..., Node],
    ) -> Value:
        """A copy of `base` into which `rule(r, s, …)` is written at the index `place(r, s, …)`.

        One after the other in the order of the counters. Places must lie inside.

        Args:
            combine: how with what is there: add, or; "" replaces it.
        """
        counters = self.counters(len(extents))
        offset = self.graph.const(0, "i64")
        for i, step in zip(place(*counters), strides(base.shape), strict=True):
            offset = offset + i * step
        entry = rule(*counters)
        update = self.graph.make("update", entry.kind, offset, entry)
        start = self.entry(base.shape, base.dtype, lambda *i: base(*i))
        value = self._new(
            base.shape, base.dtype, "scatter", expression=update, combine=combine,
            extents=tuple(extents), parts=((start, 0, strides(base.shape)),),
        )  # fmt: skip
        value.operands = (start, *value.operands)
        return value

    def reshape(self, x: Value, shape: Shape) -> Value:
        """The same entries in the same order under another shape."""
        if [n for n in x.shape if n != 1] == [n for n in shape if n != 1]:
            return self.entry(shape, x.dtype, lambda *i: x(*_without_ones(self, i, shape, x.shape)))
        return self.view(x, shape, x.dtype)

    def view(self, x: Value, shape: Shape, dtype: Any) -> Value:
        """The same bytes in memory as numbers of another type, the lower half of one first."""
        return self._new(shape, dtype, "alias", operands=(x,), same_memory_as=x)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """The axes in another order."""
        places = {axis: k for k, axis in enumerate(axes)}
        shape = tuple(x.shape[axis] for axis in axes)
        return self.entry(
            shape, x.dtype, lambda *i: x(*[i[places[axis]] for axis in range(x.ndim)])
        )

    def assemble(
        self, shape: Shape, dtype: Any, parts: Sequence[tuple[Value, int, Shape]]
    ) -> Value:
        """Memory filled piece by piece."""
        operands = tuple(part for part, _, _ in parts)
        return self._new(shape, dtype, "assemble", parts=tuple(parts), operands=operands)

    def external(
        self, call: Any, operands: Sequence[Value], outputs: Sequence[tuple[Shape, Any]]
    ) -> tuple[Value, ...]:
        """Memory filled by code that isn't ours to fuse."""
        first = self._new(*outputs[0], "external", call=call)
        results = [first]
        for shape, dtype in outputs[1:]:
            results.append(self._new(shape, dtype, "part", operands=(first,)))
        first.operands = tuple(operands)
        first.call = (call, tuple(results))
        return tuple(results)

    def check(self, shape: Shape, rule: Callable[..., Node]) -> None:
        """The program fails, naming this equation, if `rule(i, j, …)` is true anywhere."""
        failing = self.fold("or", (), shape, bool, rule)
        self._new((), bool, "check", operands=(failing,), call=self.equation)


def _without_ones(b: Builder, index: Index, shape: Shape, target: Shape) -> Index:
    """The counters of the axes longer than one, in order, and 0 for the others."""
    kept = iter([i for i, n in zip(index, shape, strict=True) if n != 1])
    zero = b.graph.const(0, "i64")
    return tuple(zero if n == 1 else next(kept) for n in target)


def describe_reads(value: Value) -> None:
    """Enter what a value's expression reads."""
    assert value.expression is not None
    seen = postorder([value.expression])
    value.reads = [(node.attr, node.args) for node in seen if node.op == "read"]
    value.operands = tuple(dict.fromkeys(source for source, _ in value.reads))


def strides(shape: Shape) -> Shape:
    """Entries between neighbours along each axis, in C order."""
    steps = [1] * len(shape)
    for k in range(len(shape) - 2, -1, -1):
        steps[k] = steps[k + 1] * shape[k + 1]
    return tuple(steps)
