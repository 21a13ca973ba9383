"""cond, while_loop, fori_loop and scan: control flow that a trace sees as one operation."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, ShapeError
from chainrule.base.trees import flatten, outline, paths, same_structure, unflatten
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops import control
from chainrule.tracing.body import Staged, stage_body
from chainrule.tracing.creation import as_traced_leaf, operand
from chainrule.tracing.trace import apply, ground, resolve
from chainrule.tracing.tracer import Tracer
from chainrule.transform import choice, loop, repeat  # noqa: F401 - they enter their rules
from chainrule.transform.arguments import check_callable
from chainrule.transform.carry import Carry, cast, leaves_of, owned, start_of, strong
from chainrule.transform.choice import shared
from chainrule.transform.hoist import hoisted

# ---- cond ----------------------------------------------------------------------------------------


def cond(p: Any, f: Callable[..., Any], g: Callable[..., Any], *operands: Any) -> Any:
    """f(*operands) where p holds, g(*operands) where it doesn't.

    Where the value of p is known, the function is simply called; in the body of a loop, under
    `jit` and under `vmap`, where it isn't, both are recorded and only the one needed runs. (If p
    differs within a batch both run, and what isn't wanted doesn't count, in derivatives either.)

    Args:
        p: a truth value of shape ().
        f, g: functions of the operands with results of one tree, of the same shapes and dtypes.
        operands: arrays, numbers or trees of them.

    Returns:
        What f or g returns.

    Raises:
        ShapeError: p has several entries; the results differ in tree or shape.
        DtypeError: the results differ in dtype.

    Derivative: that of the function taken.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> safe_log = lambda x: cr.cond(x > 0, np.log, lambda x: 0.0 * x, x)
        >>> cr.vmap(cr.grad(safe_log))(np.array([-1.0, 2.0]))
        array([0. , 0.5])
    """
    for function in (f, g):
        if not callable(function):
            raise ArgumentError(
                "cond: both branches must be functions",
                {"given": f"{type(function).__name__} {function!r}"[:80]},
                "write cr.cond(p, lambda: a, lambda: b); between values np.where(p, a, b) chooses",
            )
    p = _truth_value(operand(p), "cond", "the condition")
    if ground(p) is not None:
        return f(*operands) if bool(p) else g(*operands)
    leaves, tree = leaves_of(operands)
    kinds = [type_of(leaf) for leaf in leaves]

    def branch(function: Callable[..., Any], wanted: Sequence[ArrayType] | None) -> Staged:
        def settle(outs: list[Any], _: Any) -> list[Any]:
            return [cast(out, kind) for out, kind in zip(outs, wanted or (), strict=True)]

        def flat(*xs: Any) -> Any:
            return function(*unflatten(tree, xs))

        flat.__name__ = getattr(function, "__name__", "branch")
        # What both compute from plain numbers alone is computed now, whichever will be taken.
        with np.errstate(all="ignore"):
            return stage_body(flat, kinds, "cond", None if wanted is None else settle)

    branches = [branch(f, None), branch(g, None)]
    wanted = _agreed(*branches)
    for k, function in enumerate((f, g)):
        if any(a != b for a, b in zip(branches[k].leaves, wanted, strict=True)):
            branches[k] = branch(function, wanted)
    if not branches[0].leaves:
        return unflatten(branches[0].tree, [])
    seen, programs = shared([(b.program, b.captured) for b in branches])
    values = (*seen, *map(strong, leaves))
    return unflatten(branches[0].tree, apply(control.cond, p, *values, branches=programs))


def _agreed(taken: Staged, other: Staged) -> list[ArrayType]:
    """The types of both branches' results, Python's numbers taking the other's dtype."""
    if not same_structure(taken.tree, other.tree):
        raise ShapeError(
            "cond: the two functions return different trees",
            {"first": outline(taken.tree), "second": outline(other.tree)},
            "return the same tree from both",
        )
    wanted = []
    tails = paths(unflatten(taken.tree, [0] * len(taken.leaves)))
    for tail, a, b in zip(tails, taken.leaves, other.leaves, strict=True):
        facts = {f"first{tail}": a, f"second{tail}": b}
        if a.shape != b.shape:
            raise ShapeError(
                "cond: the two functions return different shapes",
                facts,
                "return the same shape from both: np.broadcast_to(x, shape), np.reshape",
            )
        dtype = result_dtype(a, b)
        if any(not kind.weak and kind.dtype != dtype for kind in (a, b)):
            raise DtypeError(
                "cond: the two functions return different dtypes",
                facts,
                "convert one of them: x.astype(dtype)",
            )
        wanted.append(ArrayType(a.shape, dtype))
    return wanted


# ---- scan ----------------------------------------------------------------------------------------


def scan(
    body: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """A loop over rows that carries a value along and stacks what its steps give.

    The same as

        carry, ys = init, []
        for x in xs:
            carry, y = body(carry, x)
            ys.append(y)
        return carry, np.stack(ys)

    but the body is traced once, and the loop is one operation: its derivative keeps per step only
    what it needs, and a compiled loop runs without Python.

    Args:
        body: `body(carry, x)` → `(carry, y)`. The carry it returns has the tree, shapes and dtypes
            of the one it gets. Python's `if` and `while` can't depend on traced values in it; use
            np.where, `cr.cond` and `cr.while_loop`.
        init: the first carry: an array, a number or a tree of them.
        xs: arrays, or a tree of them, whose first axis is looped over; None for none.
        length: the number of steps; needed without xs.
        reverse: begin with the last row; ys are stacked in the order of xs all the same.

    Returns:
        `(carry, ys)`: the last carry, and the tree of y with one more axis in front.

    Raises:
        ShapeError: a carry that changes its tree or shape; xs of different lengths.
        DtypeError: a carry that changes its dtype.
        TraceError: the body needs the value of something, or stores a traced value elsewhere.

    Derivative: forward mode carries tangents along; reverse mode runs a loop of the transposed body
    from the last step to the first, with what the forward loop kept of each step.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> total, sums = cr.scan(lambda c, x: (c + x, c + x), 0.0, np.array([1.0, 2.0, 3.0]))
        >>> float(total), sums
        (6.0, array([1., 3., 6.]))
    """
    check_callable(body, "scan")
    rows, row_tree = leaves_of(xs)
    steps = _length(rows, xs, length)
    row_kinds = [ArrayType(tuple(row.shape[1:]), row.dtype) for row in rows]

    def step(carry: Any, x: Any) -> Any:
        result = body(carry, x)
        if not isinstance(result, tuple) or len(result) != 2:
            raise ArgumentError(
                "scan: the body must return (carry, y)",
                {"returned": _shown(result)},
                "return the carry and what to stack; y may be None: return carry, None",
            )
        return result

    functools.update_wrapper(step, body)
    return _scan("scan", step, init, rows, row_tree, row_kinds, steps, reverse)


def _scan(
    caller: str,
    step: Callable[[Any, Any], Any],
    init: Any,
    rows: list[Any],
    row_tree: Any,
    row_kinds: list[ArrayType],
    length: int,
    reverse: bool,
) -> tuple[Any, Any]:
    leaves, tree = leaves_of(init)
    carry = Carry(caller, leaves, tree)

    def flat(*values: Any) -> Any:
        count = len(leaves)
        return step(unflatten(tree, values[:count]), unflatten(row_tree, values[count:]))

    flat.__name__ = step.__name__
    tails = paths(unflatten(row_tree, rows))
    staged = carry.stage(flat, row_kinds, carry.labels(step, tails))
    if not staged.leaves:
        return unflatten(staged.tree, [])
    start, steps = start_of(leaves, carry.kinds), len(leaves)
    # Where no step is made, nothing is computed that could fail.
    program, fixed = staged.program, staged.captured
    if length:
        program, fixed = hoisted(program, fixed)
    found = apply(
        control.scan,
        *fixed,
        *start,
        *rows,
        body=program,
        length=length,
        consts=len(fixed),
        carry=steps,
        reverse=reverse,
    )
    return unflatten(staged.tree, owned(found))


def _length(rows: list[Any], xs: Any, length: int | None) -> int:
    found: dict[int, str] = {}
    for row, tail in zip(rows, paths(xs), strict=True):
        if not np.shape(row):
            raise ShapeError(
                "scan: xs has no axis to loop over",
                {f"xs{tail}": type_of(row)},
                "of a list make an array: np.array(xs); what every step shares, close over",
            )
        found.setdefault(row.shape[0], f"xs{tail}")
    if len(found) > 1:
        raise ShapeError(
            "scan: xs of different lengths",
            {name: f"{size} rows" for size, name in found.items()},
            "every array in xs needs the same first axis",
        )
    if length is None:
        if not found:
            raise ArgumentError(
                "scan: without xs the number of steps must be given", fix="pass length=n"
            )
        return next(iter(found))
    steps = _index(length, "scan: length")
    if steps < 0:
        raise ArgumentError(
            "scan: length must not be negative",
            {"length": steps},
            "give the number of steps, 0 or more",
        )
    if found and steps not in found:
        raise ShapeError(
            "scan: length is not that of xs",
            {"length": steps, **{name: f"{size} rows" for size, name in found.items()}},
            "leave length out; it follows from xs",
        )
    return steps


# ---- loops ---------------------------------------------------------------------------------------


def fori_loop(lo: Any, hi: Any, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """`for i in range(lo, hi): value = body(i, value)`, as one operation.

    Args:
        lo, hi: integers. Where they're known it's a `scan`, else (under `jit`) a `while_loop`.
        body: `body(i, value)` → value, of the same tree, shapes and dtypes.
        init: the first value: an array, a number or a tree of them.

    Returns:
        The last value; init where hi ≤ lo.

    Raises:
        ShapeError, DtypeError, TraceError: as `scan`.

    Derivative: as `scan`, or as `while_loop`.

    Example:
        >>> import chainrule as cr
        >>> power = lambda x: cr.fori_loop(0, 5, lambda i, y: y * x, 1.0)
        >>> float(cr.grad(power)(2.0))
        80.0
    """
    check_callable(body, "fori_loop")
    lo, hi = (_bound(value, name) for value, name in ((lo, "lo"), (hi, "hi")))

    def step(pair: Any) -> Any:
        i, value = pair
        return i + 1, body(i, value)

    functools.update_wrapper(step, body)
    if type(lo) is int and type(hi) is int:

        def indexed(pair: Any, _: Any) -> Any:
            return step(pair), None

        functools.update_wrapper(indexed, body)
        count = max(0, hi - lo)
        return _scan("fori_loop", indexed, (lo, init), [], flatten(None)[1], [], count, False)[0][1]
    return _while("fori_loop", lambda pair: pair[0] < hi, step, (lo, init))[1]


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any) -> Any:
    """`while cond(value): value = body(value)`, as one operation.

    Args:
        cond: `cond(value)` → a truth value of shape ().
        body: `body(value)` → value, of the same tree, shapes and dtypes.
        init: the first value: an array, a number or a tree of them.

    Returns:
        The first value for which cond doesn't hold.

    Raises:
        ShapeError, DtypeError, TraceError: as `scan`; ShapeError: cond gives several entries.

    Derivative: that of the steps taken, in both modes. Reverse mode runs the loop again and keeps
    what it needs of each step, however many there are. Under `vmap` the loop goes on until every
    example is done; those that are done keep their value.

    Example:
        >>> import chainrule as cr
        >>> root = lambda a: cr.while_loop(
        ...     lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, 1.0
        ... )
        >>> float(root(2.0)), float(cr.grad(root)(2.0))
        (1.4142135623730..., 0.35355339059327...)
    """
    check_callable(cond, "while_loop")
    check_callable(body, "while_loop")
    return _while("while_loop", cond, body, init)


def _while(caller: str, cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any) -> Any:
    leaves, tree = leaves_of(init)
    carry = Carry(caller, leaves, tree)

    def flat(*values: Any) -> Any:
        return body(unflatten(tree, values)), None

    def flat_cond(*values: Any) -> Any:
        result = cond(unflatten(tree, values))
        return _truth_value(operand(as_traced_leaf(result)), caller, "what cond returns")

    flat.__name__ = getattr(body, "__name__", "body")
    flat_cond.__name__ = getattr(cond, "__name__", "cond")
    labels = carry.labels(body)
    staged = carry.stage(flat, [], labels)
    test = stage_body(flat_cond, carry.kinds, caller, labels=labels)
    start = start_of(leaves, carry.kinds)
    found = apply(
        control.while_,
        *test.captured,
        *staged.captured,
        *start,
        cond=test.program,
        body=staged.program,
        cond_consts=len(test.captured),
        consts=len(staged.captured),
    )
    return unflatten(tree, owned(found))


# ---- numbers that decide ------------------------------------------------------------------------


def _truth_value(p: Any, caller: str, what: str) -> Any:
    if np.shape(p):
        raise ShapeError(
            f"{caller}: {what} must be a single truth value",
            {"given": type_of(p)},
            "reduce it with np.any(p) or np.all(p); np.where(p, a, b) chooses entry by entry",
        )
    kind = type_of(p)
    return p if kind.dtype.kind == "b" else np.not_equal(p, 0)


def _bound(value: Any, name: str) -> Any:
    value = resolve(operand(value))
    if type_of(value).shape or type_of(value).dtype.kind not in "iu":
        raise ArgumentError(
            f"fori_loop: {name} must be an integer", {name: type_of(value)}, "convert it: int(n)"
        )
    known = ground(value)
    return value if known is None else int(known)


def _index(value: Any, what: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(
            f"{what} must be an integer", {"given": repr(value)[:80]}, "convert it: int(n)"
        ) from None


def _shown(result: Any) -> str:
    if isinstance(result, (tuple, list)):
        return f"{type(result).__name__} of {len(result)}"
    return "one array" if type(result) is Tracer else type(result).__name__
