"""Random numbers as operations: a key in, numbers out, the same ones every time.

All are NumPy's own, bit for bit: what `np.random.Generator(np.random.Philox(key=key))` draws. A key
is two words of 64 bits along the last axis; further axes before it are so many keys, and what they
draw goes along the same axes. Nothing depends smoothly on a key, so every derivative is zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.keys import DRAWN, FOLDED, SPLIT, WORD, generator, negative, philox
from chainrule.ir.bound import EXACT, Roundings
from chainrule.ir.primitive import Case, Draw, Flat, Partials, Primitive, Rule, Scalar
from chainrule.ir.types import ArrayType
from chainrule.ops import draw_loops
from chainrule.ops.family import broadcast, elementwise, primitive
from chainrule.tracing.trace import apply

_KEY = np.array([7, 0], WORD)
_KEYS = np.array([[[1, 0], [2, 0]], [[3, 1], [2**64 - 1, 2**63]], [[0, 0], [5, 5]]], WORD)
_LITTLE = np.dtype("<u8")


# ---- keys from numbers ---------------------------------------------------------------------------


def _key_value(seed: Any) -> Any:
    seed = np.asarray(seed)
    if (seed < 0).any():
        raise negative("a seed", seed.min())
    return np.stack([seed.astype(WORD), np.zeros(seed.shape, WORD)], axis=-1)


random_key = primitive(
    name="random_key",
    type_rule=lambda seed: ArrayType((*seed.shape, 2), WORD),
    value=_key_value,
    derivative=Flat(),
    batch=lambda op, size, args, batched: apply(op, *args),
    symbolic=None,
    lower=draw_loops.key,
    bound=EXACT,
    cases=(
        Case((3,)),
        Case((np.int64(5),)),
        Case((np.array([2**40, 0]),)),
        Case((np.array([[1], [2]], "u1"),)),
    ),
)


# ---- bits ----------------------------------------------------------------------------------------


def _bits_type(
    key: ArrayType, start: ArrayType, region: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> ArrayType:
    lead = broadcast(ArrayType(key.shape[:-1], WORD), start)
    return ArrayType((*lead, *shape), dtype)


def _bits_value(
    key: Any, start: Any, region: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Any:
    key, start = np.asarray(key), np.asarray(start)
    if (start < 0).any():
        raise negative("what is folded into a key", start.min())
    lead = np.broadcast_shapes(key.shape[:-1], start.shape)
    keys, starts = np.broadcast_to(key, (*lead, 2)), np.broadcast_to(start, lead)
    count = math.prod(shape)
    halves = WORD.itemsize // dtype.itemsize
    result = np.empty((*lead, count), dtype)
    for index in np.ndindex(lead):
        words = philox(keys[index], int(starts[index]), region).random_raw(-(-count // halves))
        # The lower half of a word comes first.
        result[index] = words.astype(_LITTLE).view(dtype.newbyteorder("<"))[:count]
    return result.reshape((*lead, *shape))[()]


def _bits_batch(
    op: Primitive, size: int, args: tuple[Any, ...], batched: tuple[bool, ...], **params: Any
) -> Any:
    """Both operands' axes aligned: those of the keys are all but the last."""
    key, start = args
    rank = max(np.ndim(key) - 1 - batched[0], np.ndim(start) - batched[1])
    if batched[0]:
        missing = rank - (np.ndim(key) - 2)
        key = np.reshape(key, (size, *(1,) * missing, *key.shape[1:]))
    if batched[1]:
        missing = rank - (np.ndim(start) - 1)
        start = np.reshape(start, (size, *(1,) * missing, *start.shape[1:]))
    return apply(op, key, start, **params)


def _bits_case(
    key: Any, shape: tuple[int, ...], dtype: str = "u8", start: Any = 0, region: int = DRAWN
) -> Case:
    return Case((key, start), {"region": region, "shape": shape, "dtype": np.dtype(dtype)})


random_bits = primitive(
    name="random_bits",
    type_rule=_bits_type,
    value=_bits_value,
    derivative=Flat(),
    batch=_bits_batch,
    symbolic=None,
    lower=draw_loops.bits,
    bound=EXACT,
    cases=(
        *(_bits_case(_KEY, shape) for shape in ((), (3,), (4, 5), (0,))),
        *(_bits_case(_KEY, shape, "u4") for shape in ((), (9,), (3, 2), (2, 0))),
        _bits_case(_KEYS[1], (5,)),
        _bits_case(_KEYS, (2, 3), "u4"),
        _bits_case(_KEY, (4, 2), "u8", 0, SPLIT),
        _bits_case(_KEY, (2,), "u8", np.int64(2**40), FOLDED),
        _bits_case(_KEYS[1], (2,), "u8", np.array([3, 2**64 - 1], "u8"), FOLDED),
    ),
)


# ---- where a distribution lies -------------------------------------------------------------------


def _placed_cases() -> tuple[Case, ...]:
    shapes: tuple[tuple[tuple[int, ...], ...], ...] = (
        ((), (), ()), ((3,), (), ()), ((2, 3), (3,), (2, 1)), ((0,), (), (1,)),
    )  # fmt: skip
    cases = [Case(tuple(map(Draw, three))) for three in shapes]
    return (*cases, Case(tuple(Draw((3,), dtype=kind) for kind in ("f4", "f4", "f4"))))


def _placed(x: Any, loc: Any, scale: Any) -> Any:
    y = loc + scale * x
    return y if np.result_type(y).kind in "fc" else np.asarray(y).astype(float)[()]


# An operation of its own so that the product is rounded before it's added to, compiled or not:
# everywhere else the compiler may do both at once.
random_placed = elementwise(
    None,
    Partials(lambda y, x, loc, scale: scale, 1.0, lambda y, x, loc, scale: x),
    name="random_placed",
    value=_placed,
    symbolic=lambda S, x, loc, scale: loc + scale * x,
    lower=Scalar(lambda s, x, loc, scale: loc + s.fma(scale, x, 0.0)),
    bound=Roundings("", "(|loc| + |scale·x|)", 2, 2),
    cases=_placed_cases(),
)


# ---- NumPy's distributions -----------------------------------------------------------------------

Draws = Callable[..., Any]


def _drawn(
    name: str,
    draw: Draws,
    dtype: Callable[..., np.dtype[Any]],
    shape: Callable[..., tuple[int, ...]],
    params: Sequence[dict[str, Any]],
    lower: Rule | None = None,
) -> Primitive:
    """An operation of one key: `draw(generator, **params)` for each of several.

    Args:
        dtype, shape: of what is drawn, from the parameters.
        params: of the test cases.
    """

    def value(key: Any, **params: Any) -> Any:
        key = np.asarray(key)
        if key.ndim == 1:
            return draw(generator(key), **params)
        result = np.empty((*key.shape[:-1], *shape(**params)), dtype(**params))
        for index in np.ndindex(key.shape[:-1]):
            result[index] = draw(generator(key[index]), **params)
        return result

    return primitive(
        name=name,
        type_rule=lambda key, **params: ArrayType(
            (*key.shape[:-1], *shape(**params)), dtype(**params)
        ),
        value=value,
        derivative=Flat(),
        batch=lambda op, size, args, batched, **params: apply(op, *args, **params),
        symbolic=None,
        lower=lower,
        bound=None if lower is None else EXACT,
        cases=(
            *(Case((_KEY,), given) for given in params),
            *(Case((key,), params[0]) for key in (_KEYS[1], _KEYS)),
        ),
    )


def _floating(dtype: np.dtype[Any], **params: Any) -> np.dtype[Any]:
    return dtype


def _shaped(shape: tuple[int, ...], **params: Any) -> tuple[int, ...]:
    return shape


_F8, _F4, _I8 = np.dtype("f8"), np.dtype("f4"), np.dtype("i8")
_FLOATS = (
    {"shape": (3,), "dtype": _F8},
    {"shape": (), "dtype": _F8},
    {"shape": (2, 500), "dtype": _F8},
    {"shape": (0,), "dtype": _F8},
    {"shape": (3,), "dtype": _F4},
    {"shape": (), "dtype": _F4},
)


def _scalar(value: Any, dtype: np.dtype[Any]) -> Any:
    """NumPy draws Python's numbers where it draws only one."""
    return np.asarray(value, dtype)[()]


random_normal = _drawn(
    "random_normal",
    lambda g, shape, dtype: _scalar(g.standard_normal(shape, dtype), dtype),
    _floating,
    _shaped,
    _FLOATS,
    draw_loops.filled("random_standard_normal_fill"),
)

random_exponential = _drawn(
    "random_exponential",
    lambda g, shape, dtype: _scalar(g.standard_exponential(shape, dtype), dtype),
    _floating,
    _shaped,
    _FLOATS,
    draw_loops.filled("random_standard_exponential_fill"),
)


def _within(g: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Of the normal numbers, in the order in which they're drawn, those up to two sigma."""
    missing = math.prod(shape)
    parts: list[np.ndarray] = [np.empty(0, dtype)]
    while missing:
        drawn = g.standard_normal(missing, dtype)
        parts.append(drawn[np.abs(drawn) <= 2])
        missing -= parts[-1].size
    return np.concatenate(parts).reshape(shape)[()]


random_truncated_normal = _drawn(
    "random_truncated_normal",
    _within,
    _floating,
    _shaped,
    _FLOATS,
    draw_loops.filled("random_standard_normal_fill", within=True),
)

random_integers = _drawn(
    "random_integers",
    lambda g, low, high, shape, dtype: _scalar(g.integers(low, high, shape, dtype), dtype),
    _floating,
    _shaped,
    (
        {"low": -3, "high": 10, "shape": (40,), "dtype": _I8},
        {"low": 0, "high": 2**40, "shape": (), "dtype": _I8},
        {"low": 0, "high": 2**64, "shape": (5,), "dtype": WORD},
        {"low": 0, "high": 6, "shape": (2, 9), "dtype": np.dtype("u1")},
        {"low": 0, "high": 5, "shape": (0, 2), "dtype": np.dtype("i4")},
        {"low": -(2**63), "high": 2**63, "shape": (3,), "dtype": _I8},
    ),
    draw_loops.integers,
)

random_permutation = _drawn(
    "random_permutation",
    lambda g, count: g.permutation(count),
    lambda count: _I8,
    lambda count: (count,),
    ({"count": 10}, {"count": 0}, {"count": 1}, {"count": 300}),
    draw_loops.permutation,
)

random_subset = _drawn(
    "random_subset",
    lambda g, count, shape: _scalar(g.choice(count, shape, replace=False), _I8),
    lambda count, shape: _I8,
    lambda count, shape: shape,
    (
        {"count": 10, "shape": (4,)},
        {"count": 10, "shape": ()},
        {"count": 20000, "shape": (3, 2)},
        {"count": 6, "shape": (2, 3)},
        {"count": 5, "shape": (0,)},
    ),
)
