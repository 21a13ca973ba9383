"""cr.jit: a function is traced once per kind of arguments, compiled, and then called."""

from __future__ import annotations

import contextlib
import functools
import inspect
import operator
import os
import weakref
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

from chainrule.base.errors import ArgumentError, UnsupportedError
from chainrule.base.settings import OPEN
from chainrule.emit.plan import NO_MEMORY
from chainrule.ir.program import Program
from chainrule.ir.types import type_of
from chainrule.ops.doubt import FoundNan
from chainrule.optimise.pipeline import optimise
from chainrule.optimise.trust import on_trust
from chainrule.run.aim import aim, aimed
from chainrule.run.capture import record
from chainrule.run.fast import fast_entry
from chainrule.run.guards import State, survey
from chainrule.run.retrace import Retraces
from chainrule.run.signature import (
    Call,
    Inline,
    Static,
    donated,
    fixed_values,
    leaf_names,
    rebuilt,
    take_apart,
)
from chainrule.run.template import Habit
from chainrule.run.variant import COMPILING, Unit, Variant
from chainrule.tracing.generators import states
from chainrule.tracing.randomness import frozen
from chainrule.tracing.tracer import Tracer
from chainrule.transform.arguments import check_callable

_MOST_VARIANTS = 8  # per kind of arguments: for values from outside that come and go
_MOST_INSTANCES = 64
_MOST_ENTRIES = 4
_ABOUT = ("__module__", "__name__", "__qualname__", "__doc__")
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class _Cache:
    """The programs made so far for one function."""

    def __init__(self) -> None:
        self.variants: dict[Any, tuple[Variant, ...]] = {}
        self.retraces = Retraces()
        self.habit = Habit()

    def forget(self) -> None:
        self.variants = {}
        self.retraces = Retraces()


class _Compiled:
    """What `cr.jit` returns: a function that is traced and compiled when it's called."""

    def __init__(
        self, f: Callable[..., Any], static: Static, given_up: Static, cache: _Cache
    ) -> None:
        self._f = f
        self._static = static
        self._given_up = given_up
        self._cache = cache

    def _call(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """The function's result, by compiled code; written into `out` where that is given."""
        try:
            call = take_apart(args, kwargs, self._static, self._cache.habit)
        except Inline:
            return self._as_it_is(args, kwargs, out)
        variant = self._variant(call, args, kwargs)
        if variant is None:
            return self._as_it_is(args, kwargs, out)
        result = variant.run(call.leaves, out)
        # What is called once needs no way that is faster; making one takes longer than the call.
        if variant.used and not variant.aimed_at and call.bare:
            self._aim(variant, call)
        variant.used = True
        return result

    def _as_it_is(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
        if out is not None:
            raise ArgumentError(
                "jit: out= can't be used inside another transformation",
                fix="use the returned value",
            )
        return self._f(*args, **kwargs)

    def _aim(self, variant: Variant, call: Call) -> None:
        """Have later calls like this one go to machine code at once, if that is possible."""

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program that runs for these arguments."""
        return optimise(on_trust(self._unit(args, kwargs, "program").whole))

    def llvm(self, *args: Any, **kwargs: Any) -> str:
        """The LLVM text that is compiled for these arguments."""
        native = self._unit(args, kwargs, "llvm").native()
        if native is None:
            raise UnsupportedError(
                "jit: this program runs on the NumPy engine, which has no LLVM text",
                fix="install llvmlite; float16 and long double aren't compiled",
            )
        text: str = native.llvm
        return text

    def clear(self) -> None:
        """Forget all compiled programs."""
        self._cache.forget()

    # ---- finding and making programs -------------------------------------------------------------

    def _variant(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Variant | None:
        """The compiled program for a call; None if f is to run as it is."""
        for variant in self._cache.variants.get(call.key, ()):
            if variant.holds():
                return variant
        with COMPILING:
            return self._renewed(call, args, kwargs)

    def _renewed(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Variant | None:
        """The same where something around the function has changed, or nothing is known yet."""
        cache = self._cache
        roots = fixed_values(args, kwargs, self._static)
        state = survey(self._f, roots)
        if state.traced:
            return None
        known = cache.variants.get(call.key, ())
        for old in known:
            renewed = old.renewed(state)
            if renewed is not None:
                others = [v for v in known if v is not old]
                cache.variants[call.key] = (renewed, *others)
                return renewed
        if not known:
            cache.retraces.note(self._name(), self._leaf_names(args, kwargs), call.leaves)
        variant = self._traced(call, (args, kwargs), state, roots)
        if variant is not None:
            known = cache.variants.get(call.key, ())
            cache.variants[call.key] = (variant, *known)[:_MOST_VARIANTS]
        return variant

    def _traced(
        self,
        call: Call,
        arguments: Arguments,
        state: State,
        roots: Sequence[tuple[str, Any]],
    ) -> Variant | None:
        args, kwargs = arguments

        def flat(leaves: Sequence[Any]) -> Any:
            positional, named = rebuilt(args, kwargs, self._static, leaves)
            return self._f(*positional, **named)

        before = states(state.generators)
        live = [array for _, array in state.arrays]
        kinds = [type_of(leaf) for leaf in call.leaves]
        names = self._leaf_names(args, kwargs)
        program, trace = record(flat, kinds, names, self._name(), live, call.turned)
        if before != states(state.generators):
            raise frozen("a random generator", where=_whole_place(self._f))
        if any(type(value) is Tracer for _, value in program.captured):
            return None
        # What the function itself has changed while it was traced is as it should be now.
        after = survey(self._f, roots)
        free = donated(args, kwargs, self._static, self._given_up)
        return Variant(Unit(program, free), after, trace)

    def _unit(self, args: tuple[Any, ...], kwargs: dict[str, Any], what: str) -> Unit:
        try:
            variant = self._variant(
                take_apart(args, kwargs, self._static, self._cache.habit), args, kwargs
            )
        except Inline:
            variant = None
        if variant is None:
            raise ArgumentError(
                f"jit: .{what}() needs plain arguments, not traced ones",
                fix="call it outside of the traced function",
            )
        return variant.unit

    def _name(self) -> str:
        return getattr(self._f, "__name__", type(self._f).__name__)

    def _leaf_names(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        try:
            parameters = list(inspect.signature(self._f).parameters)
        except (TypeError, ValueError):
            parameters = []
        return leaf_names(args, kwargs, self._static, parameters)

    def __repr__(self) -> str:
        return f"<compiled {self._f!r}>"

    # As functions do, it stays itself in copies, and is pickled by name.

    def __copy__(self) -> _Compiled:
        return self

    def __deepcopy__(self, memo: Any) -> _Compiled:
        return self

    def __reduce__(self) -> str:
        return getattr(self._f, "__qualname__", self._name())


class Bound(_Compiled):
    """A compiled method of one object: `self` is part of the function, and what it reads of it."""

    __call__ = _Compiled._call


@aimed
class Compiled(_Compiled):
    """A compiled function. Calls go straight to machine code wherever they can."""

    def __init__(self, f: Callable[..., Any], static: Static, given_up: Static) -> None:
        super().__init__(f, static, given_up, _Cache())
        self._instances: dict[int, tuple[Callable[[], Any], _Cache]] = {}
        self._fast: list[tuple[Variant, list[Any]]] = []
        functools.update_wrapper(self, f, updated=())  # type: ignore[arg-type]
        aim(self, self._call)

    def clear(self) -> None:
        """Forget all compiled programs."""
        super().clear()
        self._instances.clear()
        self._fast.clear()
        aim(self, self._call)

    def _aim(self, variant: Variant, call: Call) -> None:
        if OPEN[0]:
            return  # it would keep the settings of this block, which it's no use in
        with COMPILING:
            variant.aimed_at = True
            rest = [pair for pair in self._fast if pair[0].unit is not variant.unit]
            self._fast = [(variant, call.leaves), *rest][:_MOST_ENTRIES]
            # Each entry leaves what it can't do to the next one, the last to Python.
            target: Callable[..., Any] = self._call
            for known, leaves in reversed(self._fast):
                failed = functools.partial(_again, known, self._call)
                made = fast_entry(known, self._name(), leaves, target, failed)
                target = made or target
            aim(self, target)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        method = MethodType(self._f, instance)
        settled = self._static.bound(), self._given_up.bound()
        bound = Bound(method, *settled, self._cache_of(instance))
        bound.__dict__.update((name, self.__dict__[name]) for name in _ABOUT if name in vars(self))
        bound.__dict__["__wrapped__"] = method
        return bound

    def _cache_of(self, instance: Any) -> _Cache:
        number, instances = id(instance), self._instances
        known = instances.get(number)
        if known is not None and known[0]() is instance:
            return known[1]

        def forget(_: Any) -> None:
            instances.pop(number, None)

        try:
            reference: Callable[[], Any] = weakref.ref(instance, forget)
        except TypeError:
            reference = functools.partial(_itself, instance)
        while len(instances) >= _MOST_INSTANCES:
            instances.pop(next(iter(instances)), None)
        instances[number] = reference, _Cache()
        return instances[number][1]


def _again(
    variant: Variant, call: Callable[..., Any], state: int, *args: Any, out: Any = None
) -> Any:
    """Native code gave up: an interruption, or an error that the NumPy engine is to explain."""
    native = variant.unit.native()
    if state == NO_MEMORY and native is not None:
        raise native.out_of_memory()
    if state < 0 and native is not None:
        with contextlib.suppress(FoundNan):
            native.raise_interruption()
    return variant.run(list(args), out, plainly=True)


def _whole_place(f: Callable[..., Any]) -> str | None:
    """Where a function begins, for what can't be said of one of its lines."""
    code = getattr(inspect.unwrap(f), "__code__", None)
    if code is None:
        return None
    return f"{os.path.basename(code.co_filename)}:{code.co_firstlineno} in {code.co_name}"


def _itself(instance: Any) -> Any:
    return instance


def jit(
    f: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    donate_argnums: int | Sequence[int] = (),
) -> Compiled:
    """The same function, traced once for each kind of arguments, then compiled.

    Args:
        f: a function of arrays, numbers or trees of them, written in plain NumPy; it may contain
            any other transformation, and `cr.jit(cr.grad(f))` is the way to a fast gradient.
        static_argnums: positions of arguments that are no inputs but part of the function: sizes,
            flags, names. They must be hashable; each new value is compiled anew.
        donate_argnums: positions of arguments that the caller gives up. A result of the same shape
            and dtype is then written into such an array where that can be done, and is that array;
            what the others hold afterwards is not defined. Nothing is written into an array that
            is read-only, isn't C-contiguous, or shares memory with another argument.

    Returns:
        A function of the same arguments, also usable as a method. `compiled(*args, out=tree)`
        writes the results into these arrays and returns the tree; an array that overlaps an
        argument is written last. After an error, or Ctrl-C, they may hold anything.
        `compiled.program(*args)` is what runs, `compiled.llvm(*args)` its LLVM text, and
        `compiled.clear()` forgets everything compiled so far.

    The function runs when it's traced, not at every call: what it prints or stores happens once.
    What it reads besides its arguments is watched, though. Arrays from outside are read anew at
    each call; where a global, a closure's variable, an attribute or an item has changed, it's
    traced again. What Python itself decides from the numbers of an array from outside (`if`,
    `float()`) is decided then, and doesn't follow later writes into it, if the array is an operand
    too. Inside other transformations the function runs as it is.

    Raises:
        TraceError: Python control flow, or a conversion to a number, that needs the value of an
            argument; numbers drawn with np.random.
        UnsupportedError: shapes that depend on values, or a name that can't be traced.
        ShapeError, DtypeError, ArgumentError: `out=` that doesn't fit the result.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> @cr.jit
        ... def length(x):
        ...     return np.sqrt(np.sum(x**2))
        >>> float(length(np.array([3.0, 4.0])))
        5.0
    """
    check_callable(f, "jit")
    try:
        parameters = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        parameters = []
    static = _chosen(static_argnums, "static_argnums", parameters)
    given_up = _chosen(donate_argnums, "donate_argnums", parameters)
    both = {*static.positions} & {*given_up.positions} or {*static.names} & {*given_up.names}
    if both:
        raise ArgumentError(
            "jit: a static argument has no memory that could be given up",
            {"static and donated": ", ".join(map(str, both))},
            "leave it out of donate_argnums",
        )
    return Compiled(f, static, given_up)


def _chosen(given: int | Sequence[int], name: str, parameters: Sequence[str]) -> Static:
    try:
        found = tuple(map(operator.index, given if isinstance(given, (tuple, list)) else (given,)))
    except TypeError:
        raise ArgumentError(
            f"jit: {name} is a position or a tuple of positions, counted from 0",
            {"given": repr(given)},
        ) from None
    inside = [n for n in found if -len(parameters) <= n < len(parameters)]
    return Static(found, tuple(parameters[n] for n in inside))
