"""Every operation compiled, case by case, against what NumPy gives; and which ones are native."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special  # noqa: F401 - its functions take part once it is imported

from chainrule.base.errors import ChainruleError
from chainrule.ir.primitive import Case, Draw, Primitive
from chainrule.ops.family import PRIMITIVES
from chainrule.ops.index_plan import Spot, full_index
from chainrule.tracing.stage import evaluate, trace_program
from chainrule.tracing.trace import apply

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

compile_module = pytest.importorskip("chainrule.run.compile")

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
WHOLE = ("i1", "u1", "i4", "i8", "u8", "?")
Use = tuple[Primitive, tuple[Any, ...], dict[str, Any]]


def compiled_table() -> dict[str, bool]:
    """What the page says of each primitive: native or not."""
    table = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        row = re.match(r"\| `(\w+)` \|.*\| (native|calls NumPy) \|", line)
        if row:
            table[row[1]] = row[2] == "native"
    return table


TABLE = compiled_table()


# ---- many uses of operations as one program ------------------------------------------------------


def run_together(uses: list[Use]) -> Iterator[tuple[Use, Any, Any, bool]]:
    """Each use with its compiled result, NumPy's, and whether it ran natively."""
    leaves: list[Any] = []
    plan = []
    for op, args, params in uses:
        spots = []
        for arg in args:
            given = isinstance(arg, np.ndarray)
            spots.append(len(leaves) if given else None)
            leaves += [arg] * given
        plan.append((op, args, params, spots))

    def together(*values: Any) -> Any:
        return tuple(
            apply(op, *[a if s is None else values[s] for a, s in zip(args, spots)], **params)
            for op, args, params, spots in plan
        )

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


def flattened(uses: list[Use]) -> list[tuple[Use, Any, Any, bool]]:
    """The same for operations of several outputs, too."""
    return list(run_together(uses))


def check(use: Use, found: Any, wanted: Any) -> None:
    op, args, params = use
    kinds = [(np.shape(a), getattr(a, "dtype", type(a))) for a in args]
    told = f"{op.name} of {kinds} with {params}"
    assert found.dtype == wanted.dtype, told
    assert np.shape(found) == np.shape(wanted), told
    if wanted.dtype.kind in "fc":
        bound = 64 * np.finfo(wanted.dtype).eps
        np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound, err_msg=told)
    else:
        np.testing.assert_array_equal(found, wanted, err_msg=told)


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


@pytest.mark.parametrize("name", [name for name, op in PRIMITIVES.items() if op.cases])
def test_every_case(name: str) -> None:
    op = PRIMITIVES[name]
    rng = np.random.default_rng(7)
    cases = list(op.cases)
    if not is_program(op):
        drawn = [
            c for c in op.cases if any(isinstance(a, Draw) and a.dtype == "f8" for a in c.args)
        ]
        cases += [in_dtype(case, "f4") for case in drawn]
        # Bounds of isclose are met exactly by whole numbers, but for one rounding.
        kinds = () if name == "isclose" else WHOLE
        cases += [in_dtype(case, dtype) for case in drawn[1:2] for dtype in kinds]
    found = [usable(op, case, rng) for case in cases]
    for use, one, other, native in run_together([use for use in found if use is not None]):
        check(use, one, other)
        arrays = [other, *use[1]]
        plain = all(np.asarray(a).dtype.kind in "biuf" for a in arrays)
        half = any(np.asarray(a).dtype == np.float16 for a in arrays)
        unstable = name == "argsort" and use[2]["kind"] is None
        assert native == (TABLE[name] and plain and not half and not unstable), (name, use[1:])
