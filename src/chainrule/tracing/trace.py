"""Which trace records an operation, and what a name means after a write.

There are no trace levels. Every trace takes a serial number when it opens; **the newest open trace
among the operands records the operation**. Operands of other traces are captured inputs, and the
value is computed by the same rule, one trace further out, down to NumPy. A tracer of a finished
trace stands for its value.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from threading import get_ident
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError, DtypeError, ShapeError, TraceError
from chainrule.ir.primitive import Primitive
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.operands import instead_of_plain_values, refuse_outer_write
from chainrule.tracing.recording import RECORDING
from chainrule.tracing.table import RESOLVERS
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import Log, View, root_of, settle_aliasing

_serials = itertools.count(1)
_PYTHON_NUMBERS = (int, float, complex, bool)
_REAL_OF = {np.dtype("c8"): np.float32, np.dtype("c16"): np.float64}


class Trace:
    """What every kind of trace shares. `process` is what makes them differ."""

    __slots__ = ("open", "serial")
    # Tracers of a passive trace carry no derivative: arguments that aren't differentiated.
    passive = False
    # Tracers of a batching trace carry no derivative either: below them lies a whole batch.
    batching = False
    # A staged trace has no values, so that memory can't be looked at.
    staged = False
    kind = "traced function"

    def __init__(self) -> None:
        self.serial = next(_serials)
        self.open = True

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Record (or just run) one operation of which this trace owns an operand."""
        raise NotImplementedError

    def lift(self, value: Any) -> Tracer:
        """A constant, as a tracer of this trace."""
        raise NotImplementedError

    def active(self, tracer: Tracer) -> bool:
        """Whether a derivative may hang on this value."""
        return True

    # The answers below are those of a trace that has values; traces without override them.

    def has_value(self, tracer: Tracer) -> bool:
        """Whether a plain value stands (at some depth) under a tracer."""
        return True

    def finished(self, tracer: Tracer) -> Any:
        """What a tracer stands for once its trace is over."""
        return tracer.value

    def shape(self, tracer: Tracer) -> tuple[int, ...]:
        return tracer.value.shape

    def dtype(self, tracer: Tracer) -> np.dtype[Any]:
        return tracer.value.dtype

    def concrete(self, tracer: Tracer, what: str) -> Any:
        """The plain array under a tracer; raises in a trace without values."""
        refresh(tracer)
        if tracer.owner is not self:
            return tracer.owner.concrete(tracer, what)
        value = tracer.value
        return value.owner.concrete(value, what) if type(value) is Tracer else value

    def text(self, tracer: Tracer, spec: str | None = None) -> str:
        """What print and f-strings show: the value; its type where there is none."""
        value = ground(tracer)
        if value is None:
            return tracer.owner.describe(tracer)
        return str(value) if spec is None else format(value, spec)

    def truth(self, tracer: Tracer) -> bool:
        """bool(tracer): Python's `if`, `while`, `and`, `or`, `not`, `assert`."""
        value = self.concrete(tracer, "bool()")
        if np.size(value) != 1:
            raise ShapeError(
                "the truth value of an array with several entries, or none, is ambiguous",
                {"value": describe_type(tracer)},
                "use x.any() or x.all(); or np.where(x, a, b) to choose entry by entry",
            )
        return bool(value)

    def mutable(self, tracer: Tracer) -> bool:
        """Whether `x += 1` changes the array x, or rebinds the name to a new scalar."""
        return bool(tracer.shape) or tracer.alias is not None

    def number(self, tracer: Tracer, what: str) -> Any:
        """float(tracer): allowed only where no derivative is dropped."""
        refresh(tracer)
        if tracer.owner is not self:
            return tracer.owner.number(tracer, what)
        if self.open and self.active(tracer):
            refuse_outer_write(describe_type(tracer))
            raise TraceError(
                f"{what}() of a traced value would lose its derivative",
                {"value": describe_type(tracer)},
                "keep it traced with x.item() (an f-string prints it),\n"
                "or give the derivative up with cr.stop_gradient(x)",
            )
        value = tracer.value
        return value.owner.number(value, what) if type(value) is Tracer else value

    def to_array(self, tracer: Tracer, dtype: Any) -> Any:
        """NumPy asks for the plain array, from code that doesn't dispatch."""
        refresh(tracer)
        if tracer.owner is not self:
            return tracer.owner.to_array(tracer, dtype)
        if self.open and self.active(tracer):
            refuse_outer_write(describe_type(tracer))
            raise TraceError(
                "NumPy asked for the plain values of a traced array, "
                "which would lose its derivative",
                {"value": describe_type(tracer)},
                instead_of_plain_values(),
            )
        return np.asarray(tracer.value, dtype=dtype)

    def describe(self, tracer: Tracer) -> str:
        refresh(tracer)
        return f"Tracer({tracer.value!r})"


def describe_type(tracer: Tracer) -> str:
    """f64[3], as errors print it."""
    return str(ArrayType(tuple(tracer.shape), tracer.dtype))


class PassiveTrace(Trace):
    """Scalars that aren't differentiated: computed at once, but never taken for literals."""

    __slots__ = ()
    passive = True

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        plain = [a.value if type(a) is Tracer and a.owner.passive else a for a in args]
        weak = any(type(a) is Tracer and a.weak for a in args) and settle_weak(op, args, plain)
        result = apply(op, *plain, **params)
        if op.multiple or type(result) is Tracer:
            return result
        return Tracer(self, result, None, weak)

    def lift(self, value: Any) -> Tracer:
        return Tracer(self, value, None)

    def active(self, tracer: Tracer) -> bool:
        return False


def settle_weak(op: Primitive, args: tuple[Any, ...], operands: list[Any]) -> bool:
    """Give traced Python numbers the dtype NumPy would; True if the result is one itself."""
    if op.multiple:  # programs and factorisations: their operands don't promote one another
        return False
    strong = None
    for original, a in zip(args, operands, strict=True):
        if type(original) is Tracer and original.weak:
            continue
        if type(a) not in _PYTHON_NUMBERS:
            strong = a.dtype if strong is None else np.promote_types(strong, a.dtype)
    if strong is None:
        return op.weak
    if strong.kind in "fc":
        kind = _REAL_OF.get(strong, strong.type)
        for k, original in enumerate(args):
            a = operands[k]
            if type(original) is Tracer and original.weak and type(a) is not Tracer:
                operands[k] = kind(a) if a.dtype.kind != "c" else np.result_type(kind, "c8").type(a)
    return False


def apply(op: Primitive, *args: Any, **params: Any) -> Any:
    """Perform an operation where it belongs: the one gate through which everything goes."""
    newest = None
    for a in args:
        kind = type(a)
        if kind is Tracer:
            if a.alias is not None:
                refresh(a)  # a write may have moved it to another trace
            trace = a.owner
            if not trace.open:
                return apply(op, *map(resolve, args), **params)
            if newest is None or trace.serial > newest.serial:
                newest = trace
        elif kind in RESOLVERS:
            return apply(op, *map(resolve, args), **params)
    if newest is None:
        try:
            value = op.value(*args, **params)
        except (TypeError, ValueError) as error:
            raise explained(op, args, params, error) from None
        return resolve(value) if type(value) in RESOLVERS else value
    if BODIES:
        newest = _innermost(newest)
    if RECORDING.meets is not None:
        RECORDING.meets(op.name, args)
    return newest.process(op, args, params)


# ---- bodies --------------------------------------------------------------------------------------

# Per thread the bodies of cond, while and scan that are being traced just now. Such a body records
# everything it does with traced values, those from outside included: what a branch computes from
# them must not run where the branch isn't taken.
BODIES: dict[int, list[Trace]] = {}


def _innermost(newest: Trace) -> Trace:
    bodies = BODIES.get(get_ident())
    return bodies[-1] if bodies and bodies[-1].serial > newest.serial else newest


@contextlib.contextmanager
def inside(*bodies: Trace) -> Iterator[None]:
    """While it lasts, this body records for its thread; without one, none does."""
    thread = get_ident()
    before = BODIES.get(thread)
    BODIES[thread] = [*(before or ()), *bodies] if bodies else []
    try:
        yield
    finally:
        if before is None:
            del BODIES[thread]
        else:
            BODIES[thread] = before


def explained(
    op: Primitive, args: Sequence[Any], params: dict[str, Any], error: Exception
) -> Exception:
    """NumPy's complaint about operands in our own words: the type rule knows what's wrong."""
    if isinstance(error, ChainruleError):
        return error
    for k, a in enumerate(args):
        if not isinstance(a, (int, float, complex)) and not hasattr(a, "dtype"):
            return DtypeError(
                f"{op.name}: an operand isn't a number",
                {f"operand {k}": repr(a)[:80]},
                fix="traced values work with numbers and arrays of numbers; keep the rest apart",
            )
    try:
        op.type_rule(*map(type_of, args), **params)
    except ChainruleError as ours:
        return ours
    except (TypeError, ValueError):
        return error
    return error


def resolve(value: Any) -> Any:
    """What a finished trace's tracer, or a buffer, stands for."""
    if type(value) in RESOLVERS:
        value = RESOLVERS[type(value)](value)
    while type(value) is Tracer and not value.owner.open:
        if value.alias is not None:
            refresh(value)
            if value.owner.open:
                break
        value = value.owner.finished(value)
    return value


def ground(value: Any) -> Any:
    """The plain array under any number of tracers; None when some trace has no values."""
    while type(value) is Tracer:
        if value.alias is not None:
            refresh(value)
        if type(value) is not Tracer or not value.owner.has_value(value):
            return None
        value = value.value
    return value


def newest_of(values: Iterable[Any]) -> Trace | None:
    """The newest open trace among some values."""
    newest = None
    for v in values:
        if type(v) is Tracer:
            if v.alias is not None:
                refresh(v)
            if v.owner.open and (newest is None or v.owner.serial > newest.serial):
                newest = v.owner
    return newest


# ---- names after a write -------------------------------------------------------------------------


def repoint(tracer: Tracer, current: Any) -> None:
    """Make the name `tracer` mean another variable (after a write to its memory)."""
    if type(current) is Tracer:
        tracer.owner, tracer.value, tracer.mark = current.owner, current.value, current.mark
    else:
        tracer.owner, tracer.value, tracer.mark = _FINISHED, current, None


def snapshot(tracer: Tracer) -> Tracer:
    """The variable that a tracer names now, under a name that no later write re-points."""
    if tracer.alias is not None:
        refresh(tracer)
    return Tracer(tracer.owner, tracer.value, tracer.mark, tracer.weak)


class _Finished(Trace):
    """Owns tracers that stand for a plain value."""

    __slots__ = ()

    def lift(self, value: Any) -> Tracer:
        return Tracer(self, value, None)


_FINISHED = _Finished()
_FINISHED.open = False


def refresh(tracer: Tracer) -> None:
    """Bring a tracer up to date with the writes its memory has seen since it was made."""
    view = tracer.alias
    if view is None:
        return
    if BODIES and BODIES.get(get_ident()):
        # A name from outside must not come to stand for something inside.
        with inside():
            refresh(tracer)
        return
    if type(view) is Log:
        view.flush(tracer)
        return
    if view.seen == root_of(tracer).version:
        return
    settle_aliasing(tracer)
    chain = [tracer]
    while type(chain[-1].alias) is View:
        chain.append(chain[-1].alias.parent)
    root = chain.pop()
    if tracer is root:
        return
    if root.alias is not None:
        refresh(root)
    version = root.version
    if view.seen == version:
        return
    # The root's current variable under another name, so that what is derived links to nothing.
    current: Any = Tracer(root.owner, root.value, root.mark)
    for name in reversed(chain):
        how = name.alias
        current = apply(how.op, current, **how.params)
        if type(current) is Tracer:
            current.alias = None
        how.seen = version
        repoint(name, current)
