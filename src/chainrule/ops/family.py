"""What operations of one family share: type rules, batch rules, entering into the table."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, ShapeError, UnsupportedError
from chainrule.ir.bound import Bound
from chainrule.ir.primitive import Case, Draw, Irregular, Primitive, Rule, Scalar
from chainrule.ir.types import ArrayType, result_dtype
from chainrule.tracing.table import SCIPY_SPECIAL, TABLE
from chainrule.tracing.trace import apply, ground, snapshot
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import memory_order

PRIMITIVES: dict[str, Primitive] = {}


def primitive(**fields: Any) -> Primitive:
    """Make the record and list it, so that tests and documents can walk over all of them."""
    op = Primitive(**fields)
    if op.name in PRIMITIVES:
        raise ValueError(f"two primitives are called {op.name}")
    PRIMITIVES[op.name] = op
    return op


# ---- elementwise ---------------------------------------------------------------------------------


def elementwise(
    ufunc: Any,
    derivative: Any,
    *,
    symbolic: Callable[..., Any] | None,
    cases: tuple[Case, ...],
    name: str | None = None,
    value: Rule | None = None,
    special: tuple[str, ...] = (),
    also: Sequence[Any] = (),
    weak: bool = False,
    irregular: tuple[Irregular, ...] = (),
    lower: Scalar | Rule | None = None,
    bound: Bound | None = None,
) -> Primitive:
    """An operation that works entry by entry, entered under its ufunc.

    Args:
        ufunc: NumPy's ufunc, or None for one of scipy.special (then give name and value).
        derivative: `Partials` of the scalar function, or Flat.
        symbolic: the same for SymPy scalars: `(sympy, *expressions)`.
        lower: the same for the compiler's scalars.
        bound: how far that may lie from the true result.
        special: names in scipy.special that mean this operation.
        also: further NumPy functions that mean it (np.abs for np.absolute is the same object).
    """
    resolver = value if ufunc is None and isinstance(value, np.ufunc) else ufunc
    op = primitive(
        name=name or ufunc.__name__,
        type_rule=elementwise_type(resolver),
        value=value or ufunc,
        derivative=derivative,
        batch=elementwise_batch,
        symbolic=None if symbolic is None else each(symbolic),
        lower=lower,
        bound=bound,
        cases=cases,
        weak=weak,
        irregular=irregular,
    )
    handler = functools.partial(apply, op)
    for key in (ufunc, *also):
        if key is not None:
            TABLE[key] = handler
    for special_name in special:
        SCIPY_SPECIAL[special_name] = handler
    return op


def elementwise_type(ufunc: Any) -> Rule:
    """Broadcast shapes; the dtype that the ufunc itself resolves to, Python scalars weak."""

    @functools.lru_cache(maxsize=256)
    def settled(*types: ArrayType) -> ArrayType:
        shape = broadcast(*types)
        if ufunc is None:
            dtype = result_dtype(*types)
            dtype = dtype if dtype.kind in "fc" else np.dtype(float)
            return ArrayType(shape, dtype)
        weak = [t.promotion for t in types]
        if all(isinstance(w, type) for w in weak):
            weak = [t.dtype for t in types]
        try:
            dtype = ufunc.resolve_dtypes((*weak, *[None] * ufunc.nout))[-1]
        except TypeError as error:
            raise DtypeError(
                f"{ufunc.__name__}: no such operation for these dtypes",
                {f"operand {k}": t for k, t in enumerate(types)},
                "take np.real(x), np.imag(x) or np.abs(x)"
                if any(t.dtype.kind == "c" for t in types)
                else "convert with x.astype(float), or x.astype(int), which has no derivative",
            ) from error
        return ArrayType(shape, dtype)

    def rule(*types: ArrayType, **params: Any) -> ArrayType:
        return settled(*types)

    return rule


def broadcast(*types: ArrayType) -> tuple[int, ...]:
    """The common shape, or an error that shows them all."""
    try:
        return np.broadcast_shapes(*[t.shape for t in types])
    except ValueError:
        raise ShapeError(
            "shapes that don't broadcast together",
            {f"operand {k}": t for k, t in enumerate(types)},
            "make them equal, or 1, from the last axis backwards",
        ) from None


def elementwise_batch(
    op: Primitive, size: int, args: tuple[Any, ...], batched: tuple[bool, ...], **params: Any
) -> Any:
    """Batch axes in front, every example's axes aligned at the end."""
    rank = max(np.ndim(a) - b for a, b in zip(args, batched, strict=True))
    return apply(op, *align(args, batched, rank), **params)


def align(args: tuple[Any, ...], batched: tuple[bool, ...], rank: int) -> list[Any]:
    """Give every batched operand `rank` axes after its batch axis."""
    aligned = []
    for a, b in zip(args, batched, strict=True):
        shape = np.shape(a)
        if b and len(shape) - 1 < rank:
            a = np.reshape(a, (shape[0], *(1,) * (rank - len(shape) + 1), *shape[1:]))
        aligned.append(a)
    return aligned


def each(scalar: Callable[..., Any]) -> Rule:
    """A SymPy rule for scalars, made to work on object arrays."""

    def rule(sympy: Any, *arrays: Any, **params: Any) -> Any:
        function = np.frompyfunc(lambda *xs: scalar(sympy, *xs, **params), len(arrays), 1)
        return function(*arrays)

    return rule


def structural(value: Rule) -> Rule:
    """A SymPy rule for operations that only move or add: NumPy does it on object arrays."""

    def rule(sympy: Any, *arrays: Any, **params: Any) -> Any:
        return value(*arrays, **params)

    return rule


# ---- cases ---------------------------------------------------------------------------------------


def unary(low: float = -2.0, high: float = 2.0, dtypes: str = "d", **more: Any) -> tuple[Case, ...]:
    """The usual cases of a unary operation on an interval: scalar, vector, matrix, empty."""
    names = {"d": "f8", "f": "f4", "D": "c16"}
    cases = [Case((Draw(shape, low, high),), **more) for shape in ((), (3,), (2, 3), (0,))]
    cases += [Case((Draw((3,), low, high, names[d]),), **more) for d in dtypes if d != "d"]
    return tuple(cases)


def binary(
    left: tuple[float, float] = (-2.0, 2.0),
    right: tuple[float, float] = (-2.0, 2.0),
    dtypes: str = "d",
    **more: Any,
) -> tuple[Case, ...]:
    """The usual cases of a binary operation: equal shapes, broadcasting both ways, literals."""
    names = {"d": "f8", "f": "f4", "D": "c16"}
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 1)), ((2, 1), (1, 3)), ((0,), ()),
    ]  # fmt: skip
    cases = [Case((Draw(a, *left), Draw(b, *right)), **more) for a, b in shapes]
    for d in dtypes:
        if d != "d":
            pair = (Draw((3,), *left, names[d]), Draw((3,), *right, names[d]))
            cases.append(Case(pair, **more))
    return tuple(cases)


# ---- axes ----------------------------------------------------------------------------------------


def normal_axis(axis: int, ndim: int, what: str = "axis") -> int:
    """An axis counted from the front, or an error."""
    try:
        number = operator.index(axis)
    except TypeError:
        raise DtypeError(
            f"{what} must be an integer, not {axis!r}"[:120], fix="count axes from 0; or use int()"
        ) from None
    if not -ndim <= number < ndim:
        raise ShapeError(
            f"{what} {axis} is out of range for an array with {ndim} dimensions",
            fix=f"use an axis from {-ndim} to {ndim - 1}" if ndim else "a scalar has no axes",
        )
    return number % ndim


def normal_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """A tuple of axes counted from the front; None means all of them."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    normal = tuple(normal_axis(a, ndim) for a in axes)
    if len(set(normal)) != len(normal):
        raise ShapeError("an axis is named twice", {"axis": axis}, "name every axis once")
    return tuple(sorted(normal))


def at_axis(axis: int, part: Any) -> tuple[Any, ...]:
    """The index that takes a part of one axis and all of those before and after it."""
    return (*(slice(None),) * axis, part)


def known(value: Any, what: str) -> Any:
    """The numbers of an argument that shapes depend on."""
    value = TABLE["operand"](value)
    if type(value) is not Tracer:
        return value
    numbers = ground(value)
    if numbers is None:
        raise UnsupportedError(
            f"{what} must be known while tracing, for shapes depend on it",
            {"given": f"{value!r}"},
            "keep every entry and choose with np.where(condition, a, b);\n"
            "or name the argument in static_argnums of cr.jit",
        )
    return numbers


# ---- shapes and dtypes that many rules need ------------------------------------------------------


def kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without some of its axes."""
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def ones_at(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with length 1 at some of its axes, as keepdims= leaves it."""
    return tuple(1 if k in axes else n for k, n in enumerate(shape))


def sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """Add up the entries of `g` that broadcasting made out of one entry of `shape`."""
    have = g.shape
    if have == shape:
        return g
    extra = len(have) - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + k for k, n in enumerate(shape) if n == 1 and have[extra + k] != 1
    )
    return np.reshape(np.sum(g, axis=axes) if axes else g, shape)


def strong(part: Any) -> Any:
    """As an array, where Python's numbers promote like any others."""
    part = TABLE["operand"](part)
    if type(part) is Tracer:
        if part.weak:
            part = snapshot(part)
            part.weak = False
        return part
    return part if isinstance(part, (np.ndarray, np.generic)) else np.asarray(part)[()]


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the real part."""
    return np.zeros((), dtype).real.dtype


def column_order(a: Any, binding: bool = False) -> tuple[int, ...] | None:
    """The axes from last to first where an array lies in memory column by column; else None."""
    order = memory_order(a, binding)
    wide = [k for k in order or () if np.shape(a)[k] > 1]
    return order if wide and wide == sorted(wide, reverse=True) else None


def laid_out(result: Any, order: tuple[int, ...] | None) -> Any:
    """A new array that lies in memory as NumPy's result would: reshapes of it then alias alike."""
    if memory_order(result) == order:
        return result
    if order is None:
        return TABLE["copy"](result, "C")
    laid = TABLE["copy"](np.transpose(result, order), "C")
    return np.transpose(laid, [order.index(k) for k in range(len(order))])
