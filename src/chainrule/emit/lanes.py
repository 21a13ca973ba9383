"""Scalar expressions inside loops: each value computed once, where the fewest turns need it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from chainrule.emit.function import Library
from chainrule.emit.section import Level, Section
from chainrule.emit.text import constant, memory_kind, scalar_name, type_name
from chainrule.loops.nest import Nest, Store, step_along
from chainrule.loops.scalar import Node, bits_of, postorder
from chainrule.loops.schedule import Schedule
from chainrule.loops.value import Value

_FAR = 2**22  # bytes of an array that no cache holds
_AHEAD, _LINE = 2048, 64  # bytes: how far before they're read; of a cache line

Places = dict[int, tuple[str, int]]


class LanePrinter:
    """Computes nodes as single numbers or as vectors, and moves them from and to memory.

    A node is computed in the outermost open loop that has all it depends on. `%b…` are buffers.
    """

    def __init__(self, nest: Nest, plan: Schedule, library: Library, places: Places) -> None:
        self.nest = nest
        self.plan = plan
        self.library = library
        self.places = places
        self.graph = nest.graph
        self.buffers: dict[int, Value] = {}
        self.count: Iterator[int] = itertools.count()
        self.levels: list[Level] = []
        self.depth_of: dict[int, int] = {}  # of the loop over each axis
        self.counter: dict[int, str] = {}
        self.rest: int | None = None  # lanes that count in the last vector of a stretch
        self.known_rest: dict[int, int | None] = {}
        self.known_depth: dict[int, int] = {}
        self.known_vary: dict[int, bool] = {}
        self.steps: dict[int, int | None] = {}
        self.results: dict[tuple[int, tuple[int, ...]], str] = {}
        self.results_vary = False
        # Whether the innermost loop walks on through memory.
        self.streams = not nest.folds or (plan.vector or 0) >= len(nest.shape)

    @property
    def arguments(self) -> list[Value]:
        """The buffers whose addresses the function is given; the others lie in scratch memory."""
        return [value for number, value in self.buffers.items() if not self._in_scratch(number)]

    def _in_scratch(self, number: int) -> bool:
        return self.places.get(number, ("literal", 0))[0] == "scratch"

    def scratch_lines(self) -> list[str]:
        """The addresses of the buffers in scratch memory."""
        return [
            f"  %b{number} = getelementptr i8, ptr %scratch, i64 {self.places[number][1]}"
            for number in self.buffers
            if self._in_scratch(number)
        ]

    def varies(self, node: Node) -> bool:
        """Whether lanes differ in it."""
        known = self.known_vary
        if node.number not in known:
            for n in postorder([node], known):
                own = n.op == "lane" or (n.op == "result" and self.results_vary)
                known[n.number] = own or any(known[a.number] for a in n.args)
        return known[node.number]

    def rest_of(self, node: Node) -> int | None:
        """How many lanes of a node count, if not all; its `lane` says."""
        known = self.known_rest
        if node.number not in known:
            for n in postorder([node], known):
                own = [n.attr] if n.op == "lane" else [known[a.number] for a in n.args]
                known[n.number] = next((count for count in own if count is not None), None)
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
            rest = self.rest_of(offset)
            far = self.streams and node.attr.size * bits_of(kind) // 8 >= _FAR
            if step == 1 and lanes > 1 and far:
                self._fetch(pointer, lanes * bits_of(kind) // 8, section)
            result = self._load_there(kind, lanes, pointer, step, rest, section)
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

    def _fetch(self, pointer: str, size: int, section: Section) -> None:
        """Have memory come nearer that a long loop will read soon."""
        name = "@llvm.prefetch.p0"
        self.library.declarations.add(f"declare void {name}(ptr, i32, i32, i32)")
        for start in range(0, size, _LINE):
            ahead = self._new(f"getelementptr i8, ptr {pointer}, i64 {_AHEAD + start}", section)
            section.add(f"call void {name}(ptr {ahead}, i32 0, i32 3, i32 1)")

    def _load_there(
        self, kind: str, lanes: int, pointer: str, step: int, rest: int | None, section: Section
    ) -> str:
        """Lanes beyond the end are never read."""
        here, align = type_name(kind, lanes), bits_of(kind) // 8
        if rest is None or lanes == 1:
            return self._new(f"load {here}, ptr {pointer}, align {align}", section)
        size = kind if kind[0] == "f" else f"i{kind[1:]}"
        full = f"@llvm.masked.load.v{lanes}{size}.p0"
        self.library.declarations.add(f"declare {here} {full}(ptr, i32, <{lanes} x i1>, {here})")
        mask = mask_of(lanes, rest, backwards=step == -1)
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
        rest = self.rest_of(node.args[0])
        mask = "splat (i1 true)" if rest is None else mask_of(lanes, rest)
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
        if partial == 1:
            # Of a masked store of one lane LLVM 22 may write eight bytes, however small the lane.
            first = self._new(f"extractelement {here} {value}, i64 0", section)
            section.add(f"store {type_name(kind)} {first}, ptr {pointer}, align {align}")
            return
        size = kind if kind[0] == "f" else f"i{kind[1:]}"
        full = f"@llvm.masked.store.v{lanes}{size}.p0"
        self.library.declarations.add(f"declare void {full}({here}, ptr, i32, <{lanes} x i1>)")
        section.add(
            f"call void {full}({here} {value}, ptr {pointer}, i32 {align}, "
            f"<{lanes} x i1> {mask_of(lanes, partial)})"
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
        mask = "splat (i1 true)" if partial is None else mask_of(lanes, partial)
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


def moved_store(store: Store, node: Node, offset: Node) -> Store:
    """A store whose expressions were rebuilt."""
    return Store(store.target, offset, node, store.limit)


def mask_of(lanes: int, count: int, backwards: bool = False) -> str:
    """The first lanes, as many as count; or the last, where memory is walked backwards."""
    true = range(lanes - count, lanes) if backwards else range(count)
    return "<" + ", ".join(f"i1 {str(k in true).lower()}" for k in range(lanes)) + ">"
