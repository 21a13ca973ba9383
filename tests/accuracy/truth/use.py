"""Uses of operations: their cases in every dtype, and many of them as one compiled program."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import ChainruleError
from chainrule.ir.primitive import Case, Draw, Primitive
from chainrule.tracing.stage import evaluate, trace_program
from chainrule.tracing.trace import apply

compile_module = pytest.importorskip("chainrule.run.compile")

WHOLE = ("u1", "i4", "i8", "?")
# Parts of other operations, which meet nothing else; and isclose, whose bound whole numbers may
# meet exactly, but for one rounding.
ONLY_FLOATS = {"shift", "length", "share_runs", "isclose"}
Use = tuple[Primitive, tuple[Any, ...], dict[str, Any]]


# ---- compiled together ---------------------------------------------------------------------------


def run_together(uses: list[Use]) -> Iterator[tuple[Use, Any, Any, bool]]:
    """Each use with its compiled result, NumPy's, and whether it ran natively.

    Arrays are arguments of the program, but for read-only ones, which stand in it.
    """
    leaves: list[Any] = []
    plan = []
    for op, args, params in uses:
        spots = []
        for arg in args:
            given = isinstance(arg, np.ndarray) and arg.flags.writeable
            spots.append(len(leaves) if given else None)
            leaves += [arg] * given
        plan.append((op, args, params, spots))

    def together(*values: Any) -> Any:
        results = []
        for op, args, params, spots in plan:
            pairs = zip(args, spots, strict=True)
            xs = [arg if spot is None else values[spot] for arg, spot in pairs]
            made = apply(op, *xs, **params)
            results += list(made) if op.multiple else [made]
        return tuple(results)

    with np.errstate(all="ignore"):
        program = trace_program(together, *leaves, values=False)
        wanted = evaluate(program, *leaves)
        executable = compile_module.NativeExecutable(program)
        found = executable(leaves, [array for _, array in program.captured])
    called = {id(equation) for equation in executable.callbacks}
    makers = {var.number: eq for eq in program.equations for var in eq.outputs}
    results = iter(zip(found, wanted, program.outputs, strict=True))
    for use in uses:
        outputs = [next(results) for _ in range(count_of(use))]
        maker = makers.get(getattr(outputs[0][2], "number", None))
        native = maker is None or id(maker) not in called
        for one, other, _ in outputs:
            yield use, one, other, native


def count_of(use: Use) -> int:
    op, args, params = use
    if not op.multiple:
        return 1
    with np.errstate(all="ignore"):
        return len(op.value(*args, **params))


# ---- cases ---------------------------------------------------------------------------------------


def usable(op: Primitive, case: Case, rng: np.random.Generator) -> Use | None:
    """A sample of a case; None where NumPy has no such operation for these dtypes."""
    use = op, case.sample(rng), dict(case.params)
    whole = all(np.asarray(a).dtype.kind in "iub" for a in use[1])
    try:
        # Of whole numbers divided by zero see below.
        with (
            np.errstate(all="ignore", divide="raise" if whole else "ignore"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            value = op.value(*use[1], **use[2])
            leaves = [a for a in use[1] if isinstance(a, np.ndarray)]
            if len(leaves) == len(use[1]):
                program = trace_program(lambda *xs: apply(op, *xs, **use[2]), *leaves, values=False)
                if not op.multiple and whole:
                    return use if program.outputs[0].type.dtype == value.dtype else None
    except (TypeError, ValueError, OverflowError, FloatingPointError, ChainruleError):
        return None
    return use


def in_dtype(case: Case, dtype: str) -> Case:
    """The same case with its draws in another dtype, whole numbers from a wider interval."""

    def changed(arg: Any) -> Any:
        if not isinstance(arg, Draw) or arg.dtype != "f8":
            return arg
        if dtype == "f4":
            return dataclasses.replace(arg, dtype=dtype)
        low = 1 if arg.low > 0 else 0 if dtype[0] == "u" else 3 * arg.low
        return dataclasses.replace(arg, low=low, high=max(2, 3 * arg.high), dtype=dtype)

    return dataclasses.replace(case, args=tuple(map(changed, case.args)))


def is_program(op: Primitive) -> bool:
    """Loops and branches hold programs whose dtypes are fixed."""
    return op.name in ("scan", "while", "while_transpose", "cond")


def cases_of(op: Primitive) -> list[Case]:
    """An operation's cases, and those drawn in double precision in the other dtypes too."""
    cases = list(op.cases)
    if not is_program(op):
        drawn = [
            c for c in op.cases if any(isinstance(a, Draw) and a.dtype == "f8" for a in c.args)
        ]
        cases += [in_dtype(case, "f4") for case in drawn]
        kinds = () if op.name in ONLY_FLOATS else WHOLE
        cases += [in_dtype(case, dtype) for case in drawn[1:2] for dtype in kinds]
    return cases


def in_single(case: Case) -> Case | None:
    """A case with its own arrays of doubles in single precision; None where it has none."""
    args = tuple(
        a.astype("f4") if isinstance(a, np.ndarray) and a.dtype == np.float64 else a
        for a in case.args
    )
    if all(a is b for a, b in zip(args, case.args, strict=True)):
        return None
    return in_dtype(dataclasses.replace(case, args=args), "f4")
