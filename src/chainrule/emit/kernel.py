"""A loop nest as an LLVM function, with its vectors and tiles written out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from chainrule.emit.function import Library
from chainrule.emit.text import constant, literal, memory_kind, scalar_name, type_name
from chainrule.loops.nest import Fold, Nest, Store, breakpoints, settled, step_along
from chainrule.loops.scalar import Node, bits_of, postorder, rebuilt
from chainrule.loops.schedule import Schedule
from chainrule.loops.value import Value

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


class Section:
    """Lines of text, some of which are written later than what follows them."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def add(self, line: str) -> None:
        self.parts.append(line)

    def section(self) -> Section:
        inner = Section()
        self.parts.append(inner)
        return inner

    def lines(self) -> Iterator[str]:
        for part in self.parts:
            if isinstance(part, Section):
                yield from part.lines()
            else:
                yield part


class Level:
    """One open loop: what was computed in it, and where more may be put before the next loop."""

    def __init__(self, body: Section) -> None:
        self.body = body
        self.hoist = body
        self.names: dict[tuple[int, bool], str] = {}


class KernelPrinter:
    """Prints one nest. `%b…` are the buffers; those that aren't scratch are `arguments`."""

    def __init__(
        self,
        name: str,
        nest: Nest,
        plan: Schedule,
        library: Library,
        places: dict[int, tuple[str, int]],
    ) -> None:
        self.name = name
        self.places = places
        self.nest = nest
        self.plan = plan
        self.library = library
        self.graph = nest.graph
        self.buffers: dict[int, Value] = {}
        self.count = itertools.count()
        self.order = list(range(len(nest.domain)))
        self.entry = Section()
        self.block = "entry"
        self.base: dict[int, Node] = {}  # where the loop over each axis stands
        self.depth_of: dict[int, int] = {}
        self.counter: dict[int, str] = {}
        self.tile: dict[int, int] = {}
        self.rest: int | None = None  # lanes of the last, partial vector
        self.levels: list[Level] = []
        self.known_depth: dict[int, int] = {}
        self.known_vary: dict[int, bool] = {}
        self.steps: dict[int, int | None] = {}
        self.results: dict[tuple[int, tuple[int, ...]], str] = {}
        self.results_vary = False
        self.sums: dict[tuple[int, tuple[int, ...]], str] = {}
        self.folded: dict[int, str] = {}
        self.stores: tuple[list[Store], list[Fold], list[Store]] = ([], [], [])

    def text(self) -> str:
        """The whole function."""
        body = Section()
        self.levels = [Level(body)]
        self.stores = (self.nest.inner, self.nest.folds, self.nest.outer)
        if 0 not in self.nest.shape:
            self._axis(0)
        self._line("ret void")
        head = ", ".join(["ptr %scratch", *[f"ptr %b{v.number}" for v in self.arguments]])
        lines = [f"define internal void {self.name}({head}) nounwind {{", "entry:"]
        for number in self.buffers:
            place, start = self.places.get(number, ("literal", 0))
            if place == "scratch":
                lines.append(f"  %b{number} = getelementptr i8, ptr %scratch, i64 {start}")
        lines += [f"  {line}" for line in self.entry.lines()]
        lines += [line if line.endswith(":") else f"  {line}" for line in body.lines()]
        return "\n".join([*lines, "}"])

    @property
    def arguments(self) -> list[Value]:
        """The buffers whose addresses the function is given."""
        return [
            value
            for number, value in self.buffers.items()
            if self.places.get(number, ("literal", 0))[0] != "scratch"
        ]

    # ---- loops -----------------------------------------------------------------------------------

    def _axis(self, depth: int) -> None:
        """Loops from one counter inwards."""
        count = len(self.nest.shape)
        if depth == count and self.nest.extents and not self.folded:
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
        inner = [_stored(s, next(found), next(found)) for s in inner]
        outer = [_stored(s, next(found), next(found)) for s in outer]
        return inner, [Fold(f.value, next(found), f.limit) for f in folds], outer

    def _stretch(self, depth: int, axis: int, low: int, high: int) -> None:
        """One stretch of a counter: whole rounds in a loop, then the rest."""
        lanes = self.plan.lanes if axis == self.plan.vector else 1
        step = self.plan.unroll[axis] * lanes
        rounds = (high - low) // step
        if rounds:
            self._round(depth, axis, low, low + rounds * step, step, self.plan.unroll[axis])
        low += rounds * step
        if low < high and lanes > 1 and high - low >= lanes:
            whole = (high - low) // lanes
            self._round(depth, axis, low, low + whole * lanes, whole * lanes, whole)
            low += whole * lanes
        if low < high:
            self.rest = high - low if lanes > 1 else self.rest
            self._round(depth, axis, low, high, high - low, -(-(high - low) // lanes))
            if lanes > 1:
                self.rest = None

    def _round(self, depth: int, axis: int, low: int, high: int, step: int, tile: int) -> None:
        self.tile[axis] = tile
        if high - low == step:
            self.base[axis] = self.graph.const(low, "i64")
            self._axis(depth + 1)
            return
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
        self._forget(axis)
        self._axis(depth + 1)
        self.levels.pop()
        self._forget(axis)
        after = f"{counter}.next"
        phi.add(f"{counter} = phi i64 [ {low}, %{before} ], [ {after}, %{self.block} ]")
        done = f"done{next(self.count)}"
        level.body.add(f"{after} = add nuw nsw i64 {counter}, {step}")
        level.body.add(f"{counter}.more = icmp ult i64 {after}, {high}")
        level.body.add(f"br i1 {counter}.more, label %{label}, label %{done}")
        level.body.add(f"{done}:")
        self.block = done
        level.hoist = level.body

    def _forget(self, axis: int) -> None:
        """A counter stands elsewhere now: what depended on it has another depth."""
        self.known_depth = {}

    # ---- folds -----------------------------------------------------------------------------------

    def _fold_around(self, depth: int) -> None:
        """Set the sums to nothing, run the inner loops, gather the lanes, and store."""
        count = len(self.nest.shape)
        plan = self.plan
        across = plan.vector is not None and plan.vector >= count
        rows = [range(self.tile[a]) for a in range(count)]
        lanes = plan.lanes
        saved = dict(self.sums)
        combos = list(itertools.product(*rows))
        copies = 1
        for axis in range(count, len(self.order)):
            copies *= plan.unroll[axis]
        self.sums = {}
        for fold in self.nest.folds:
            kind = fold.node.kind
            wide = lanes if plan.vector is not None else 1
            start = literal(identity(fold.value.combine, kind), kind)
            start = start if wide == 1 else f"splat ({scalar_name(kind)} {start})"
            for combo in combos:
                for copy in range(copies):
                    name = f"%sum{next(self.count)}"
                    self.entry.add(f"{name} = alloca {type_name(kind, wide)}, align 64")
                    self._line(f"store {type_name(kind, wide)} {start}, ptr {name}")
                    self.sums[fold.value.number, (copy, *combo)] = name
        self.folded = {-1: ""}
        self._axis(depth)
        self.folded = {}
        for combo in combos:
            self._finish(combo, copies, across)
        self.sums = saved

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
        for combo in itertools.product(*[range(self.tile[a]) for a in self.order]):
            copy = 0
            for axis in self.order[count:]:
                copy = copy * self.plan.unroll[axis] + combo[axis]
            here = list(inner) if self.nest.extents else [*inner, *outer]
            nodes = [n for s in here for n in (s.node, s.offset)] + [f.node for f in folds]
            found = iter(rebuilt(nodes, self.graph, self._moved(combo)))
            partial = self._partial(combo)
            later += [(_stored(s, next(found), next(found)), partial) for s in here]
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
            mask = _mask(lanes, partial)
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
        made = [_stored(store, next(found), next(found)) for store in stores]
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
        return self.rest if vector is not None and vector < len(combo) else None

    def _moved(self, combo: tuple[int, ...]) -> Any:
        """A change for `rebuilt`: counters at one place of the tile."""
        graph = self.graph

        def change(node: Node) -> Node | None:
            if node.op != "index" or node.attr >= len(combo):
                return None
            axis = node.attr
            if axis == self.plan.vector:
                lane = graph.make("lane", "i64", attr=axis)
                return self.base[axis] + lane + combo[axis] * self.plan.lanes
            return self.base[axis] + combo[axis]

        return change

    # ---- expressions -----------------------------------------------------------------------------

    def varies(self, node: Node) -> bool:
        """Whether lanes differ in it."""
        known = self.known_vary
        if node.number not in known:
            for n in postorder([node], known):
                own = n.op == "lane" or (n.op == "result" and self.results_vary)
                known[n.number] = own or any(known[a.number] for a in n.args)
        return known[node.number]

    def depth(self, node: Node) -> int:
        """The innermost open loop that a node depends on."""
        known = self.known_depth
        if node.number not in known:
            for n in postorder([node], known):
                own = 0
                if n.op == "index":
                    own = self.depth_of[n.attr]
                elif n.op == "result":
                    own = len(self.levels) - 1
                known[n.number] = max([own, *[known[a.number] for a in n.args]])
        return known[node.number]

    def operand(self, root: Node, lanes: int) -> str:
        """The name of a node's value, computed now, or in the outermost loop that allows it."""
        for node in self._pending(root, lanes > 1):
            self._compute(*node)
        return self._name(root, lanes > 1)

    def _pending(self, root: Node, wide: bool) -> list[tuple[Node, bool]]:
        """What has no name yet, operands first; on a stack, as expressions may be deep."""
        order: list[tuple[Node, bool]] = []
        done: set[tuple[int, bool]] = set()
        stack: list[tuple[Node, bool, bool]] = [(root, wide, False)]
        while stack:
            node, vector, ready = stack.pop()
            key = (node.number, vector)
            if ready:
                order.append((node, vector))
            elif key not in done and node.op != "const" and self._known(node, vector) is None:
                done.add(key)
                stack.append((node, vector, True))
                stack += [(a, v, False) for a, v in self._needs(node, vector)]
        return order

    def _needs(self, node: Node, vector: bool) -> list[tuple[Node, bool]]:
        """The operands of a node, each as one number or as a vector."""
        if vector and not self.varies(node):
            return [(node, False)]
        if node.op == "load":
            return [(node.args[0], self._step(node.args[0], vector) not in (1, -1))]
        return [(a, vector) for a in node.args]

    def _step(self, offset: Node, vector: bool) -> int | None:
        """How far apart in memory neighbouring lanes are; 1 where there's one lane only."""
        return step_along(offset, -1, self.steps) if vector else 1

    def _known(self, node: Node, vector: bool) -> str | None:
        key = (node.number, vector)
        for level in reversed(self.levels):
            if key in level.names:
                return level.names[key]
        return None

    def _name(self, node: Node, vector: bool) -> str:
        if node.op == "const":
            return constant(node, self.plan.lanes if vector else 1)
        name = self._known(node, vector)
        assert name is not None
        return name

    def _compute(self, node: Node, vector: bool) -> None:
        depth = self.depth(node)
        level = self.levels[depth]
        section = level.body if depth == len(self.levels) - 1 else level.hoist
        level.names[node.number, vector] = self._right(node, vector, section)

    def _right(self, node: Node, vector: bool, section: Section) -> str:
        lanes = self.plan.lanes if vector else 1
        if vector and not self.varies(node):
            here, one = type_name(node.kind, lanes), type_name(node.kind)
            name = self._name(node, False)
            first = self._new(f"insertelement {here} poison, {one} {name}, i64 0", section)
            zeros = f"<{lanes} x i32> zeroinitializer"
            return self._new(f"shufflevector {here} {first}, {here} poison, {zeros}", section)
        if node.op == "index":
            return self.counter[node.attr]
        if node.op == "result":
            return self.results[node.attr]
        if node.op == "lane":
            if not vector:
                return "0"
            return "<" + ", ".join(f"i64 {k}" for k in range(lanes)) + ">"
        if node.op == "load":
            return self._load(node, lanes, section)
        args = [self._name(a, vector) for a in node.args]
        flags = " contract" if node.kind[0] == "f" else ""
        return self._new(self.library.right_side(node, args, lanes, flags), section)

    # ---- memory ----------------------------------------------------------------------------------

    def _pointer(self, buffer: Value, kind: str, offset: str, section: Section) -> str:
        self.buffers[buffer.number] = buffer
        element = scalar_name(memory_kind(kind))
        base = f"%b{buffer.number}"
        return self._new(f"getelementptr inbounds {element}, ptr {base}, i64 {offset}", section)

    def _load(self, node: Node, lanes: int, section: Section) -> str:
        kind = memory_kind(node.kind)
        offset = node.args[0]
        align = bits_of(kind) // 8
        step = self._step(offset, lanes > 1)
        self.buffers[node.attr.number] = node.attr
        if step in (1, -1):
            name = self._name(offset, False)
            if step == -1 and lanes > 1:
                name = self._new(f"sub i64 {name}, {lanes - 1}", section)
            pointer = self._pointer(node.attr, kind, name, section)
            result = self._load_there(kind, lanes, pointer, step, section)
            if step == -1 and lanes > 1:
                here = type_name(kind, lanes)
                picks = ", ".join(f"i32 {k}" for k in reversed(range(lanes)))
                result = self._new(
                    f"shufflevector {here} {result}, {here} poison, <{lanes} x i32> <{picks}>",
                    section,
                )
        else:
            result = self._gather(node, kind, lanes, align, section)
        if node.kind == "i1":
            here = type_name("u8", lanes)
            zero = "0" if lanes == 1 else "zeroinitializer"
            result = self._new(f"icmp ne {here} {result}, {zero}", section)
        return result

    def _load_there(self, kind: str, lanes: int, pointer: str, step: int, section: Section) -> str:
        """Lanes beyond the end are never read."""
        here, align = type_name(kind, lanes), bits_of(kind) // 8
        if self.rest is None or lanes == 1:
            return self._new(f"load {here}, ptr {pointer}, align {align}", section)
        size = kind if kind[0] == "f" else f"i{kind[1:]}"
        full = f"@llvm.masked.load.v{lanes}{size}.p0"
        self.library.declarations.add(f"declare {here} {full}(ptr, i32, <{lanes} x i1>, {here})")
        mask = _mask(lanes, self.rest, backwards=step == -1)
        return self._new(
            f"call {here} {full}(ptr {pointer}, i32 {align}, <{lanes} x i1> {mask}, "
            f"{here} zeroinitializer)",
            section,
        )

    def _gather(self, node: Node, kind: str, lanes: int, align: int, section: Section) -> str:
        offsets = self._name(node.args[0], True)
        element = scalar_name(kind)
        pointers = self._new(
            f"getelementptr inbounds {element}, ptr %b{node.attr.number}, "
            f"<{lanes} x i64> {offsets}",
            section,
        )
        here = type_name(kind, lanes)
        size = kind if kind[0] == "f" else f"i{kind[1:]}"
        full = f"@llvm.masked.gather.v{lanes}{size}.v{lanes}p0"
        self.library.declarations.add(
            f"declare {here} {full}(<{lanes} x ptr>, i32, <{lanes} x i1>, {here})"
        )
        mask = "splat (i1 true)" if self.rest is None else _mask(lanes, self.rest)
        return self._new(
            f"call {here} {full}(<{lanes} x ptr> {pointers}, i32 {align}, <{lanes} x i1> {mask}, "
            f"{here} zeroinitializer)",
            section,
        )

    def _store(self, store: Store, partial: int | None, lanes: int) -> None:
        kind = store.node.kind
        section = self.levels[-1].body
        value = self.operand(store.node, lanes)
        step = self._step(store.offset, lanes > 1)
        self.operand(store.offset, 1 if step == 1 else lanes)
        if kind == "i1":
            here, byte = type_name("i1", lanes), type_name("u8", lanes)
            value = self._new(f"zext {here} {value} to {byte}", section)
            kind = "u8"
        here = type_name(kind, lanes)
        align = bits_of(kind) // 8
        if step != 1:
            self._scatter(store, value, kind, lanes, partial)
            return
        pointer = self._pointer(store.target, kind, self._name(store.offset, False), section)
        if partial is None or lanes == 1:
            section.add(f"store {here} {value}, ptr {pointer}, align {align}")
            return
        size = kind if kind[0] == "f" else f"i{kind[1:]}"
        full = f"@llvm.masked.store.v{lanes}{size}.p0"
        self.library.declarations.add(f"declare void {full}({here}, ptr, i32, <{lanes} x i1>)")
        section.add(
            f"call void {full}({here} {value}, ptr {pointer}, i32 {align}, "
            f"<{lanes} x i1> {_mask(lanes, partial)})"
        )

    def _scatter(
        self, store: Store, value: str, kind: str, lanes: int, partial: int | None
    ) -> None:
        section = self.levels[-1].body
        self.buffers[store.target.number] = store.target
        offsets = self._name(store.offset, True)
        element = scalar_name(kind)
        pointers = self._new(
            f"getelementptr inbounds {element}, ptr %b{store.target.number}, "
            f"<{lanes} x i64> {offsets}"
        )
        here = type_name(kind, lanes)
        size = kind if kind[0] == "f" else f"i{kind[1:]}"
        full = f"@llvm.masked.scatter.v{lanes}{size}.v{lanes}p0"
        self.library.declarations.add(
            f"declare void {full}({here}, <{lanes} x ptr>, i32, <{lanes} x i1>)"
        )
        mask = "splat (i1 true)" if partial is None else _mask(lanes, partial)
        section.add(
            f"call void {full}({here} {value}, <{lanes} x ptr> {pointers}, "
            f"i32 {bits_of(kind) // 8}, <{lanes} x i1> {mask})"
        )

    def _new(self, right: str, section: Section | None = None) -> str:
        name = f"%t{next(self.count)}"
        (section or self.levels[-1].body).add(f"{name} = {right}")
        return name

    def _line(self, line: str) -> None:
        self.levels[-1].body.add(line)


def _stored(store: Store, node: Node, offset: Node) -> Store:
    return Store(store.target, offset, node, store.limit)


def _mask(lanes: int, count: int, backwards: bool = False) -> str:
    """The first lanes, as many as count; or the last, where memory is walked backwards."""
    true = range(lanes - count, lanes) if backwards else range(count)
    return "<" + ", ".join(f"i1 {str(k in true).lower()}" for k in range(lanes)) + ">"
