"""Random straight-line NumPy programs: as data, how to run them, and how to draw them.

A program is a list of steps, each a name and four numbers that choose among what there is, so that
no step can fail. One interpreter runs it on plain and on traced arrays alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

import chainrule as cr

Step = tuple[str, int, int, int, int]
Operation = Callable[[list[Any], Any, Any, int, int], Any]

SHAPES = [(), (3,), (2, 3), (2, 1), (1, 3), (4,), (2, 2, 3)]
OPERATIONS: dict[str, Operation] = {}


def operation(f: Operation) -> Operation:
    OPERATIONS[f.__name__] = f
    return f


def constant(shape: tuple[int, ...], p: int, dtype: Any) -> Any:
    """Numbers of no pattern, outside [-0.1, 0.1]."""
    grid = np.arange(math.prod(shape), dtype=float).reshape(shape)
    waves = np.cos(1.7 * grid + 0.37 * p)
    return (waves + np.where(waves < 0, -0.1, 0.1)).astype(dtype)


def fitting(x: Any, y: Any) -> Any:
    """y if it broadcasts with x, or else one number of it."""
    try:
        shape = np.broadcast_shapes(np.shape(x), np.shape(y))
    except ValueError:
        return np.mean(y)
    return y if math.prod(shape) <= 60 else np.mean(y)


def into(x: Any, y: Any) -> Any:
    """y if it may be written into x, or else one number of it."""
    try:
        return y if np.broadcast_shapes(np.shape(x), np.shape(y)) == np.shape(x) else np.mean(y)
    except ValueError:
        return np.mean(y)


def axis_of(x: Any, p: int) -> int | None:
    choices = [*range(np.ndim(x)), *range(-np.ndim(x), 0), None]
    return choices[p % len(choices)]


def some_axis(x: Any, p: int) -> int:
    return p % np.ndim(x) if p % 2 else p % np.ndim(x) - np.ndim(x)


def basic(shape: tuple[int, ...], p: int, q: int) -> tuple[Any, ...]:
    index: list[Any] = []
    for n in shape:
        kind, p = p % 8, p // 8
        entries: list[Any] = [
            q % n if n else slice(None),
            slice(None, None, -1),
            slice(1, None),
            slice(None, None, 2),
            slice(0, max(1, n - 1)),
            slice(None),
            -1 if n else slice(None),
            slice(-1, None, -2),
        ]
        index.append(entries[kind])
    if q % 5 == 0:
        index.insert(q % (len(index) + 1), None)
    if q % 7 == 3 and index:
        index[-1] = Ellipsis
    return tuple(index)


def advanced(shape: tuple[int, ...], p: int, q: int) -> Any:
    """An index with arrays: lists, repeated, negative, masks, mixed with slices."""
    n = shape[0]
    rows = np.array([p % n, q % n, -1, p % n])
    mask = np.arange(math.prod(shape)).reshape(shape) % 3 != p % 3
    choices: list[Any] = [
        rows,
        [q % n, p % n],
        mask,
        mask.reshape(n, -1)[:, 0],
        rows.reshape(2, 2),
        (rows, Ellipsis),
        (slice(None), rows % shape[-1]) if len(shape) == 2 else rows,
        (rows[:, None], rows[:2] % shape[-1]) if len(shape) == 2 else rows,
        (rows[:2], slice(None), rows[2:] % shape[-1]) if len(shape) == 3 else rows,
        (rows, q % shape[-1]) if len(shape) == 2 else rows,
        (None, rows),
    ]
    return choices[(p + q) % len(choices)]


# ---- values ------------------------------------------------------------------------------------


@operation
def elementwise(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    functions: list[Callable[[Any], Any]] = [
        np.sin, np.tanh, np.arctan, np.square, np.negative, np.abs, np.expm1, np.cbrt, np.sinc,
        lambda x: np.exp(np.tanh(x)),
        lambda x: np.log(1.5 + x * x),
        lambda x: np.sqrt(1 + x**2),
        lambda x: x / (1 + x * x),
        lambda x: 2.0**np.sin(x),
        lambda x: x**3 - 1,
        lambda x: np.sign(x) * x,
        lambda x: np.clip(x, -0.7, 0.8),
        lambda x: np.nan_to_num(x) * np.float32(0.5),
        lambda x: 1 - x,
        lambda x: np.maximum(x, 0),
        lambda x: np.where(x > 0.3, x, np.sin(x)),
        lambda x: np.logaddexp(x, 0.0),
        lambda x: np.heaviside(x, 0.5) + x,
        lambda x: -x.astype(np.float64),
        lambda x: np.float64(0.5) * x,
        lambda x: np.round(x, 1) + x,
        lambda x: np.copysign(x, 0.3),
        lambda x: np.array([0.5], dtype=np.float32)[0] * x,
        lambda x: np.select([x > 0.5, x > 0], [x, 2 * x], -x),
    ]  # fmt: skip
    return functions[p % len(functions)](np.clip(x, -4, 4) if q % 2 else x / 2)


@operation
def binary(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    functions: list[Callable[[Any, Any], Any]] = [
        np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.hypot, np.arctan2,
        np.logaddexp, np.fmax, np.copysign,
        lambda x, y: x / (1 + y * y),
        lambda x, y: np.where(x > y, x, 0.5 * y),
        lambda x, y: np.power(1 + np.abs(x), np.tanh(y)),
        lambda x, y: x * 0 + y,
        lambda x, y: np.fmod(x, 2.3) * y,
        lambda x, y: np.where(np.abs(y) > 0.2, np.divide(x, y), 1.0),
    ]  # fmt: skip
    return functions[p % len(functions)](x, fitting(x, y))


@operation
def with_constant(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    shape = SHAPES[q % len(SHAPES)]
    c = fitting(x, constant(shape, p, x.dtype if p % 2 else np.float64))
    return [c * x, x - c, c / (2 + x * x), np.maximum(c, x), np.where(c > 0, x, c)][p % 5]


@operation
def reduce(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    axis = axis_of(x, q)
    if np.ndim(x) == 3 and q % 3 == 0:
        axes: Any = [(0, 1), (0, -1), (1, 2), ()][p % 4]
    else:
        axes = axis
    keep = bool(q % 2)
    functions: list[Callable[[], Any]] = [
        lambda: np.sum(x, axis=axes, keepdims=keep),
        lambda: np.mean(x, axis=axes if axes != () else None, keepdims=keep),
        lambda: np.max(x, axis=axes, keepdims=keep),
        lambda: np.min(x, axis=axis, keepdims=keep),
        lambda: np.prod(np.sin(x), axis=axes, keepdims=keep),
        lambda: np.var(x, axis=axis, keepdims=keep),
        lambda: x.sum(axis=axis, dtype=np.float64),
        lambda: np.add.reduce(x, axis=axis) if np.ndim(x) else x,
        lambda: np.median(x, axis=axis),
        lambda: np.linalg.norm(np.ravel(x) + 3),
        lambda: np.average(x, axis=axis, weights=np.abs(x) + 1),
        lambda: np.sum(x, where=np.arange(x.size).reshape(x.shape) % 2 == 0, axis=axes),
        lambda: np.ptp(x, axis=axis) if np.ndim(x) else x,
        lambda: np.max(x, axis=axis, initial=0.2),
        lambda: np.quantile(x, 0.3, axis=axis),
    ]
    return functions[p % len(functions)]()


@operation
def view(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    if not np.ndim(x):
        return [np.reshape(x, (1,)), x[None], x[()], np.full((2, 3), x)][p % 4]
    choices: list[Callable[[], Any]] = [
        lambda: x.T,
        lambda: x.reshape(-1),
        lambda: np.ravel(x),
        lambda: np.flip(x, axis=axis_of(x, q)),
        lambda: np.swapaxes(x, 0, -1),
        lambda: np.expand_dims(x, 0) if np.ndim(x) < 3 else np.squeeze(x),
        lambda: np.moveaxis(x, 0, -1),
        lambda: np.split(x, [1], axis=some_axis(x, q))[q % 2],
        lambda: np.diagonal(x) * 1 if np.ndim(x) == 2 else x[::-1],
        lambda: x.reshape((*x.shape[1:], x.shape[0])),
        lambda: x.reshape((-1, 2)) if x.size % 2 == 0 else x[..., None],
        lambda: np.atleast_2d(x),
        lambda: list(x)[q % len(x)],
        lambda: np.squeeze(x),
    ]
    k = p % (2 * len(choices))
    return choices[k]() if k < len(choices) else x[basic(x.shape, p // 2, q)]


@operation
def rearrange(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    if not np.ndim(x):
        return np.full((2,), x)
    axis = some_axis(x, q)
    choices: list[Callable[[], Any]] = [
        lambda: np.cumsum(x, axis=axis),
        lambda: np.sort(x, axis=axis),
        lambda: np.roll(x, q, axis=axis),
        lambda: np.repeat(x, 2, axis=axis),
        lambda: np.tile(x, 2),
        lambda: np.pad(x, 1, mode=["constant", "edge"][q % 2]),
        lambda: np.diff(x, axis=axis, prepend=0),
        lambda: np.take(x, [0, -1, 0], axis=axis),
        lambda: np.take_along_axis(x, np.argsort(x, axis=axis), axis=axis),
        lambda: np.cumprod(np.sin(x), axis=axis),
        lambda: np.tril(x) if np.ndim(x) == 2 else x * 1,
        lambda: np.broadcast_to(x, (2, *x.shape)) * 2,
        lambda: x.copy(order="F"),
        lambda: np.array(x),
        lambda: np.partition(x, 0, axis=axis),
        lambda: np.trace(x) if np.ndim(x) == 2 else x[-1],
        lambda: x[advanced(x.shape, p, q)] if x.size else x,
        lambda: x[advanced(x.shape, q, p)] if x.size else x,
        lambda: x.flatten(),
        lambda: np.compress([True] + [False] * (x.shape[axis] - 1), x, axis=axis),
        lambda: np.asfortranarray(x * 1.0),
    ]
    return choices[p % len(choices)]()


@operation
def join(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    z = into(x, y) + 0 * x
    if not np.ndim(x):
        return [np.stack([x, z]), np.array([x, 1.0, z]), np.hstack([x, z])][p % 3]
    axis = some_axis(x, q)
    return [
        np.concatenate([x, z], axis=axis),
        np.stack([x, z, x], axis=axis),
        np.array([x, z]),
        np.vstack([x, z]),
        np.append(x, z),
        np.concatenate([x.ravel(), np.ones(2, x.dtype)]),
        np.column_stack([x, z]) if np.ndim(x) < 3 else x,
    ][p % 7]


@operation
def product(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    a = np.atleast_2d(x)
    a = a.reshape(a.shape[0], -1)
    n = a.shape[1]
    choices: list[Callable[[], Any]] = [
        lambda: a @ constant((n, 2), q, a.dtype),
        lambda: a @ a.T,
        lambda: np.einsum("ij,ij->i", a, a),
        lambda: np.einsum("ij,kj->ik", a, constant((2, n), q, a.dtype)),
        lambda: np.dot(a, a[0]),
        lambda: np.outer(a[0], a[:, 0]),
        lambda: np.tensordot(a, a, axes=([1], [1])),
        lambda: np.vdot(a, a),
        lambda: np.inner(a, a[:1]),
        lambda: np.kron(a[0][:3], a[:, 0][:2]),
        lambda: np.linalg.solve(a.T @ a + 3 * np.eye(n, dtype=a.dtype), a[0]),
        lambda: np.convolve(a[0], a[0][:2]),
        lambda: np.matmul(x, x) if np.shape(x)[-2:] == (2, 2) else np.einsum("ij->j", a),
        lambda: np.linalg.det(a[:2, :2] + 2 * np.eye(*a[:2, :2].shape, dtype=a.dtype))
        if min(a.shape) > 1 else np.einsum("ij,ij->", a, a),
    ]  # fmt: skip
    return 0.5 * choices[p % len(choices)]()


# ---- memory ------------------------------------------------------------------------------------


@operation
def buffer(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    """New memory, filled later or now, and perhaps a view of it taken before that."""
    shape = np.shape(x) or (2,)
    dtype = x.dtype if p % 2 else np.float64
    b = [
        lambda: np.zeros(shape, dtype),
        lambda: np.ones(shape, dtype, order="F"),
        lambda: np.zeros_like(x, dtype=dtype, shape=shape),
        lambda: np.full(shape, 0.4, dtype),
        lambda: np.arange(math.prod(shape), dtype=dtype).reshape(shape) / 7,
        lambda: np.eye(3, dtype=dtype),
    ][p // 2 % 6]()
    names.append(b)
    if q % 3 == 0:
        names.append(b[::-1])
    if q % 3 == 1:
        names.append(b.T)
    if q % 2:
        b[...] = into(b, y)
    return b[basic(b.shape, p, q)] if q % 5 < 2 else b.reshape(-1)


@operation
def write(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    if not np.ndim(x) or not x.size:
        return x * 1.0
    kind = p % 8
    if kind == 0:
        x[p % len(x)] = into(x[0], y)
    elif kind == 1:
        x[basic(x.shape, p // 8, q)] = np.mean(y)
    elif kind == 2:
        x[1:] += into(x[1:], y)
    elif kind == 3:
        v = x[::2]
        v *= into(v, y)
    elif kind == 4:
        x[advanced(x.shape, p // 8, q)] = np.mean(np.sin(y))
    elif kind == 5:
        x[:-1] = x[1:] * 0.5
    elif kind == 6:
        for i in range(len(x)):
            x[i] = x[i - 1] * 0.5 + i
    else:
        x[advanced(x.shape, p // 8, q)] *= 0.5
    return None


@operation
def add_at(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    if np.ndim(x) and p % 3:
        np.add.at(x, np.array([0, -1, 0]), np.mean(y))
    elif np.ndim(x):
        np.subtract.at(x, (np.array([0, -1]), Ellipsis), y.item(0))
    return None


@operation
def update(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    """`x += y` on what the name stands for, array or scalar."""
    y = into(x, y)
    if not np.ndim(x):
        return x + y
    if p % 4 == 0:
        x += y
    elif p % 4 == 1:
        x *= 0.5
    elif p % 4 == 2:
        x -= np.tanh(y)
    else:
        x /= 1 + y * y
    return x if p % 3 else x + 1


# ---- what Python and the package bring ---------------------------------------------------------


@operation
def scalar_math(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    e = x.item(q % x.size) if p % 2 else np.sum(x)
    if e.dtype == np.float32 if hasattr(e, "dtype") else x.dtype == np.float32:
        return np.sqrt(1 + x * x)  # the functions of `math` would compute with 64 bits
    function = [math.sin, math.atan, lambda e: math.sqrt(1 + e * e), math.tanh, abs][p // 2 % 5]
    return np.add(function(e), 0 * x) if q % 2 else np.multiply(function(e), np.ones(2))


@operation
def branch(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    rows = x if np.ndim(x) else [x]
    return sum(np.sin(row) * (k + 1) for k, row in enumerate(rows))


@operation
def nested(names: list[Any], x: Any, y: Any, p: int, q: int) -> Any:
    """A sub-program, differentiated, batched or checkpointed inside; it may use outer values."""
    pure = ["elementwise", "binary", "with_constant", "reduce", "rearrange", "product", "view"]
    if q % 2:
        pure += ["buffer", "write", "update"]
    steps = [(pure[(p // 3**k + k) % len(pure)], k, q % 3, p // 2**k, q + k) for k in range(3)]

    def inner(z: Any) -> Any:
        return interpret(steps, [1.0 * z, z * z if q % 2 else np.sin(y)])

    if p % 5 == 0:
        return cr.grad(inner)(x)
    if p % 5 == 1:
        return cr.checkpoint(inner)(x)
    if p % 5 == 2:
        return cr.vmap(inner)(x if np.ndim(x) else np.stack([x, x]))
    if p % 5 == 3:
        return cr.jvp(inner, (x,), (np.cos(x),))[1]
    return cr.value_and_grad(cr.checkpoint(inner))(x)[1]


def interpret(steps: list[Step], names: list[Any]) -> Any:
    """Run a program on arrays it may write into; a scalar that every value enters."""
    for name, k, m, p, q in steps:
        x, y = names[k % len(names)], names[m % len(names)]
        if not np.size(x) or not np.size(y) or np.size(x) > 60 or np.ndim(x) > 3:
            continue
        result = OPERATIONS[name](names, x, y, p, q)
        if result is not None:
            names.append(result)
    return sum(
        np.sum(np.sin(0.7 * x + k) * constant(np.shape(x), k, x.dtype)) for k, x in enumerate(names)
    )


def function(steps: list[Step]) -> Callable[..., Any]:
    return lambda *arrays: interpret(steps, list(arrays))


def last(steps: list[Step]) -> Callable[..., Any]:
    """All values at the end, not only what they sum up to."""

    def f(*arrays: Any) -> Any:
        names = list(arrays)
        interpret(steps, names)
        return tuple(names)

    return f


@contextmanager
def what_is_refused() -> Iterator[None]:
    """Leave out programs that are refused loudly, as `docs/conventions.md` says they are."""
    try:
        yield
    except cr.DomainError:  # a gradient inside it, where the program has no value
        reject()
    except cr.UnsupportedError as error:
        assert "column by column under vmap" in str(error)  # noqa: PT017
        reject()


NESTED = list(OPERATIONS)
# Additions in another order, `math` instead of NumPy and inner gradients round differently.
PLAIN = [name for name in OPERATIONS if name not in ("nested", "add_at", "scalar_math")]


def programs(names: Any) -> Any:
    step = st.tuples(
        st.sampled_from(names),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, 999),
        st.integers(0, 29),
    )
    return st.lists(step, min_size=1, max_size=8)


@st.composite
def inputs(draw: Any, dtypes: tuple[str, ...] = ("f8",)) -> tuple[np.ndarray, ...]:
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=2))
    order = draw(st.sampled_from("CF"))
    return tuple(
        np.asarray(
            constant(shape, draw(st.integers(0, 99)), draw(st.sampled_from(dtypes))), order=order
        )[()]  # an argument without axes is a scalar, not memory
        for shape in shapes
    )
