"""What a loop does, operation by operation, where values are known.

Formulas and reports of what can be differentiated are read from that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Program
from chainrule.ops.control import cond, output_types, scan, while_, while_transpose
from chainrule.tracing.table import TABLE

# While a trace runs, NumPy's own names make buffers.
_zeros = np.zeros

# `evaluate`, or something like it that also watches what runs.
Run = Callable[..., list[Any]]


def _scan_unrolled(
    run: Run, *xs: Any, body: Program, length: int, consts: int, carry: int, reverse: bool
) -> tuple[Any, ...]:
    kinds = output_types(body)
    fixed, state, rows = xs[:consts], list(xs[consts : consts + carry]), xs[consts + carry :]
    steps = []
    for k in reversed(range(length)) if reverse else range(length):
        outs = run(body, *fixed, *state, *[row[k] for row in rows])
        state = outs[:carry]
        steps.append(outs[carry:])
    steps = steps[::-1] if reverse else steps
    ys = [
        TABLE["stack"]([step[j] for step in steps]) if steps else _zeros((0, *kind.shape))
        for j, kind in enumerate(kinds[carry:])
    ]
    return (*state, *ys)


def _while_unrolled(
    run: Run, *xs: Any, cond: Program, body: Program, cond_consts: int, consts: int
) -> tuple[Any, ...]:
    seen, fixed = xs[:cond_consts], xs[cond_consts : cond_consts + consts]
    state = list(xs[cond_consts + consts :])
    while bool(run(cond, *seen, *state)[0]):
        state = run(body, *fixed, *state)
    return tuple(state)


def _transpose_unrolled(
    run: Run,
    *xs: Any,
    cond: Program,
    body: Program,
    back: Program,
    cond_consts: int,
    consts: int,
    carry: int,
    **more: Any,
) -> tuple[Any, ...]:
    start = cond_consts + consts
    seen, fixed, state = xs[:cond_consts], xs[cond_consts:start], list(xs[start : start + carry])
    stack = []
    while bool(run(cond, *seen, *state)[0]):
        outs = run(body, *fixed, *state)
        state = outs[:carry]
        stack.append(outs[carry:])
    gs = xs[start + carry :]
    kinds = output_types(back)
    pulled = [*(_zeros(kind.shape, kind.dtype)[()] for kind in kinds[: len(kinds) - len(gs)]), *gs]
    while stack:
        pulled = run(back, *fixed, *pulled, *stack.pop())
    return tuple(pulled)


def _cond_unrolled(
    run: Run, p: Any, *xs: Any, branches: tuple[Program, Program]
) -> tuple[Any, ...]:
    return tuple(run(branches[0] if bool(p) else branches[1], *xs))


UNROLLED: dict[Primitive, Callable[..., tuple[Any, ...]]] = {
    scan: _scan_unrolled,
    while_: _while_unrolled,
    while_transpose: _transpose_unrolled,
    cond: _cond_unrolled,
}
