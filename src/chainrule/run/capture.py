"""Recording a function for the compiler: arrays from outside stay the user's own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.base.errors import TraceError
from chainrule.base.place import INTERNAL, Place, user_place
from chainrule.base.trees import flatten
from chainrule.ir.program import Constant, Equation, Program, Var
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.cleanup import is_constant
from chainrule.tracing.buffer import Buffer
from chainrule.tracing.creation import as_traced_leaf
from chainrule.tracing.randomness import without_randomness
from chainrule.tracing.recording import recording
from chainrule.tracing.stage import StageTrace, close, without_value
from chainrule.tracing.swap import swapped
from chainrule.tracing.trace import resolve, snapshot
from chainrule.tracing.tracer import Tracer

_WITH_BODIES = {"scan", "while", "while_transpose", "cond", "call", "call_with_reverse"}

_INSTEAD = {
    "np.nonzero()": "its shape would depend on values: keep every entry, and choose with "
    "np.where(condition, x, 0)",
    "float()": "leave it as it is: NumPy's functions, math's and x.item() keep it traced",
    "complex()": "leave it as it is: NumPy's functions and x.item() keep it traced",
}


class LiveTrace(StageTrace):
    """A trace without values in which arrays from outside aren't copied.

    The compiled function reads them anew at every call, as the function itself would.

    Attributes:
        live: id → array, of those from outside.
        owners: id of an array whose memory some of them share → those.
        used: id → (array, a copy as it was, the user's place), of those that became an operand.
        computed: whether the user computed something from plain arrays that became an operand:
            from which, nobody knows.
    """

    __slots__ = ("computed", "live", "names", "owners", "used")
    kind = "function compiled by cr.jit"

    def __init__(self, live: Iterable[np.ndarray] = ()) -> None:
        super().__init__()
        self.live = {id(array): array for array in live}
        self.owners: dict[int, list[np.ndarray]] = {}
        for array in self.live.values():
            self.owners.setdefault(id(_owner(array)), []).append(array)
        self.names: dict[int, str] = {}  # of inputs that are numbers
        self.used: dict[int, tuple[np.ndarray, bytes, Place | None]] = {}
        self.computed = False

    def root(self, array: Any) -> np.ndarray | None:
        """The array from outside whose memory this one is, or part of."""
        found = self.live.get(id(array))
        if found is not None or not isinstance(array, np.ndarray):
            return found
        # A view of a view knows only the array that owns the memory.
        for other in self.owners.get(id(_owner(array)), ()):
            if np.may_share_memory(array, other):
                return other
        return None

    def is_live(self, array: np.ndarray) -> bool:
        """Whether an array is from outside; if so, from now on nothing may be written to it."""
        root = self.root(array)
        if root is None:
            return False
        if id(root) not in self.used:
            self.used[id(root)] = root, root.tobytes(), user_place(2)
        return True

    def own(self, array: np.ndarray) -> Any:
        own = super().own(array)
        if type(own) is np.ndarray and own is not array:
            own.setflags(write=False)  # nobody's to change: the optimiser may rely on it
        return own

    def check(self, root: np.ndarray) -> None:
        """Refuse an array that the function itself writes to: it would do so only this once."""
        _, before, place = self.used[id(root)]
        if root.tobytes() != before:
            raise TraceError(
                "the function writes into an array from outside, which it also computes with",
                {"array": type_of(root)},
                "compiled, that would happen only once: make the array inside, or return the "
                "new one",
                where=place,
            )

    def concrete(self, tracer: Tracer, what: str) -> Any:
        if tracer.mark < 0:
            return super().concrete(tracer, what)
        facts = {"value": self.describe(tracer)}
        fix = _INSTEAD.get(what) or without_value(tracer, what)
        name = self.names.get(tracer.mark)
        if name is not None:
            facts = {"argument": name} | facts
            fix = f"make {name} part of the function: cr.jit(f, static_argnums=...);\n{fix}"
        raise TraceError(
            f"{what} needs the value, but cr.jit traces a function for shapes and dtypes only",
            facts,
            fix,
        )

    def meets(self, name: str, operands: Sequence[Any]) -> None:
        """Look at the operands of an operation, on whichever trace: of a loop's body, a batch."""
        if not self.computed and any(map(self._is_computed, operands)):
            # What a body computed has become an operand of the loop, and nothing else tells of it.
            self.computed = name in _WITH_BODIES or _from_user()

    def _is_computed(self, value: Any) -> bool:
        if isinstance(value, np.generic):
            return True
        if type(value) is not np.ndarray or isinstance(value.base, Buffer):
            return False
        return self.root(value) is None and not is_constant(value, value.size)


def _owner(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _from_user() -> bool:
    """Whether an operation is the user's own, and not one of a derivative's or a batch's rule."""
    frame = sys._getframe(2)
    while frame is not None and INTERNAL[frame.f_code.co_filename]:
        if frame.f_globals.get("__name__", "").startswith("chainrule.transform"):
            return False
        frame = frame.f_back  # type: ignore[assignment]
    return True


def _without_views(program: Program, trace: LiveTrace) -> Program:
    """A captured array seen with its axes in another order as just that: an equation.

    So compiled code reads the array where it lies, and sees which one it is. What nobody but the
    trace made, one number all over, is an equation too.
    """
    numbers = {id(array): var for var, array in program.captured}
    captured: list[tuple[Var, Any]] = []
    equations: list[Equation] = []
    count = 1 + max((var.number for var in program.variables()), default=-1)
    for var, array in program.captured:
        root = trace.root(array) if isinstance(array, np.ndarray) else None
        if root is None and array.size > 1 and not any(array.strides):
            number = (Constant(array.flat[0]),)
            broadcast = PRIMITIVES["broadcast_to"]
            equations.append(Equation(broadcast, number, {"shape": array.shape}, (var,)))
            continue
        axes = None if root is None or root is array else _order(array, root)
        if root is None or axes is None:
            captured.append((var, array))
            continue
        if id(root) not in numbers:
            numbers[id(root)] = Var(count, type_of(root))
            captured.append((numbers[id(root)], root))
            count += 1
        transpose = PRIMITIVES["transpose"]
        equations.append(Equation(transpose, (numbers[id(root)],), {"axes": axes}, (var,)))
    if not equations:
        return program
    return replace(program, captured=tuple(captured), equations=(*equations, *program.equations))


def _order(view: np.ndarray, root: np.ndarray) -> tuple[int, ...] | None:
    """The axes by which `root.transpose(axes)` is this view; None if it's another kind of view."""
    if view.ctypes.data != root.ctypes.data or view.ndim != root.ndim or view.ndim > 6:
        return None
    rows = list(zip(root.shape, root.strides, strict=True))
    for axes in itertools.permutations(range(root.ndim)):
        if [rows[k] for k in axes] == list(zip(view.shape, view.strides, strict=True)):
            return axes
    return None


def record(
    f: Callable[[Sequence[Any]], Any],
    kinds: Sequence[ArrayType],
    names: Sequence[str],
    name: str,
    live: Iterable[np.ndarray] = (),
    turned: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> tuple[Program, LiveTrace]:
    """The program of `f(leaves)` for leaves of these types, and the trace that recorded it.

    `turned` are those leaves that don't lie row by row in memory.
    """
    trace = LiveTrace(live)
    inputs = [trace.abstract(kind, turned.get(k)) for k, kind in enumerate(kinds)]
    heads = [snapshot(t) for t in inputs]
    trace.names = {t.mark: n for t, n in zip(inputs, names, strict=True) if not t.shape}
    try:
        with swapped(), without_randomness(), recording(trace.is_live, meets=trace.meets):
            outs, out_tree = flatten(f(inputs))
            # What the function computed of arrays from outside alone is a constant of the program.
            trace.computed = trace.computed or any(map(trace._is_computed, outs))
            outs = [resolve(as_traced_leaf(out)) for out in outs]
            for array, _, _ in list(trace.used.values()):
                trace.check(array)
            trace.open = False
            program = close(trace, heads, outs, name, None, out_tree, names)
            return _without_views(program, trace), trace
    finally:
        trace.open = False
