"""Running totals and products, and the calculus on samples that is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, ShapeError
from chainrule.ir.bound import Roundings
from chainrule.ir.primitive import Case, Custom, Draw, Linear, Multilinear, Primitive
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops import sum_loops
from chainrule.ops.family import normal_axis, primitive, structural
from chainrule.tracing.table import TABLE, Handler, implements
from chainrule.tracing.trace import apply

_NONE = np._NoValue


def _along(axis: int, part: slice) -> tuple[Any, ...]:
    return (slice(None),) * axis + (part,)


def _running_type(x: ArrayType, axis: int) -> ArrayType:
    dtype = np.dtype(int) if x.dtype.kind == "b" else x.dtype
    if x.dtype.kind in "iu" and x.dtype.itemsize < 8:
        dtype = np.dtype(x.dtype.kind + "8")
    return ArrayType(x.shape, dtype)


def _running_batch(op: Primitive, size: int, args: Any, batched: Any, axis: int) -> Any:
    return apply(op, args[0], axis=axis + 1)


_CASES = (
    Case((Draw((4,)),), {"axis": 0}),
    Case((Draw((2, 3)),), {"axis": 0}),
    Case((Draw((2, 3, 2)),), {"axis": 1}),
    Case((Draw((0, 2)),), {"axis": 0}),
    Case((Draw((3,), dtype="f4"),), {"axis": 0}),
    Case((Draw((2, 3), dtype="c16"),), {"axis": 1}),
)


# ---- cumsum --------------------------------------------------------------------------------------


def _cumsum_transpose(g: Any, x: ArrayType, axis: int) -> Any:
    backwards = _along(axis, slice(None, None, -1))
    return np.cumsum(g[backwards], axis=axis)[backwards]


cumsum = primitive(
    name="cumsum",
    type_rule=_running_type,
    value=lambda x, axis: np.add.accumulate(x, axis=axis),
    derivative=Linear(_cumsum_transpose),
    batch=_running_batch,
    symbolic=structural(lambda x, axis: np.add.accumulate(x, axis=axis)),
    lower=sum_loops.running("add"),
    bound=Roundings("n", "Σ|x|"),
    cases=_CASES,
)


# ---- cumprod -------------------------------------------------------------------------------------


def _cumprod_forward(tangents: tuple[Any], y: Any, x: Any, axis: int) -> Any:
    """Doubling, with the product rule on (value, tangent): nothing is divided, zeros are right."""
    t = tangents[0]
    count = np.shape(x)[axis]
    step = 1
    while step < count:
        first = _along(axis, slice(None, step))
        late, early = _along(axis, slice(step, None)), _along(axis, slice(None, -step))
        t = np.concatenate([t[first], t[late] * x[early] + t[early] * x[late]], axis=axis)
        x = np.concatenate([x[first], x[late] * x[early]], axis=axis)
        step *= 2
    return t


def _cumprod_reverse(g: Any, y: Any, x: Any, axis: int) -> tuple[Any]:
    """What stands before an entry, times a sum over all that follows it, gathered by doubling."""
    count = np.shape(x)[axis]
    between = x[_along(axis, slice(1, None))]
    step = 1
    while step < count:
        late, early = _along(axis, slice(step, None)), _along(axis, slice(None, -step))
        last = _along(axis, slice(-step, None))
        g = np.concatenate([g[early] + between * g[late], g[last]], axis=axis)
        between = between[early] * between[late]
        step *= 2
    one = np.ones_like(x[_along(axis, slice(0, 1))])
    before = np.concatenate([one, y[_along(axis, slice(None, -1))]], axis=axis)
    return (before * g,)


cumprod = primitive(
    name="cumprod",
    type_rule=_running_type,
    value=lambda x, axis: np.multiply.accumulate(x, axis=axis),
    derivative=Custom(_cumprod_forward, _cumprod_reverse),
    batch=_running_batch,
    symbolic=structural(lambda x, axis: np.multiply.accumulate(x, axis=axis)),
    lower=sum_loops.running("mul"),
    bound=Roundings("n", "|result|"),
    cases=(*_CASES, Case((np.array([2.0, 0.0, 3.0, 0.0, -1.0]),), {"axis": 0}, "zeros")),
)


# ---- entries -------------------------------------------------------------------------------------


def _running(op: Primitive, a: Any, axis: Any, dtype: Any) -> Any:
    a = TABLE["operand"](a)
    if axis is None:
        a, axis = np.reshape(a, (-1,)), 0
    if dtype is not None:
        a = TABLE["astype"](a, dtype)
    if np.ndim(a) == 0:
        a = np.reshape(a, (1,))
    return apply(op, a, axis=normal_axis(axis, np.ndim(a)))


@implements(np.cumsum, lists=True)
def _cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return _running(cumsum, a, axis, dtype)


@implements(np.cumprod, lists=True)
def _cumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return _running(cumprod, a, axis, dtype)


@implements((np.add, "accumulate"))
def _add_accumulate(array: Any, axis: Any = 0, dtype: Any = None) -> Any:
    return _running(cumsum, array, axis, dtype)


@implements((np.multiply, "accumulate"))
def _multiply_accumulate(array: Any, axis: Any = 0, dtype: Any = None) -> Any:
    return _running(cumprod, array, axis, dtype)


@implements(np.nancumsum)
def _nancumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    a = TABLE["operand"](a)
    return _running(cumsum, np.where(np.isnan(a), 0, a), axis, dtype)


@implements(np.nancumprod)
def _nancumprod(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    a = TABLE["operand"](a)
    return _running(cumprod, np.where(np.isnan(a), 1, a), axis, dtype)


def _cumulative(op: Primitive, start: int) -> Handler:
    def cumulative(
        x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False
    ) -> Any:
        x = TABLE["operand"](x)
        if axis is None and np.ndim(x) > 1:
            raise ShapeError("an array of several axes needs an axis to go along", fix="give axis=")
        result = _running(op, x, 0 if axis is None else axis, dtype)
        if not include_initial:
            return result
        along = normal_axis(0 if axis is None else axis, np.ndim(result))
        shape = tuple(1 if k == along else n for k, n in enumerate(np.shape(result)))
        return np.concatenate([np.full(shape, start, result.dtype), result], axis=along)

    return cumulative


# NumPy has these from 2.1 on.
if hasattr(np, "cumulative_sum"):
    TABLE[np.cumulative_sum] = _cumulative(cumsum, 0)
    TABLE[np.cumulative_prod] = _cumulative(cumprod, 1)


# ---- sums over samples ---------------------------------------------------------------------------


def _parts(a: Any, axis: int) -> tuple[Any, Any]:
    """Everything but the first, and everything but the last, along an axis."""
    return a[_along(axis, slice(1, None))], a[_along(axis, slice(None, -1))]


@implements(np.trapezoid, lists=True)
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = TABLE["operand"](y)
    along = normal_axis(axis, np.ndim(y))
    steps: Any = dx
    if x is not None:
        x = TABLE["operand"](x)
        late, early = _parts(x, 0 if np.ndim(x) == 1 else along)
        steps = late - early
        if np.ndim(x) == 1:
            steps = np.reshape(steps, (-1, *(1,) * (np.ndim(y) - along - 1)))
    late, early = _parts(y, along)
    return np.sum(steps * (late + early) / 2.0, axis=along)


@implements(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Central differences inside, one-sided ones at both ends, as NumPy takes them."""
    f = TABLE["operand"](f)
    f = f if f.dtype.kind in "fc" else TABLE["astype"](f, np.dtype(float))
    ndim = np.ndim(f)
    chosen = range(ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(normal_axis(k, ndim) for k in chosen)
    if edge_order not in (1, 2):
        raise ShapeError(
            "gradient: edge_order must be 1 or 2",
            {"edge_order": edge_order},
            fix="1 takes differences at the ends, 2 parabolas",
        )
    spacings = varargs or (1.0,)
    if len(spacings) == 1 and np.ndim(TABLE["operand"](spacings[0])) == 0:
        spacings = spacings * len(axes)
    if len(spacings) != len(axes):
        raise ShapeError(
            "gradient: one spacing per axis",
            {"spacings": len(spacings), "axes": axes},
            fix="give one number for all axes, or one number or array per axis",
        )
    slopes = [
        _slope(f, TABLE["operand"](h), k, edge_order) for h, k in zip(spacings, axes, strict=True)
    ]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(f: Any, spacing: Any, axis: int, edge_order: int) -> Any:
    count = np.shape(f)[axis]
    if count < edge_order + 1:
        raise ShapeError(
            f"gradient: an axis needs at least {edge_order + 1} samples",
            {"axis": axis},
            fix="choose the longer axes with axis=; or use edge_order=1",
        )
    if np.ndim(spacing):
        late, early = _parts(spacing, 0)
        h = np.reshape(late - early, (-1, *(1,) * (np.ndim(f) - axis - 1)))
    else:
        h = np.reshape(
            np.broadcast_to(spacing, (count - 1,)), (-1, *(1,) * (np.ndim(f) - axis - 1))
        )

    def at(start: int, stop: int | None) -> Any:
        return f[_along(axis, slice(start, stop))]

    pieces = []
    if edge_order == 1:
        pieces.append((at(1, 2) - at(0, 1)) / h[:1])
    else:
        pieces.append(_one_sided(at(0, 1), at(1, 2), at(2, 3), h[0], h[1]))
    if count > 2:
        left, right = h[:-1], h[1:]
        inner = (
            -right / (left * (left + right)) * at(0, -2)
            + (right - left) / (left * right) * at(1, -1)
            + left / (right * (left + right)) * at(2, None)
        )
        pieces.append(inner)
    if edge_order == 1:
        pieces.append((at(-1, None) - at(-2, -1)) / h[-1:])
    else:
        pieces.append(-_one_sided(at(-1, None), at(-2, -1), at(-3, -2), h[-1], h[-2]))
    slope = np.concatenate(pieces, axis=axis)
    return slope if slope.dtype == f.dtype else TABLE["astype"](slope, f.dtype)


def _one_sided(end: Any, second: Any, third: Any, h: Any, k: Any) -> Any:
    """The slope at an end from three samples, `h` and then `k` apart."""
    return (
        -(2.0 * h + k) / (h * (h + k)) * end
        + (h + k) / (h * k) * second
        - h / (k * (h + k)) * third
    )


# ---- convolution of sequences --------------------------------------------------------------------


def _convolve_batch(op: Primitive, size: int, args: Any, batched: Any) -> Any:
    """One of the two is the same for all: then its matrix does it; else example by example."""
    rows = [
        apply(op, *[a[i] if b else a for a, b in zip(args, batched, strict=True)])
        for i in range(size)
    ]
    return np.stack(rows)


convolve = primitive(
    name="convolve",
    type_rule=lambda a, v: ArrayType((a.shape[0] + v.shape[0] - 1,), result_dtype(a, v)),
    value=lambda a, v: np.convolve(a, v),
    derivative=Multilinear(
        lambda g, a, v: np.convolve(g, v[::-1])[v.shape[0] - 1 :][: a.shape[0]],
        lambda g, a, v: np.convolve(g, a[::-1])[a.shape[0] - 1 :][: v.shape[0]],
    ),
    batch=_convolve_batch,
    symbolic=lambda S, a, v: np.convolve(a, v),
    lower=sum_loops.convolve,
    bound=Roundings("n", "Σ|x·y|"),
    cases=(
        Case((Draw((4,)), Draw((3,)))),
        Case((Draw((2,)), Draw((5,)))),
        Case((Draw((1,)), Draw((1,)))),
        Case((Draw((4,), dtype="c16"), Draw((3,), dtype="c16"))),
        Case((Draw((4,), dtype="f4"), Draw((3,), dtype="f4"))),
    ),
)


def _sequence(value: Any, what: str) -> Any:
    value = TABLE["operand"](value)
    if np.ndim(value) == 0:
        value = np.reshape(value, (1,))
    if np.ndim(value) != 1 or np.size(value) == 0:
        raise ShapeError(
            f"{what}: needs two sequences of one axis that aren't empty",
            {"given": np.shape(value)},
            fix="flatten it with np.ravel",
        )
    return value


def _cut(full: Any, long: int, short: int, mode: Any, what: str) -> Any:
    """The part of a full convolution that a mode keeps."""
    if mode in ("full", 2):
        return full
    if mode in ("same", 1):
        start = (short - 1) // 2
        return full[start : start + long]
    if mode in ("valid", 0):
        return full[short - 1 : long]
    raise ShapeError(
        f"{what}: mode must be 'full', 'same' or 'valid'",
        {"mode": mode},
        fix="'full' keeps every overlap, 'same' the longer length, 'valid' whole ones",
    )


@implements(np.convolve)
def _convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    a, v = _sequence(a, "convolve"), _sequence(v, "convolve")
    if np.shape(v)[0] > np.shape(a)[0]:
        a, v = v, a
    return _cut(apply(convolve, a, v), np.shape(a)[0], np.shape(v)[0], mode, "convolve")


@implements(np.correlate)
def _correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    a, v = _sequence(a, "correlate"), _sequence(v, "correlate")
    v = np.conj(v) if v.dtype.kind == "c" else v
    if np.shape(v)[0] > np.shape(a)[0]:
        # NumPy exchanges the two and turns the result round; that decides where "same" lies.
        turned = apply(convolve, v, a[::-1])
        return _cut(turned, np.shape(v)[0], np.shape(a)[0], mode, "correlate")[::-1]
    full = apply(convolve, a, v[::-1])
    return _cut(full, np.shape(a)[0], np.shape(v)[0], mode, "correlate")


# ---- interpolation -------------------------------------------------------------------------------


@implements(np.interp)
def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """Straight lines between samples; at a sample the slope is that of the line to its right."""
    x, xp, fp = map(TABLE["operand"], (x, xp, fp))
    if np.result_type(x, xp).kind == "c":
        raise DtypeError(
            "interp: only the values fp may be complex",
            {"x": type_of(x), "xp": type_of(xp)},
            "take np.real(x), np.imag(x) or np.abs(x)",
        )
    count = np.shape(xp)[0]
    if count == 1:
        inside = np.broadcast_to(fp[0], np.shape(x)) + 0.0 * x
    else:
        cell = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, count - 2)
        # Not xp[cell]: a plain array can't be indexed by a traced one.
        at = TABLE["getitem"]
        start, end = at(xp, cell), at(xp, cell + 1)
        low, high = at(fp, cell), at(fp, cell + 1)
        inside = low + (high - low) / (end - start) * (x - start)
    below = fp[0] if left is None else left
    above = fp[-1] if right is None else right
    return np.where(x < xp[0], below, np.where(x > xp[-1], above, inside))
