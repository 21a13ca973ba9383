"""The two directions of one linearised equation: tangents pushed, cotangents pulled.

Both carry, where a select lies on the path, the mask of what was taken: a derivative that is
infinite or undefined behind an entry that was *not* taken must not count. The mask is an ordinary
boolean of the program; it is made only where a partial derivative isn't finite, or may not stay so.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import DomainError
from chainrule.base.place import Place
from chainrule.ir.primitive import Custom, Flat, Linear, Multilinear, Partials, Primitive, Undefined
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.doubt import withhold
from chainrule.tracing.stage import StageTrace
from chainrule.tracing.trace import apply, newest_of
from chainrule.tracing.tracer import Tracer
from chainrule.transform.mask import (
    Mask,
    Masked,
    blank,
    factor_pattern,
    generic,
    generic_pattern,
    halves,
    plainly_finite,
)


def undefined(op: Primitive, place: Place | None) -> DomainError:
    reason = op.derivative.reason if isinstance(op.derivative, Undefined) else ""
    return DomainError(
        f"{op.name} has no derivative: {reason}",
        fix="leave it out of the derivative with cr.stop_gradient(x)",
        where=place or "",
    )


# ---- forward -------------------------------------------------------------------------------------


def push(
    op: Primitive,
    y: Any,
    xs: Sequence[Any],
    tangents: Sequence[Any],
    params: dict[str, Any],
) -> Any:
    """The tangent of one operation's result; None where nothing varies.

    Returns a tuple for an operation with several outputs.
    """
    derivative = op.derivative
    if isinstance(derivative, Flat) or all(t is None for t in tangents):
        return (None,) * len(y) if op.multiple else None
    if isinstance(derivative, Partials):
        return _push_partials(derivative, y, xs, tangents, params)
    if isinstance(derivative, Linear):
        return _push_linear(op, y, xs, tangents, params)
    if isinstance(derivative, Multilinear):
        total = None
        for k, t in enumerate(tangents):
            if t is not None:
                part = apply(op, *xs[:k], t, *xs[k + 1 :], **params)
                total = part if total is None else total + part
        return total
    if isinstance(derivative, Custom):
        return derivative.forward(tuple(tangents), y, *xs, **params)
    raise undefined(op, None)


def _push_partials(
    derivative: Partials, y: Any, xs: Sequence[Any], tangents: Sequence[Any], params: dict[str, Any]
) -> Any:
    total = None
    for rule, t in zip(derivative.rules, tangents, strict=True):
        if t is None:
            continue
        d = rule(y, *xs, **params) if callable(rule) else rule
        part = t if d is ONE or (type(d) is float and d == 1.0) else d * t
        total = part if total is None else total + part
    return _as(total, y)


def _as(tangent: Any, y: Any) -> Any:
    """A tangent has the shape and dtype of its value, whatever broadcasting left out."""
    if tangent.shape != y.shape:
        tangent = np.broadcast_to(tangent, y.shape)
    if tangent.dtype is not y.dtype and tangent.dtype != y.dtype:
        tangent = convert(tangent, y.dtype)
    return tangent


def _push_linear(
    op: Primitive, y: Any, xs: Sequence[Any], tangents: Sequence[Any], params: dict[str, Any]
) -> Any:
    linear = op.linear_args(len(xs))
    if all(tangents[k] is None for k in linear):
        return None
    operands = list(xs)
    for k in linear:
        if tangents[k] is None:
            operands[k] = np.zeros(np.shape(xs[k]), tangent_dtype(type_of(xs[k]).dtype))
        else:
            operands[k] = tangents[k]
    out = apply(op, *operands, **params)
    # The zeros of a weak operand aren't weak; a tangent has the dtype of its value all the same.
    return out if op.multiple else _as(out, y)


def apart(tangents: Sequence[Any], xs: Sequence[Any]) -> bool:
    """Whether tangents are staged or batched where values aren't, and must be kept from them."""
    moving = newest_of(tangents)
    if moving is None or not (moving.batching or isinstance(moving, StageTrace)):
        return False
    still = newest_of(xs)
    return still is None or still.serial < moving.serial


ONE = 1.0


def convert(g: Any, dtype: np.dtype[Any]) -> Any:
    """A derivative in the dtype of its variable: the real part for a real variable."""
    if g.dtype.kind == "c" and dtype.kind != "c":
        g = np.real(g)
    return g if g.dtype == dtype else g.astype(dtype)


def tangent_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Tangents of integers and booleans are floating point."""
    return dtype if dtype.kind in "fc" else np.dtype(float)


# ---- reverse -------------------------------------------------------------------------------------


class Row:
    """One equation of a tape, with what its transpose needs."""

    __slots__ = ("kind", "numbers", "op", "params", "place", "trace", "xs", "y")

    def __init__(self, row: Sequence[Any], trace: Any) -> None:
        self.op, self.xs, self.numbers, self.params, first, self.y, code, lasti = row
        self.trace = trace
        self.place = None if code is None else Place(code, lasti)
        self.kind = trace.type_of_number(first)

    def type(self, k: int, likely: ArrayType | None = None) -> ArrayType:
        """The type of operand k; `likely` is handed back where it is that one."""
        number, x = self.numbers[k], self.xs[k]
        if number >= 0:
            trace = self.trace
            if (
                likely is not None
                and trace.shapes[number] == likely.shape
                and trace.dtypes[number] is likely.dtype
                and not likely.weak
            ):
                return likely
            return trace.type_of_number(number)
        return x if type(x) is ArrayType else type_of(x)


def transpose_linear(row: Row, g: Any, mask: Mask | None) -> list[tuple[int, Any, Mask | None]]:
    """Cotangents of the linear operands: (operand, cotangent, mask) each."""
    op, derivative = row.op, row.op.derivative
    if mask is None and derivative.args == (0,) and (not derivative.selects or _whole(row)):
        part = derivative.transpose(g, row.type(0), *row.xs[1:], **row.params)
        return [(0, part, None)]
    linear = op.linear_args(len(row.xs))
    operands = list(row.xs)
    kind = None
    for k in linear:
        operands[k] = kind = row.type(k, kind)
    parts = as_parts(derivative.transpose(g, *operands, **row.params), linear)
    if mask is None and not derivative.selects:
        return [(k, parts[k], None) for k in linear]
    if derivative.parts and all(operands[k].shape == row.kind.shape for k in linear):
        split = functools.partial(_split, row, operands)
        masks = halves(split, mask, row.kind.shape)
        return [(k, parts[k], masks[j]) for j, k in enumerate(linear)]
    pattern = _pattern_transpose(row, operands, linear, mask)
    reached = {k: Mask(functools.partial(_reached, pattern, k), mask) for k in linear}
    if derivative.parts:
        for k, down in reached.items():
            down.near = operands[k].shape == row.kind.shape and (mask is None or mask.near)
    return [(k, parts[k], reached[k]) for k in linear]


def _whole(row: Row) -> bool:
    """Whether an operation that may leave entries out leaves out none here."""
    whole = row.op.derivative.whole
    if whole is None or row.kind.shape != row.type(0).shape:
        return False
    return bool(whole(*row.xs[1:], **row.params))


def _split(row: Row, operands: list[Any], pattern: Any) -> Any:
    return row.op.derivative.transpose(pattern, *operands, **row.params)


def _reached(pattern: Callable[[], dict[int, Any]], k: int) -> Any:
    return np.not_equal(pattern()[k], 0)


def as_parts(result: Any, linear: tuple[int, ...]) -> dict[int, Any]:
    return dict(zip(linear, result if len(linear) != 1 else (result,), strict=True))


def _pattern_transpose(
    row: Row, operands: list[Any], linear: tuple[int, ...], mask: Mask | None
) -> Callable[[], dict[int, Any]]:
    """The transpose of the pattern of what was taken, run once when first asked for."""
    memo: list[dict[int, Any]] = []

    def run() -> dict[int, Any]:
        if not memo:
            types = list(operands)
            for k in linear:
                types[k] = ArrayType(operands[k].shape, np.result_type(operands[k].dtype, float))
            taken = generic_pattern(mask, *row.kind[:2])
            pattern = row.op.derivative.transpose(taken, *types, **row.params)
            memo.append(as_parts(pattern, linear))
        return memo[0]

    return run


def transpose_multilinear(
    row: Row, g: Any, mask: Mask | None
) -> list[tuple[int, Any, Mask | None]]:
    """Cotangents of the operands that vary; residuals that nothing taken reads are blanked."""
    derivative = row.op.derivative
    answers = []
    for k, number in enumerate(row.numbers):
        if number < 0:
            continue
        operands = list(row.xs)
        operands[k] = row.type(k)
        down: Mask | None = None
        if mask is not None:
            operands = _blank_residuals(row, operands, k, mask)
            down = Mask(functools.partial(_support, row, operands, k, mask), mask)
        answers.append((k, derivative.transposes[k](g, *operands, **row.params), down))
    return answers


def _support(row: Row, operands: list[Any], k: int, mask: Mask) -> Any:
    """Where a cotangent of operand k may be other than zero."""
    patterns = [
        ArrayType(x.shape, np.dtype(float)) if j == k else factor_pattern(x)
        for j, x in enumerate(operands)
    ]
    taken = generic_pattern(mask, row.kind.shape)
    return np.not_equal(row.op.derivative.transposes[k](taken, *patterns, **row.params), 0)


def _blank_residuals(row: Row, operands: list[Any], k: int, mask: Mask) -> list[Any]:
    """Zero in every other operand what only entries that weren't taken would multiply."""
    blanked = list(operands)
    for j, x in enumerate(operands):
        if j == k or plainly_finite(x):
            continue
        numbers = [
            ArrayType(np.shape(o), np.dtype(float)) if i == j else generic(np.shape(o))
            for i, o in enumerate(operands)
        ]
        taken = generic_pattern(mask, row.kind.shape)
        used = np.not_equal(row.op.derivative.transposes[j](taken, *numbers, **row.params), 0)
        blanked[j] = withhold(x, used)
    return blanked


def transpose_custom(
    row: Row, gs: Any, pull: Callable[..., Any], masks: Sequence[Mask | None] = ()
) -> list[Masked]:
    """Cotangents by the rule's own reverse, or by transposing its forward map.

    `gs` is one cotangent, or a tuple with None where an output has none; `masks` belong to those
    that there are. `pull(trace, seeds, numbers)` is reverse mode itself, handed in.
    """
    derivative = row.op.derivative
    masked = any(mask is not None for mask in masks)
    if derivative.reverse is None:
        return _transpose_forward(row, gs, pull)
    params = row.params
    if derivative.asks:
        params = {**params, "wanted": tuple(number >= 0 for number in row.numbers)}
    parts = derivative.reverse(gs, row.y, *row.xs, **params)
    if derivative.masked is not None and (masked or derivative.chooses(**row.params)):
        return _masked_reverse(row, gs, masks, parts, params)
    known = row.y[0] if row.op.multiple else row.y
    if known is None:
        # Without values a rule's own reverse is the only way: an operation that is linear in one
        # operand (solve) uses itself in its tangent map.
        if not masked or any(mask is None for mask in masks):
            return [(g, None) for g in parts]
        return [_blanked_whole(row, k, g, masks) for k, g in enumerate(parts)]
    if not masked:
        return _selected(row, gs, pull, parts) if derivative.selects else [(g, None) for g in parts]
    # A rule's own reverse knows no masks, which is all right where nothing is infinite.
    if all(g is None or (type(g) is not Tracer and np.isfinite(g).all()) for g in parts):
        return _selected(row, gs, pull, parts)
    return _transpose_forward(row, gs, pull)


def _masked_reverse(
    row: Row,
    gs: Sequence[Any],
    masks: Sequence[Mask | None],
    parts: Sequence[Any],
    params: dict[str, Any],
) -> list[Masked]:
    """What a rule says that knows masks; asked only where something isn't finite, or a mask is."""
    flowing = iter(masks)
    aligned = [None if g is None else next(flowing) for g in gs]
    memo: list[list[tuple[Any, Any]]] = []

    def run() -> list[tuple[Any, Any]]:
        if not memo:
            taken = [None if mask is None else mask.value() for mask in aligned]
            memo.append(row.op.derivative.masked(gs, taken, row.y, *row.xs, **params))
        return memo[0]

    def reached(k: int) -> Any:
        return run()[k][1]

    finite = all(g is None or plainly_finite(g) for g in parts)
    return [
        (g, None if g is None else Mask(functools.partial(reached, k), *masks))
        for k, g in enumerate(parts if finite else [g for g, _ in run()])
    ]


def _transpose_forward(row: Row, gs: Any, pull: Callable[..., Any]) -> list[Masked]:
    """The tangent map, traced without values and pulled through backwards."""
    derivative = row.op.derivative
    trace = StageTrace()
    tangents = []
    for k, number in enumerate(row.numbers):
        kind = row.type(k)
        varies = number >= 0 and kind.dtype.kind in "fc"
        tangents.append(trace.abstract(ArrayType(kind.shape, kind.dtype)) if varies else None)
    try:
        out = derivative.forward(tuple(tangents), row.y, *row.xs, **row.params)
    finally:
        trace.open = False
    outs = out if row.op.multiple else (out,)
    seeds = [
        (k, t.mark, g)
        for k, (t, g) in enumerate(zip(outs, gs if row.op.multiple else (gs,), strict=True))
        if g is not None and type(t) is Tracer and t.owner is trace
    ]
    answers = iter(pull(trace, seeds, [t.mark for t in tangents if t is not None]))
    return [(None, None) if t is None else next(answers) for t in tangents]


def _selected(row: Row, gs: Any, pull: Callable[..., Any], parts: Sequence[Any]) -> list[Masked]:
    """The cotangents of a rule's own reverse, with the masks that the forward map would give."""
    memo: list[list[Masked]] = []

    def taken(k: int) -> Any:
        if not memo:
            memo.append(_transpose_forward(row, gs, pull))
        mask = memo[0][k][1]
        return np.broadcast_to(True if mask is None else mask.value(), row.type(k).shape)

    return [
        (g, None if g is None else Mask(functools.partial(taken, k))) for k, g in enumerate(parts)
    ]


def _blanked_whole(row: Row, k: int, g: Any, masks: Sequence[Mask | None]) -> Masked:
    """A cotangent that counts as a whole, if any entry of any output was taken."""
    if g is None:
        return None, None
    shape = row.type(k).shape

    def make() -> Any:
        taken: Any = False
        for mask in masks:
            taken = np.logical_or(taken, np.any(mask.value()))  # type: ignore[union-attr]
        return np.broadcast_to(taken, shape)

    reached = Mask(make, *masks)
    return blank(g, reached, shape), reached


def nonlinear_row(trace: StageTrace, start: int = 0) -> Row | None:
    """The first equation from `start` on that isn't linear in what is staged, if there is one."""
    for fields in itertools.islice(trace.rows(), start, None):
        row = Row(fields, trace)
        derivative = row.op.derivative
        staged = [k for k, number in enumerate(row.numbers) if number >= 0]
        if isinstance(derivative, Partials):
            reads_output, _, read = row.op.plan(sum(1 << k for k in staged))
            wrong = reads_output or any(k in read for k in staged)
        elif isinstance(derivative, Linear):
            wrong = not set(staged) <= set(row.op.linear_args(len(row.xs)))
        elif isinstance(derivative, Multilinear):
            wrong = len(staged) > 1
        else:
            # What a function with a rule of its own computes isn't known to be linear.
            wrong = row.op.flat or "callee" in row.params
        if wrong:
            return row
    return None
