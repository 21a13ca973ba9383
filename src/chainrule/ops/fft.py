"""Discrete Fourier transforms: linear maps, so each is its own tangent map.

Cotangents pair without conjugation, and the Fourier matrix is symmetric: the transpose of a
transform is the same transform, not the inverse one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.ir.primitive import Case, Draw, Linear, Primitive
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.family import normal_axis, primitive
from chainrule.tracing.table import TABLE, Handler, implements
from chainrule.tracing.trace import apply

Axes = tuple[int, ...]
_SWAPPED = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _complex(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.result_type(dtype, np.complex64) if dtype.kind in "fc" else np.dtype(complex)


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.zeros((), _complex(dtype)).real.dtype


# ---- complex to complex --------------------------------------------------------------------------


def _fourier_value(x: Any, axes: Axes, inverse: bool, norm: str) -> Any:
    transform: Any = np.fft.ifftn if inverse else np.fft.fftn
    return transform(x, axes=axes, norm=norm)


def _fourier_transpose(g: Any, x: ArrayType, axes: Axes, inverse: bool, norm: str) -> Any:
    return apply(fourier, g, axes=axes, inverse=inverse, norm=norm)


def _fourier_batch(
    op: Primitive, size: int, args: Any, batched: Any, axes: Axes, **params: Any
) -> Any:
    return apply(op, args[0], axes=tuple(k + 1 for k in axes), **params)


def _fourier_symbolic(sympy: Any, x: Any, axes: Axes, inverse: bool, norm: str) -> Any:
    for axis in axes:
        count = x.shape[axis]
        turn = (2 if inverse else -2) * sympy.pi * sympy.I / count
        matrix = np.array(
            [[sympy.exp(turn * j * k) for k in range(count)] for j in range(count)], object
        )
        whole = norm == ("backward" if inverse else "forward")
        scale = sympy.sqrt(count) if norm == "ortho" else count if whole else 1
        x = np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis) / scale
    return x


def _fourier_case(shape: tuple[int, ...], axes: Axes, dtype: str = "c16", **more: Any) -> Case:
    params = {"axes": axes, "inverse": False, "norm": "backward"} | more
    return Case((Draw(shape, dtype=dtype),), params)


fourier = primitive(
    name="fourier",
    type_rule=lambda x, axes, inverse, norm: ArrayType(x.shape, _complex(x.dtype)),
    value=_fourier_value,
    derivative=Linear(_fourier_transpose),
    batch=_fourier_batch,
    symbolic=_fourier_symbolic,
    lower=None,
    cases=(
        _fourier_case((4,), (0,)),
        _fourier_case((3,), (0,), "f8"),
        _fourier_case((5,), (0,), inverse=True),
        _fourier_case((4,), (0,), norm="ortho"),
        _fourier_case((3, 2), (0,), inverse=True, norm="forward"),
        _fourier_case((3, 4), (0, 1), "f8"),
        _fourier_case((2, 3, 4), (2, 0)),
        _fourier_case((4,), (0,), "f4"),
        _fourier_case((4,), (0,), "c8", inverse=True),
    ),
)


# ---- real to complex, and back -------------------------------------------------------------------


def _weights(count: int, dtype: np.dtype[Any], middle: float) -> np.ndarray:
    """1 for the frequencies that stand for themselves, `middle` for those with a mirror image."""
    weights = np.full(count // 2 + 1, middle, dtype)
    weights[0] = 1
    if count % 2 == 0:
        weights[-1] = 1
    return weights


def _along(weights: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    return weights.reshape((-1, *(1,) * (ndim - axis - 1)))


def _rfft_transpose(g: Any, x: ArrayType, axis: int, norm: str) -> Any:
    count = x.shape[axis]
    weights = _along(_weights(count, _real(x.dtype), 0.5), axis, x.ndim)
    return apply(irfft, np.conj(g) * weights, axis=axis, n=count, norm=_SWAPPED[norm])


def _irfft_transpose(g: Any, x: ArrayType, axis: int, n: int, norm: str) -> Any:
    weights = _along(_weights(n, _real(x.dtype), 2.0), axis, x.ndim)
    return np.conj(apply(rfft, g, axis=axis, norm=_SWAPPED[norm])) * weights


def _shifted(op: Primitive, size: int, args: Any, batched: Any, axis: int, **params: Any) -> Any:
    return apply(op, args[0], axis=axis + 1, **params)


def _with_length(x: ArrayType, axis: int, n: int, dtype: np.dtype[Any]) -> ArrayType:
    return ArrayType((*x.shape[:axis], n, *x.shape[axis + 1 :]), dtype)


rfft = primitive(
    name="rfft",
    type_rule=lambda x, axis, norm: _with_length(
        x, axis, x.shape[axis] // 2 + 1, _complex(x.dtype)
    ),
    value=lambda x, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
    derivative=Linear(_rfft_transpose),
    batch=_shifted,
    symbolic=None,
    lower=None,
    cases=(
        Case((Draw((4,)),), {"axis": 0, "norm": "backward"}),
        Case((Draw((5,)),), {"axis": 0, "norm": "ortho"}),
        Case((Draw((1,)),), {"axis": 0, "norm": "backward"}),
        Case((Draw((3, 4)),), {"axis": 0, "norm": "forward"}),
        Case((Draw((3, 4), dtype="f4"),), {"axis": 1, "norm": "backward"}),
    ),
)

# The imaginary parts of the frequencies without a mirror image are ignored, as NumPy ignores them.
irfft = primitive(
    name="irfft",
    type_rule=lambda x, axis, n, norm: _with_length(x, axis, n, _real(x.dtype)),
    value=lambda x, axis, n, norm: np.fft.irfft(x, n, axis=axis, norm=norm),
    derivative=Linear(_irfft_transpose),
    batch=_shifted,
    symbolic=None,
    lower=None,
    cases=(
        Case((Draw((3,), dtype="c16"),), {"axis": 0, "n": 4, "norm": "backward"}),
        Case((Draw((3,), dtype="c16"),), {"axis": 0, "n": 5, "norm": "ortho"}),
        Case((Draw((3,)),), {"axis": 0, "n": 4, "norm": "backward"}),
        Case((Draw((3, 2), dtype="c16"),), {"axis": 0, "n": 5, "norm": "forward"}),
        Case((Draw((2, 3), dtype="c8"),), {"axis": 1, "n": 4, "norm": "backward"}),
    ),
)


# ---- entries -------------------------------------------------------------------------------------


def _direction(norm: Any, what: str) -> str:
    norm = "backward" if norm is None else norm
    if norm not in _SWAPPED:
        raise ArgumentError(
            f"{what}: norm must be 'backward', 'ortho' or 'forward'",
            {"norm": repr(norm)},
            fix="leave norm= out for 'backward', which divides by n on the way back only",
        )
    return norm


def _resized(x: Any, n: int, axis: int, what: str) -> Any:
    """Cut off, or filled up with zeros behind, to length n along an axis."""
    shape = np.shape(x)
    if n < 1:
        raise ShapeError(
            f"{what}: needs at least one point",
            {"array": type_of(x), "n": n},
            fix="give n of 1 or more, and an axis that isn't empty",
        )
    if n <= shape[axis]:
        return x if n == shape[axis] else x[(slice(None),) * axis + (slice(0, n),)]
    more = (*shape[:axis], n - shape[axis], *shape[axis + 1 :])
    return np.concatenate([x, np.zeros(more, np.result_type(x))], axis=axis)


def _plan(x: Any, s: Any, axes: Any, what: str) -> tuple[Axes, tuple[int | None, ...]]:
    """The axes to go along, and their lengths (None: as they are)."""
    ndim = np.ndim(x)
    if axes is None:
        chosen = tuple(range(ndim)) if s is None else tuple(range(ndim - len(s), ndim))
    else:
        chosen = tuple(normal_axis(k, ndim) for k in axes)
    lengths = (None,) * len(chosen) if s is None else tuple(s)
    if len(lengths) != len(chosen):
        raise ShapeError(
            f"{what}: s and axes must be equally long",
            {"s": s, "axes": axes},
            fix="give one length per axis",
        )
    return chosen, tuple(None if n in (None, -1) else int(n) for n in lengths)


def _transform(a: Any, s: Any, axes: Any, norm: Any, inverse: bool, what: str) -> Any:
    a = TABLE["operand"](a)
    chosen, lengths = _plan(a, s, axes, what)
    for axis, n in zip(chosen, lengths, strict=True):
        a = _resized(a, np.shape(a)[axis] if n is None else n, axis, what)
    return apply(fourier, a, axes=chosen, inverse=inverse, norm=_direction(norm, what))


def _one_axis(inverse: bool, what: str) -> Handler:
    def transform(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
        return _transform(a, None if n is None else (n,), (axis,), norm, inverse, what)

    return transform


def _many_axes(inverse: bool, what: str, default: Axes | None) -> Handler:
    def transform(a: Any, s: Any = None, axes: Any = default, norm: Any = None) -> Any:
        return _transform(a, s, axes, norm, inverse, what)

    return transform


TABLE[np.fft.fft] = _one_axis(False, "fft")
TABLE[np.fft.ifft] = _one_axis(True, "ifft")
TABLE[np.fft.fft2] = _many_axes(False, "fft2", (-2, -1))
TABLE[np.fft.ifft2] = _many_axes(True, "ifft2", (-2, -1))
TABLE[np.fft.fftn] = _many_axes(False, "fftn", None)
TABLE[np.fft.ifftn] = _many_axes(True, "ifftn", None)


def _real_transform(a: Any, s: Any, axes: Any, norm: Any, what: str) -> Any:
    a = TABLE["operand"](a)
    if a.dtype.kind == "c":
        raise ArgumentError(
            f"{what}: the array must be real", {"array": type_of(a)}, f"use np.fft.{what[1:]}"
        )
    chosen, lengths = _plan(a, s, axes, what)
    for axis, n in zip(chosen, lengths, strict=True):
        a = _resized(a, np.shape(a)[axis] if n is None else n, axis, what)
    direction = _direction(norm, what)
    half = apply(rfft, a, axis=chosen[-1], norm=direction)
    if len(chosen) == 1:
        return half
    return apply(fourier, half, axes=chosen[:-1], inverse=False, norm=direction)


def _real_inverse(a: Any, s: Any, axes: Any, norm: Any, what: str) -> Any:
    a = TABLE["operand"](a)
    chosen, lengths = _plan(a, s, axes, what)
    direction = _direction(norm, what)
    for axis, n in zip(chosen[:-1], lengths[:-1], strict=True):
        a = _resized(a, np.shape(a)[axis] if n is None else n, axis, what)
    if len(chosen) > 1:
        a = apply(fourier, a, axes=chosen[:-1], inverse=True, norm=direction)
    last = chosen[-1]
    n = 2 * (np.shape(a)[last] - 1) if lengths[-1] is None else lengths[-1]
    if n < 1:
        raise ShapeError(
            f"{what}: needs at least one point",
            {"array": type_of(a), "n": n},
            fix="give n of 1 or more, and an axis that isn't empty",
        )
    return apply(irfft, _resized(a, n // 2 + 1, last, what), axis=last, n=n, norm=direction)


@implements(np.fft.rfft)
def _rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return _real_transform(a, None if n is None else (n,), (axis,), norm, "rfft")


@implements(np.fft.irfft)
def _irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return _real_inverse(a, None if n is None else (n,), (axis,), norm, "irfft")


@implements(np.fft.rfft2)
def _rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    return _real_transform(a, s, axes, norm, "rfft2")


@implements(np.fft.irfft2)
def _irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    return _real_inverse(a, s, axes, norm, "irfft2")


@implements(np.fft.rfftn)
def _rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    return _real_transform(a, s, axes, norm, "rfftn")


@implements(np.fft.irfftn)
def _irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None) -> Any:
    return _real_inverse(a, s, axes, norm, "irfftn")


@implements(np.fft.hfft)
def _hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    swapped = _SWAPPED[_direction(norm, "hfft")]
    return _irfft(np.conj(TABLE["operand"](a)), n, axis, swapped)


@implements(np.fft.ihfft)
def _ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    return np.conj(_rfft(a, n, axis, _SWAPPED[_direction(norm, "ihfft")]))


# ---- the order of frequencies --------------------------------------------------------------------


def _half_turn(x: Any, axes: Any, sign: int) -> Any:
    x = TABLE["operand"](x)
    if axes is None:
        axes = range(np.ndim(x))
    chosen = tuple(
        normal_axis(k, np.ndim(x)) for k in (axes if hasattr(axes, "__iter__") else (axes,))
    )
    for axis in chosen:
        count = np.shape(x)[axis]
        start = (-sign * (count // 2)) % max(count, 1)
        front = (slice(None),) * axis
        parts = [x[(*front, slice(start, None))], x[(*front, slice(0, start))]]
        x = np.concatenate(parts, axis=axis)
    return x


@implements(np.fft.fftshift)
def _fftshift(x: Any, axes: Any = None) -> Any:
    return _half_turn(x, axes, 1)


@implements(np.fft.ifftshift)
def _ifftshift(x: Any, axes: Any = None) -> Any:
    return _half_turn(x, axes, -1)
