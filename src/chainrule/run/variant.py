"""One traced function: its program, what it was traced in, and the engines that run it."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.settings import current
from chainrule.base.trees import unflatten
from chainrule.ir.program import Program
from chainrule.optimise.pipeline import optimise
from chainrule.optimise.trust import on_trust
from chainrule.run import engine
from chainrule.run.capture import LiveTrace
from chainrule.run.check import CheckedExecutable
from chainrule.run.compile import compile_program
from chainrule.run.guards import State
from chainrule.run.numpy_engine import Failed, NumpyExecutable
from chainrule.run.results import Results
from chainrule.run.signature import normal
from chainrule.tracing.view import memory_order

_LARGE = 1 << 16  # bytes; compared piece by piece, so that it happens in the cache
# Every other dtype (float16, long double) is left to NumPy, and the whole program with it.
_COMPILED_DTYPES = "?bBhHiIlLqQfdFD"


class _Compiling:
    """While a function is traced and compiled, no other is, and the garbage collector rests.

    What is traced may call other compiled functions, on any thread. The collector would look
    through all that is being made again and again, and find that everything is needed.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._depth = 0
        self._collecting = False

    def __enter__(self) -> None:
        self.lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self._collecting = gc.isenabled()
            gc.disable()

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0 and self._collecting:
            gc.enable()
        self.lock.release()


COMPILING = _Compiling()
if hasattr(os, "register_at_fork"):
    # No fork can find this lock held by another thread.
    os.register_at_fork(
        before=COMPILING.lock.acquire,
        after_in_parent=COMPILING.lock.release,
        after_in_child=COMPILING.lock.release,
    )


class Unit:
    """A program and what runs it; each engine is made ready when it's first asked for.

    Args:
        donated: inputs whose arrays the caller gives up.
        trusting: what only matters where something isn't finite is left out (optimise/trust.py).

    Attributes:
        trusting: whether something was, so that the program fails where it matters.
    """

    def __init__(
        self, program: Program, donated: Sequence[int] = (), trusting: bool = True
    ) -> None:
        self.whole = program
        self.results = Results(program)
        self.given_up = tuple(donated)
        self.donated = self.results.free(donated)
        self.recorded = self.results.program
        short = on_trust(self.recorded) if trusting else self.recorded
        self.trusting = short is not self.recorded
        self.program = optimise(short)
        self.compilable = _is_compilable(self.program)
        self._native: Any = None
        self._numpy: NumpyExecutable | None = None
        self._checked: CheckedExecutable | None = None
        self._careful: Unit | None = None

    def native(self) -> Any:
        """Machine code; None where there can't be any."""
        if not self.compilable or not engine.available():
            return None
        if self._native is None:
            with COMPILING:
                if self._native is None:
                    self._native = compile_program(self.program, self.donated)
        return self._native

    def numpy(self) -> NumpyExecutable:
        if self._numpy is None:
            self._numpy = NumpyExecutable(self.program)
        return self._numpy

    def careful(self) -> Unit:
        """The same with nothing taken on trust, for when that has failed."""
        with COMPILING:
            if self._careful is None:
                self._careful = Unit(self.whole, self.given_up, trusting=False)
        return self._careful

    def checked(self) -> CheckedExecutable:
        """Runs what the user wrote, as it was before it was made shorter."""
        if self._checked is None:
            self._checked = CheckedExecutable(self.recorded)
        return self._checked


def same_bytes(array: np.ndarray, held: bytes) -> bool:
    """Whether an array still holds these bytes; large ones without copying them."""
    if array.nbytes != len(held):
        return False
    if array.nbytes < _LARGE or not array.flags.c_contiguous:
        return array.tobytes() == held
    now, then = array.reshape(-1).view(np.uint8), np.frombuffer(held, np.uint8)
    parts = range(0, array.nbytes, _LARGE)
    return all(np.array_equal(now[k : k + _LARGE], then[k : k + _LARGE]) for k in parts)


def _is_compilable(program: Program) -> bool:
    """Whether compiled code knows every dtype, also those in the bodies of loops."""
    if any(var.type.dtype.char not in _COMPILED_DTYPES for var in program.variables()):
        return False
    values = [value for equation in program.equations for value in equation.params.values()]
    parts = [part for v in values for part in (v if type(v) is tuple else (v,))]
    return all(_is_compilable(part) for part in parts if isinstance(part, Program))


class Variant:
    """A unit in surroundings in which it is right.

    Attributes:
        arrays: variable → array, of all that the program reads besides its inputs.
        captured: those of them that go into the executable, in its order.
        contents: arrays whose numbers went into the program when it was traced; and the numbers.
    """

    def __init__(self, unit: Unit, state: State, trace: LiveTrace) -> None:
        self.unit = unit
        self.state = state
        self.used = False  # whether it has run before
        self.aimed_at = False  # whether an entry has been made for it, or tried
        places = {id(array): k for k, (_, array) in enumerate(state.arrays)}
        captured = (*unit.recorded.captured, *unit.program.captured)
        self.arrays: dict[int, np.ndarray] = {var.number: array for var, array in captured}
        self._types = {var.number: var.type for var, _ in captured}
        self._places = {
            number: places[id(array)]
            for number, array in self.arrays.items()
            if id(array) in places
        }
        roots = {id(trace.root(array)) for array in self.arrays.values()}
        # Of these the program reads a view, which stays a view of this very array.
        self._viewed = roots - {id(array) for array in self.arrays.values()}
        # What was captured, and no longer is, stands in the program as numbers.
        left = {id(array) for _, array in unit.program.captured}
        spelled_out = {id(array) for array in self.arrays.values()} - left
        self.contents = [
            (array, array.tobytes())
            for _, array in state.arrays
            if trace.computed or id(array) not in roots or id(array) in spelled_out
        ]
        self._axes = {number: memory_order(array) for number, array in self.arrays.items()}
        self._order = [var.number for var, _ in unit.program.captured]
        self._recorded_order = [var.number for var, _ in unit.recorded.captured]
        self._settle()

    def _settle(self) -> None:
        self.captured = [self.arrays[number] for number in self._order]
        self.recorded = [self.arrays[number] for number in self._recorded_order]
        self._live = [
            (self.arrays[number], self._types[number], self._axes[number])
            for number in self._places
        ]

    def holds(self) -> bool:
        """Whether the function, traced now, would be this one."""
        if not self.state.holds():
            return False
        for array, kind, axes in self._live:
            if array.shape != kind.shape or array.dtype != kind.dtype:
                return False
            if memory_order(array) != axes:
                return False
        return all(same_bytes(array, held) for array, held in self.contents)

    def is_simple(self) -> bool:
        """Whether names, cells, functions and arrays are all there is to look at."""
        state = self.state
        if state.items or state.members:
            return False
        if any(name not in ("__code__", "__defaults__") for _, name, _ in state.attributes):
            return False
        return all(
            array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
            for array in self.captured
        )

    def renewed(self, state: State) -> Variant | None:
        """This variant in other surroundings that mean the same; None if they don't."""
        if state.facts != self.state.facts:
            return None
        pairs = zip(self.state.arrays, state.arrays, strict=True)
        now = {id(old): new for (_, old), (_, new) in pairs}
        if any(number in self._viewed and id(new) != number for number, new in now.items()):
            return None
        other: Variant = object.__new__(Variant)
        other.__dict__.update(self.__dict__)
        other.state = state
        other.aimed_at = False
        other.contents = [(now[id(array)], held) for array, held in self.contents]
        other.arrays = {
            number: state.arrays[self._places[number]][1] if number in self._places else array
            for number, array in self.arrays.items()
        }
        other._settle()
        return other if other.holds() else None

    def run(self, leaves: list[Any], out: Any, *, plainly: bool = False) -> Any:
        """The function's result for these leaves; `plainly`, by the NumPy engine."""
        results = self.unit.results
        targets = None if out is None else results.targets(out)
        computed = self._computed(leaves, targets, plainly)
        if computed is targets and targets is not None:
            return out
        found = results.gather(computed, leaves, self.recorded)
        if targets is not None:
            results.write(targets, found)
            return out
        return unflatten(results.out_tree, found)

    def _computed(
        self, leaves: list[Any], targets: list[np.ndarray] | None, plainly: bool
    ) -> list[Any]:
        """What the program computes; `targets` themselves where it could write into them."""
        settings, unit, results = current(), self.unit, self.unit.results
        compiled = settings.engine == "llvm" and not settings.check_nan
        native = unit.native() if compiled and not plainly else None
        captured = [normal(array) for array in self.captured]
        # Where one of them can't be written while the arguments are read, it's written last.
        direct = native is not None and results.direct
        if targets is not None and not direct:
            results.check(targets)
        if settings.check_nan:
            return unit.checked()(leaves, self.recorded)
        try:
            if native is not None:
                return native(leaves, captured, targets if direct else None)
            if unit.trusting and not plainly:
                return unit.numpy()(leaves, captured)
        except (Failed, ArithmeticError, LookupError, TypeError, ValueError):
            if targets is not None:
                results.check(targets)
        if unit.trusting:
            return self._carefully(leaves, compiled)
        # The error that a user is to see, with their line, comes from doing it once more.
        return unit.numpy()(leaves, captured)

    def _carefully(self, leaves: list[Any], compiled: bool) -> list[Any]:
        """The same, where something that was taken to be finite isn't, or something else failed."""
        unit = self.unit.careful()
        own = set(self._recorded_order)
        captured = [
            normal(self.arrays[var.number] if var.number in own else array)
            for var, array in unit.program.captured
        ]
        native = unit.native() if compiled else None
        if native is not None:
            # As above: the error that a user is to see comes from doing it once more.
            with contextlib.suppress(Failed, ArithmeticError, TypeError, ValueError):
                return native(leaves, captured)
        return unit.numpy()(leaves, captured)
