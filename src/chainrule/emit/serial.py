"""Scatters and running totals as LLVM functions: loops whose turns come strictly in order."""

from __future__ import annotations

import math

from chainrule.emit.function import Library
from chainrule.emit.kernel import KernelPrinter
from chainrule.emit.region import POLL
from chainrule.emit.sharing import leave
from chainrule.emit.text import literal, memory_kind, type_name
from chainrule.loops.nest import Nest, Store
from chainrule.loops.schedule import Schedule
from chainrule.loops.value import Value

_PATIENCE = 2**22  # entries between two looks at whether the user wants to stop


class SerialPrinter(KernelPrinter):
    """Prints the one store of a scatter or of a running total."""

    def __init__(
        self,
        name: str,
        nest: Nest,
        plan: Schedule,
        library: Library,
        places: dict[int, tuple[str, int]],
        value: Value,
    ) -> None:
        super().__init__(name, nest, plan, library, places)
        self.value = value
        self.total = ""  # where a running total along the innermost counter is kept
        self.results_vary = plan.vector is not None
        self.long = math.prod(nest.domain) >= 2 * _PATIENCE

    def _axis(self, depth: int) -> None:
        """A total starts again with each row."""
        last = len(self.order) - 1
        if self.value.how == "running" and self.value.call == last == depth:
            kind = self.nest.inner[0].node.kind
            # Adding -0 changes nothing, not even another -0.
            start = -0.0 if kind[0] == "f" and self.value.combine == "add" else 0
            start = 1 if self.value.combine == "mul" else start
            if not self.total:
                self.total = "%total"
                self.entry.add(f"%total = alloca {type_name(kind)}, align 8")
            self._line(f"store {type_name(kind)} {literal(start, kind)}, ptr %total")
        super()._axis(depth)

    def _turn_over(self, depth: int, counter: str, step: int) -> None:
        """Ask now and then whether to stop, after turns of the outermost loop."""
        inner = math.prod(self.nest.domain) // self.nest.domain[self.order[0]]
        every = step << max(1, _PATIENCE // (step * inner)).bit_length() - 1  # mostly a power of 2
        if depth or not self.long or every >= self.nest.domain[self.order[0]]:
            return
        rest = self._new(f"urem i64 {counter}, {every}")
        due = self._new(f"icmp uge i64 {rest}, {every - step}")
        n = next(self.count)
        self._line(f"br i1 {due}, label %poll{n}, label %polled{n}")
        self._line(f"poll{n}:")
        at = self._new(f"getelementptr ptr, ptr %context, i64 {POLL}")
        code = self._new(f"call i32 {self._new(f'load ptr, ptr {at}')}()")
        leave(self, self._new(f"icmp ne i32 {code}, 0"))
        self._line(f"br label %polled{n}")
        self._line(f"polled{n}:")
        self.block = f"polled{n}"

    def _store(self, store: Store, partial: int | None, lanes: int) -> None:
        """Combined with what is there by now: whatever an earlier turn wrote."""
        kind = store.node.kind
        here = type_name(kind, lanes)
        if self.total:
            before = self._new(f"load {here}, ptr %total")
            after = self._joined(before, self.operand(store.node, lanes), kind, lanes)
            self._line(f"store {here} {after}, ptr %total")
        elif self.value.how == "scatter" and self.value.combine:
            entry = self.operand(store.node, lanes)
            after = self._joined(self._present(store, kind, lanes), entry, kind, lanes)
        else:
            super()._store(store, partial, lanes)
            return
        key = (self.value.number, (next(self.count),))
        self.results[key] = after
        node = self.graph.make("result", kind, attr=key)
        super()._store(Store(store.target, store.offset, node, store.limit), partial, lanes)

    def _present(self, store: Store, kind: str, lanes: int) -> str:
        """What memory holds at a place now; never the same name twice, as loads have."""
        section = self.levels[-1].body
        self.operand(store.offset, 1)
        byte = memory_kind(kind)
        pointer = self._pointer(store.target, kind, self._name(store.offset, False), section)
        found = self._load_there(byte, lanes, pointer, 1, self.rest_of(store.offset), section)
        if kind != "i1":
            return found
        zero = "0" if lanes == 1 else "zeroinitializer"
        return self._new(f"icmp ne {type_name(byte, lanes)} {found}, {zero}")

    def _joined(self, before: str, entry: str, kind: str, lanes: int) -> str:
        name = ("f" if kind[0] == "f" else "") + self.value.combine
        return self._new(f"{name} {type_name(kind, lanes)} {before}, {entry}")
