"""A loop nest as an LLVM function, with its vectors and tiles written out."""

from __future__ import annotations

import itertools
from typing import Any

from chainrule.emit.function import Library
from chainrule.emit.lanes import LanePrinter, Places, mask_of, moved_store
from chainrule.emit.section import Level, Section
from chainrule.emit.text import kernel_text, literal, scalar_name, type_name
from chainrule.loops.nest import Fold, Nest, Store, breakpoints, settled
from chainrule.loops.scalar import Node, bits_of, rebuilt
from chainrule.loops.schedule import Schedule

_IDENTITY = {"add": 0, "mul": 1, "or": False, "and": True}


def identity(combine: str, kind: str) -> Any:
    """What leaves every number as it is when combined with it."""
    if combine in _IDENTITY:
        return _IDENTITY[combine]
    if kind[0] == "f":
        return float("-inf") if combine == "max" else float("inf")
    if kind == "i1":
        return combine == "min"
    bits = bits_of(kind)
    if kind[0] == "u":
        return 0 if combine == "max" else 2**bits - 1
    return -(2 ** (bits - 1)) if combine == "max" else 2 ** (bits - 1) - 1


def end(long: bool) -> list[str]:
    """How a kernel's function ends."""
    return ["ret i1 false", "stopped:", "ret i1 true"] if long else ["ret void"]


class KernelPrinter(LanePrinter):
    """Prints one nest as `void (ptr scratch, ptr context, ptr …)`.

    Where that takes `long`, it gives an `i1`: whether it was stopped.
    """

    def __init__(
        self, name: str, nest: Nest, plan: Schedule, library: Library, places: Places
    ) -> None:
        super().__init__(nest, plan, library, places)
        self.name = name
        # Outermost first; what is folded stays inside.
        self.order = sorted(range(len(nest.domain)), key=lambda k: (k != plan.outermost, k))
        self.entry = Section()
        self.block = "entry"
        self.base: dict[int, Node] = {}  # where the loop over each axis stands
        self.tile: dict[int, int] = {}
        self.sums: dict[tuple[int, tuple[int, ...]], str] = {}
        self.folding = False
        self.parts: list[str] = []  # functions that threads run
        self.shared = False  # whether there are any
        self.long = plan.is_long
        self.partial = ""  # where their sums are
        self.stores: tuple[list[Store], list[Fold], list[Store]] = ([], [], [])

    def text(self, room: int) -> str:
        """The function, after those that its threads run; put in place if it has room there."""
        body = Section()
        self.levels = [Level(body)]
        self.stores = (self.nest.inner, self.nest.folds, self.nest.outer)
        if 0 not in self.nest.shape:
            self._axis(0)
        for line in end(self.long):
            self._line(line)
        lines = ["entry:", *self.scratch_lines(), *self._body_lines(body)]
        buffers = [value.number for value in self.arguments]
        return "\n".join([*self.parts, kernel_text(self.name, buffers, lines, room, self.long)])

    def _body_lines(self, body: Section) -> list[str]:
        lines = [f"  {line}" for line in self.entry.lines()]
        return lines + [line if line.endswith(":") else f"  {line}" for line in body.lines()]

    # ---- loops -----------------------------------------------------------------------------------

    def _axis(self, depth: int) -> None:
        """Loops from one counter inwards."""
        count = len(self.nest.shape)
        if depth == count and self.nest.extents and not self.folding:
            self._fold_around(depth)
            return
        if depth == len(self.order):
            self._inside()
            return
        axis = self.order[depth]
        end = self.nest.domain[axis]
        if axis == len(self.nest.domain) - 1 or axis == self.plan.vector:
            points = breakpoints(self.nest, axis)
        else:
            points = [0, end]
        saved = self.stores
        for low, high in itertools.pairwise(points):
            self.stores = self._settled(saved, axis, low, high)
            self._stretch(depth, axis, low, high)
        self.stores = saved

    def _settled(self, stores: Any, axis: int, low: int, high: int) -> Any:
        """What is to be done while a counter runs from low to high − 1."""
        inner, folds, outer = stores
        if axis == len(self.nest.domain) - 1:
            inner = [s for s in inner if s.limit >= high]
            folds = [f for f in folds if f.limit >= high]
        if (low, high) == (0, self.nest.domain[axis]):
            return inner, folds, outer
        nodes = [n for s in (*inner, *outer) for n in (s.node, s.offset)] + [f.node for f in folds]
        found = iter(rebuilt(nodes, self.graph, settled(axis, low, high)))
        inner = [moved_store(s, next(found), next(found)) for s in inner]
        outer = [moved_store(s, next(found), next(found)) for s in outer]
        return inner, [Fold(f.value, next(found), f.limit) for f in folds], outer

    def _stretch(self, depth: int, axis: int, low: int, high: int) -> None:
        """One stretch of a counter: whole rounds in a loop, then the rest."""
        whole = high - (high - low) % self._step_of(axis)
        self._rounds(depth, axis, low, whole)
        self._remainder(depth, axis, whole, high)

    def _step_of(self, axis: int) -> int:
        """How far a counter goes in one round."""
        return self.plan.unroll[axis] * (self.plan.lanes if axis == self.plan.vector else 1)

    def _rounds(self, depth: int, axis: int, low: int, high: int) -> None:
        """Whole rounds: one by itself, or several in a loop."""
        step = self._step_of(axis)
        self.tile[axis] = self.plan.unroll[axis]
        if high - low > step:
            self._loop(depth, axis, str(low), str(high), step)
        elif high > low:
            self.base[axis] = self.graph.const(low, "i64")
            self._axis(depth + 1)

    def _remainder(self, depth: int, axis: int, low: int, high: int) -> None:
        """What is less than a round."""
        if low == high:
            return
        lanes = self.plan.lanes if axis == self.plan.vector else 1
        if axis == self.plan.vector:
            self.rest = (high - low) % lanes or None
        self.tile[axis] = -(-(high - low) // lanes)
        self.base[axis] = self.graph.const(low, "i64")
        self._axis(depth + 1)
        if axis == self.plan.vector:
            self.rest = None

    def _loop(self, depth: int, axis: int, low: str, high: str, step: int) -> None:
        """Turns from low to high."""
        self.base[axis] = self.graph.index(axis)
        level = self.levels[-1]
        before = self.block
        label = f"loop{next(self.count)}"
        counter = f"%i{next(self.count)}"
        level.hoist = level.body.section()
        level.body.add(f"br label %{label}")
        level.body.add(f"{label}:")
        phi = level.body.section()
        inner = level.body.section()
        self.block = label
        self.levels.append(Level(inner))
        self.depth_of[axis] = len(self.levels) - 1
        self.counter[axis] = counter
        self.known_depth = {}  # a counter stands elsewhere now
        self._axis(depth + 1)
        self.levels.pop()
        self.known_depth = {}  # a counter stands elsewhere now
        self._turn_over(depth, counter, step)
        after = f"{counter}.next"
        phi.add(f"{counter} = phi i64 [ {low}, %{before} ], [ {after}, %{self.block} ]")
        done = f"done{next(self.count)}"
        level.body.add(f"{after} = add nuw nsw i64 {counter}, {step}")
        level.body.add(f"{counter}.more = icmp ult i64 {after}, {high}")
        level.body.add(f"br i1 {counter}.more, label %{label}, label %{done}")
        level.body.add(f"{done}:")
        self.block = done
        level.hoist = level.body

    def _turn_over(self, depth: int, counter: str, step: int) -> None:
        """What is to be done after each turn of a loop."""

    # ---- folds -----------------------------------------------------------------------------------

    def _fold_around(self, depth: int) -> None:
        """Set the sums to nothing, run the inner loops, gather the lanes, and store."""
        count = len(self.nest.shape)
        plan = self.plan
        across = plan.vector is not None and plan.vector >= count
        rows = [range(self.tile[a]) for a in range(count)]
        saved = dict(self.sums)
        combos = list(itertools.product(*rows))
        copies = 1
        for axis in range(count, len(self.order)):
            copies *= plan.unroll[axis]
        self.sums = {}
        for fold in self.nest.folds:
            for combo in combos:
                for copy in range(copies):
                    key = (fold.value.number, (copy, *combo))
                    self.sums[key] = self.new_sum(*key)
        self.folding = True
        self._axis(depth)
        self.folding = False
        for combo in combos:
            self._finish(combo, copies, across)
        self.sums = saved

    def new_sum(self, number: int, key: tuple[int, ...]) -> str:
        """Memory for what is combined, set to what leaves every number as it is."""
        fold = next(f for f in self.nest.folds if f.value.number == number)
        kind, wide = fold.node.kind, self._lanes()
        start = literal(identity(fold.value.combine, kind), kind)
        start = start if wide == 1 else f"splat ({scalar_name(kind)} {start})"
        name = f"%sum{next(self.count)}"
        self.entry.add(f"{name} = alloca {type_name(kind, wide)}, align 64")
        self._line(f"store {type_name(kind, wide)} {start}, ptr {name}")
        return name

    def _finish(self, combo: tuple[int, ...], copies: int, across: bool) -> None:
        """The results of one row, and what is made of them."""
        plan = self.plan
        wide = plan.lanes if plan.vector is not None else 1
        results: dict[int, str] = {}
        for fold in self.nest.folds:
            kind = fold.node.kind
            parts = []
            for copy in range(copies):
                name = self.sums[fold.value.number, (copy, *combo)]
                parts.append(self._new(f"load {type_name(kind, wide)}, ptr {name}"))
            while len(parts) > 1:
                pairs = [parts[k : k + 2] for k in range(0, len(parts), 2)]
                parts = [
                    self._combined(fold.value.combine, kind, wide, *p) if len(p) == 2 else p[0]
                    for p in pairs
                ]
            whole = parts[0]
            if across and wide > 1:
                whole = self._gathered(fold.value.combine, kind, wide, whole)
            results[fold.value.number] = whole
        self._store_all(self.stores[2], combo, results, across)

    def _combined(self, combine: str, kind: str, lanes: int, a: str, b: str) -> str:
        here = type_name(kind, lanes)
        if combine in ("min", "max"):
            full = {"f": f"{combine}imum", "u": f"u{combine}"}.get(kind[0], f"s{combine}")
            if kind == "i1":
                return self._new(f"{'and' if combine == 'min' else 'or'} {here} {a}, {b}")
            size = kind if kind[0] == "f" else f"i{kind[1:]}"
            name = f"@llvm.{full}.{size if lanes == 1 else f'v{lanes}{size}'}"
            self.library.declarations.add(f"declare {here} {name}({here}, {here})")
            return self._new(f"call {here} {name}({here} {a}, {here} {b})")
        if kind[0] == "f":
            return self._new(f"f{combine} contract {here} {a}, {b}")
        return self._new(f"{combine} {here} {a}, {b}")

    def _gathered(self, combine: str, kind: str, lanes: int, vector: str) -> str:
        """All lanes of a vector combined, halves first: the same order on every machine."""
        while lanes > 1:
            half = lanes // 2
            here = type_name(kind, lanes)
            parts = []
            for start in (0, half):
                picks = ", ".join(f"i32 {start + k}" for k in range(half))
                parts.append(
                    self._new(
                        f"shufflevector {here} {vector}, {here} poison, <{half} x i32> <{picks}>"
                    )
                )
            if half == 1:
                one = type_name(kind, 1)
                parts = [self._new(f"extractelement <1 x {one}> {p}, i64 0") for p in parts]
            vector = self._combined(combine, kind, half, *parts)
            lanes = half
        return vector

    def _inside(self) -> None:
        """The innermost point: everything once per place in the tile."""
        count = len(self.nest.shape)
        inner, folds, outer = self.stores
        later: list[tuple[Store, int | None]] = []
        terms: list[tuple[Fold, Node, tuple[int, ...], int | None]] = []
        for combo in itertools.product(*[range(self.tile[a]) for a in sorted(self.order)]):
            copy = 0
            for axis in range(count, len(self.order)):
                copy = copy * self.plan.unroll[axis] + combo[axis]
            here = list(inner) if self.nest.extents else [*inner, *outer]
            nodes = [n for s in here for n in (s.node, s.offset)] + [f.node for f in folds]
            found = iter(rebuilt(nodes, self.graph, self._moved(combo)))
            partial = self._partial(combo)
            later += [(moved_store(s, next(found), next(found)), partial) for s in here]
            terms += [(f, next(found), (copy, *combo[:count]), partial) for f in folds]
        if later:
            # Everything is read before anything is stored: a store may replace what others read,
            # and a load that overlaps a store in flight waits for it.
            self._ready([*[s.node for s, _ in later], *[t[1] for t in terms]], self._lanes())
        for store, partial in later:
            self._store(store, partial, self._lanes())
        for fold, term, key, partial in terms:
            self._accumulate(fold, term, key, partial)

    def _ready(self, nodes: list[Node], lanes: int) -> None:
        """Compute some values."""
        for node in nodes:
            self.operand(node, lanes)

    def _accumulate(
        self, fold: Fold, node: Node, key: tuple[int, ...], partial: int | None
    ) -> None:
        kind, combine = node.kind, fold.value.combine
        lanes = self._lanes()
        name = self.sums[fold.value.number, key]
        here = type_name(kind, lanes)
        term = self.operand(node, lanes)
        if (
            partial is not None
            and self.plan.vector is not None
            and (self.plan.vector >= len(self.nest.shape))
        ):
            start = literal(identity(combine, kind), kind)
            mask = mask_of(lanes, partial)
            term = self._new(
                f"select <{lanes} x i1> {mask}, {here} {term}, "
                f"{here} splat ({scalar_name(kind)} {start})"
            )
        before = self._new(f"load {here}, ptr {name}")
        after = self._combined(combine, kind, lanes, before, term)
        self._line(f"store {here} {after}, ptr {name}")

    def _store_all(
        self, stores: list[Store], combo: tuple[int, ...], results: dict[int, str], across: bool
    ) -> None:
        """What is made of the folds' results at one place of the outer tile."""
        graph = self.graph
        moved = self._moved(combo)

        def change(node: Node) -> Node | None:
            if node.op == "fold":
                # Every place in the tile has its own results.
                return graph.make("result", node.kind, attr=(node.attr.number, combo))
            return moved(node)

        nodes = [n for s in stores for n in (s.node, s.offset)]
        found = iter(rebuilt(nodes, graph, change))
        self.results = {(number, combo): name for number, name in results.items()}
        self.results_vary = not across and self.plan.vector is not None
        lanes = 1 if across else self._lanes()
        self.known_vary = {}
        level = self.levels[-1]
        made = [moved_store(store, next(found), next(found)) for store in stores]
        self._ready([s.node for s in made], lanes)
        for store in made:
            self._store(store, self._partial(combo), lanes)
        # The next round's results have the same nodes and other names.
        level.names = {}
        self.known_vary = {}

    # ---- one place in the tile -------------------------------------------------------------------

    def _lanes(self) -> int:
        return 1 if self.plan.vector is None else self.plan.lanes

    def _partial(self, combo: tuple[int, ...]) -> int | None:
        """How many lanes count, in the last vector of a stretch that doesn't fill it."""
        vector = self.plan.vector
        if vector is None or vector >= len(combo) or combo[vector] + 1 < self.tile[vector]:
            return None
        return self.rest

    def _moved(self, combo: tuple[int, ...]) -> Any:
        """A change for `rebuilt`: counters at one place of the tile."""
        graph = self.graph

        def change(node: Node) -> Node | None:
            if node.op != "index" or node.attr >= len(combo):
                return None
            axis = node.attr
            if axis == self.plan.vector:
                lane = graph.make("lane", "i64", attr=self._partial(combo))
                return self.base[axis] + lane + combo[axis] * self.plan.lanes
            return self.base[axis] + combo[axis]

        return change
