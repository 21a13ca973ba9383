"""Joining and parting: several arrays become one, one becomes several."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Draw, Linear, Primitive
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops import move_loops
from chainrule.ops.family import normal_axis, primitive, strong, structural
from chainrule.tracing.creation import has_traced
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply


def _spread(args: tuple[Any, ...], batched: tuple[bool, ...], size: int) -> list[Any]:
    """All operands with a batch axis in front."""
    return [
        a if b else np.broadcast_to(a, (size, *np.shape(a)))
        for a, b in zip(args, batched, strict=True)
    ]


def _join_batch(op: Primitive, size: int, args: Any, batched: Any, axis: int) -> Any:
    return apply(op, *_spread(args, batched, size), axis=axis + 1)


# ---- stack ---------------------------------------------------------------------------------------


def _stack_type(*xs: ArrayType, axis: int) -> ArrayType:
    shape = xs[0].shape
    return ArrayType((*shape[:axis], len(xs), *shape[axis:]), result_dtype(*xs))


def _stack_transpose(g: Any, *xs: ArrayType, axis: int) -> Any:
    if type(g) is np.ndarray:  # iterating is several times faster than indexing
        parts = tuple(g if axis == 0 else np.moveaxis(g, axis, 0))
    else:
        front = (slice(None),) * axis
        parts = tuple(g[(*front, k)] for k in range(len(xs)))
    return parts if len(parts) != 1 else parts[0]


stack = primitive(
    name="stack",
    type_rule=_stack_type,
    value=lambda *xs, axis: np.stack(xs, axis),
    derivative=Linear(_stack_transpose, args=None),
    batch=_join_batch,
    symbolic=structural(lambda *xs, axis: np.stack(xs, axis)),
    lower=move_loops.stack,
    bound=EXACT,
    cases=(
        Case((Draw(()), Draw(()), Draw(())), {"axis": 0}),
        Case((Draw((2, 3)), Draw((2, 3))), {"axis": 1}),
        Case((Draw((2,)),), {"axis": 1}),
        Case((Draw((2,), dtype="f4"), Draw((2,))), {"axis": 0}),
        Case((Draw((2,), dtype="c16"), Draw((2,))), {"axis": 0}),
        Case((Draw((0, 2)), Draw((0, 2))), {"axis": 1}),
    ),
)


@implements("stack", np.stack, parts=True)
def _stack(arrays: Any, axis: int = 0, *, dtype: Any = None) -> Any:
    parts = list(map(strong, arrays))
    if not parts:
        raise ShapeError(
            "stack: needs at least one array",
            fix="give a list with an array in it; np.zeros((0, n)) is an empty result",
        )
    shapes = {tuple(part.shape) for part in parts}
    if len(shapes) > 1:
        raise ShapeError(
            "stack: all arrays must have the same shape",
            {"shapes": ", ".join(map(str, sorted(shapes)[:5]))},
            "rows of different lengths make no array: keep them in a list, or pad them",
        )
    return _typed(apply(stack, *parts, axis=normal_axis(axis, np.ndim(parts[0]) + 1)), dtype)


def _typed(result: Any, dtype: Any) -> Any:
    return result if dtype is None else TABLE["astype"](result, dtype)


# ---- concatenate ---------------------------------------------------------------------------------


def _concatenate_type(*xs: ArrayType, axis: int) -> ArrayType:
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    return ArrayType(tuple(shape), result_dtype(*xs))


def _concatenate_transpose(g: Any, *xs: ArrayType, axis: int) -> Any:
    front = (slice(None),) * axis
    ends = list(itertools.accumulate(x.shape[axis] for x in xs))
    parts = tuple(
        g[(*front, slice(start, end))] for start, end in zip([0, *ends[:-1]], ends, strict=True)
    )
    return parts if len(parts) != 1 else parts[0]


concatenate = primitive(
    name="concatenate",
    type_rule=_concatenate_type,
    value=lambda *xs, axis: np.concatenate(xs, axis),
    derivative=Linear(_concatenate_transpose, args=None),
    batch=_join_batch,
    symbolic=structural(lambda *xs, axis: np.concatenate(xs, axis)),
    lower=move_loops.concatenate,
    bound=EXACT,
    cases=(
        Case((Draw((2,)), Draw((3,))), {"axis": 0}),
        Case((Draw((2, 3)), Draw((2, 1)), Draw((2, 0))), {"axis": 1}),
        Case((Draw((2, 3)),), {"axis": 0}),
        Case((Draw((2,), dtype="f4"), Draw((1,))), {"axis": 0}),
        Case((Draw((2,), dtype="c16"), Draw((1,))), {"axis": 0}),
    ),
)


@implements("concatenate", np.concatenate, parts=True)
def _concatenate(arrays: Any, /, axis: Any = 0, *, dtype: Any = None) -> Any:
    parts = list(map(strong, arrays))
    if not parts:
        raise ShapeError(
            "concatenate: needs at least one array",
            fix="give a list with an array in it; np.zeros((0, n)) is an empty result",
        )
    if axis is None:
        parts, axis = [np.reshape(part, (-1,)) for part in parts], 0
    first = np.shape(parts[0])
    if not first:
        raise ShapeError(
            "concatenate: scalars have no axis to join along",
            fix="join scalars with np.stack or np.array([...])",
        )
    along = normal_axis(axis, len(first))
    for part in parts:
        shape = np.shape(part)
        rest = (*shape[:along], *shape[along + 1 :])
        if len(shape) != len(first) or rest != (*first[:along], *first[along + 1 :]):
            raise ShapeError(
                "concatenate: shapes may differ along the joined axis only",
                {"first": type_of(parts[0]), "other": type_of(part), "axis": along},
                "reshape one of them, or join along another axis",
            )
    return _typed(apply(concatenate, *parts, axis=along), dtype)


# ---- what NumPy builds from the two --------------------------------------------------------------


@implements(np.vstack, parts=True)
def _vstack(tup: Any, *, dtype: Any = None) -> Any:
    return _concatenate([np.atleast_2d(strong(part)) for part in tup], 0, dtype=dtype)


@implements(np.hstack, parts=True)
def _hstack(tup: Any, *, dtype: Any = None) -> Any:
    parts = [np.atleast_1d(strong(part)) for part in tup]
    return _concatenate(parts, 0 if parts and np.ndim(parts[0]) == 1 else 1, dtype=dtype)


@implements(np.dstack, parts=True)
def _dstack(tup: Any) -> Any:
    return _concatenate([np.atleast_3d(strong(part)) for part in tup], 2)


@implements(np.column_stack, parts=True)
def _column_stack(tup: Any) -> Any:
    parts = list(map(strong, tup))
    return _concatenate(
        [np.reshape(part, (-1, 1)) if np.ndim(part) < 2 else part for part in parts], 1
    )


@implements(np.append, lists=True)
def _append(arr: Any, values: Any, axis: Any = None) -> Any:
    return _concatenate([arr, values], axis)


@implements(np.block, parts=True)
def _block(arrays: Any) -> Any:
    depth = _depth(arrays)
    rank = max(depth, _rank(arrays))
    return _joined(arrays, rank - depth, rank)


def _depth(blocks: Any) -> int:
    """How deep the lists are nested; every branch must go equally deep."""
    if type(blocks) is not list:
        return 0
    depths = set(map(_depth, blocks))
    if len(depths) != 1:
        raise ShapeError(
            "block: lists must be nested equally deep, and not be empty",
            fix="write np.block([[a, b], [c, d]]), every row a list of its own",
        )
    return 1 + depths.pop()


def _rank(blocks: Any) -> int:
    if type(blocks) is list:
        return max(map(_rank, blocks))
    return len(np.shape(blocks))


def _joined(blocks: Any, axis: int, rank: int) -> Any:
    """The outermost list joins along `axis`, each one inside along the next."""
    if type(blocks) is not list:
        block = strong(blocks)
        return np.reshape(block, (1,) * (rank - np.ndim(block)) + tuple(np.shape(block)))
    return _concatenate([_joined(block, axis + 1, rank) for block in blocks], axis)


# ---- parting -------------------------------------------------------------------------------------


def _pieces(x: Any, ends: Sequence[Any], axis: int) -> list[Any]:
    front = (slice(None),) * axis
    starts = [0, *ends[:-1]]
    return [x[(*front, slice(a, b))] for a, b in zip(starts, ends, strict=True)]


@implements(np.array_split, lists=True)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    x = TABLE["operand"](ary)
    along = normal_axis(axis, np.ndim(x))
    length = np.shape(x)[along]
    if np.ndim(indices_or_sections):
        return _pieces(x, [*map(operator.index, indices_or_sections), length], along)
    count = operator.index(indices_or_sections)
    if count <= 0:
        raise ShapeError(
            "split: the number of parts must be positive",
            {"parts": count},
            fix="give 1 or more parts, or a list of the positions to split at",
        )
    each, extra = divmod(length, count)
    ends = itertools.accumulate([each + 1] * extra + [each] * (count - extra))
    return _pieces(x, list(ends), along)


@implements(np.split, lists=True)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    x = TABLE["operand"](ary)
    if not np.ndim(indices_or_sections):
        length = np.shape(x)[normal_axis(axis, np.ndim(x))]
        if length % operator.index(indices_or_sections):
            raise ShapeError(
                "split: the axis can't be divided into equal parts",
                {"length": length, "parts": indices_or_sections},
                "use np.array_split, which allows unequal parts",
            )
    return _array_split(x, indices_or_sections, axis)


@implements(np.hsplit, lists=True)
def _hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return _split(ary, indices_or_sections, 1 if np.ndim(ary) > 1 else 0)


@implements(np.vsplit, lists=True)
def _vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    if np.ndim(ary) < 2:
        raise ShapeError(
            "vsplit: needs an array of two or more axes",
            {"shape": np.shape(ary)},
            fix="use np.hsplit or np.split, which take vectors",
        )
    return _split(ary, indices_or_sections, 0)


@implements(np.dsplit, lists=True)
def _dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    if np.ndim(ary) < 3:
        raise ShapeError(
            "dsplit: needs an array of three or more axes",
            {"shape": np.shape(ary)},
            fix="use np.split(x, parts, axis=…)",
        )
    return _split(ary, indices_or_sections, 2)


def _unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    x = TABLE["operand"](x)
    front = (slice(None),) * normal_axis(axis, np.ndim(x))
    return tuple(x[(*front, k)] for k in range(np.shape(x)[len(front)]))


if hasattr(np, "unstack"):  # since NumPy 2.1
    implements(np.unstack, lists=True)(_unstack)


# ---- np.r_ and np.c_ -----------------------------------------------------------------------------

_range = np.r_


class _Translator:
    """np.r_ and np.c_ as NumPy defines them, for entries of which some are traced."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> Any:
        entries = list(key) if isinstance(key, tuple) else [key]
        if not any(map(_is_traced, entries)):
            return self.original[key]
        axis, rank, first = self.original.axis, self.original.ndmin, self.original.trans1d
        if isinstance(entries[0], str):
            axis, rank, first = _directive(entries.pop(0), axis, rank, first)
        entries = [_range[e] if isinstance(e, slice) else TABLE["operand"](e) for e in entries]
        # Unlike np.array, np.r_ lets Python's numbers take the dtype of the others.
        dtype = result_dtype(*map(type_of, entries))
        return _concatenate([_raised(strong(e), rank, first) for e in entries], axis, dtype=dtype)


def _is_traced(entry: Any) -> bool:
    if isinstance(entry, slice) and any(map(has_traced, (entry.start, entry.stop, entry.step))):
        raise ShapeError(
            "np.r_: the bounds of a range can't be traced",
            fix="write it with np.linspace(start, stop, count)",
        )
    return has_traced(entry)


def _directive(text: str, axis: int, rank: int, first: int) -> tuple[int, int, int]:
    """'axis', 'axis,rank' or 'axis,rank,first' in front of np.r_'s entries."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3:
        raise ShapeError(
            f"np.r_: the directive {text!r} can't be traced", fix="use integers such as '0,2'"
        )
    axis, rank, first = numbers + [axis, rank, first][len(numbers) :]
    return axis, rank, first


def _raised(part: Any, rank: int, first: int) -> Any:
    """A part with at least `rank` axes, its own ones from axis `first` on."""
    shape = np.shape(part)
    added = max(0, rank - len(shape))
    before = min(first, added) if first >= 0 else added + first + 1
    return np.reshape(part, (*[1] * before, *shape, *[1] * (added - before)))


@implements("index_tricks")
def _index_tricks() -> dict[str, Any]:
    """What stands for np.r_ and np.c_ while a trace runs."""
    return {"r_": _Translator(np.r_), "c_": _Translator(np.c_)}
