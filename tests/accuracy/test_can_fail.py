"""The tests of bounds find what they are there for: slightly wrong code, bounds too small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

from mpmath import mp  # noqa: E402
from truth.check import check  # noqa: E402
from truth.number import PRECISION, exact, excess  # noqa: E402
from truth.program import carried  # noqa: E402

import chainrule as cr  # noqa: E402
from chainrule.ir.bound import EXACT, Bound, Carried, Decided, Own, Roundings, Ulps  # noqa: E402
from chainrule.ir.primitive import Scalar  # noqa: E402
from chainrule.loops.mathematics import BOUNDS  # noqa: E402
from chainrule.ops.family import PRIMITIVES  # noqa: E402
from chainrule.tracing.stage import trace_program  # noqa: E402


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What these tests compile stays here: code is kept by its program, not by its lowering."""
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))


# ---- bounds too small ----------------------------------------------------------------------------


def smaller(bound: Bound, part: float) -> Bound:
    """A part of what a bound allows."""
    if isinstance(bound, Own):
        bound = bound.ulps(BOUNDS)
    if isinstance(bound, Decided):
        return replace(bound, factor=bound.factor * part)
    assert isinstance(bound, (Ulps, Roundings))
    return replace(bound, single=bound.single * part, double=bound.double * part)


@pytest.mark.parametrize(
    "name",
    "add exp power logaddexp digamma sinc kl_div round matmul einsum convolution sum cumsum prod "
    "length random_placed solve inv cholesky eigh svd qr pinv".split(),
)
def test_a_bound_too_small_is_found(name: str) -> None:
    op = PRIMITIVES[name]
    with pytest.raises(AssertionError, match="times what is allowed"):
        check(replace(op, bound=smaller(op.bound, 0.01)))


def test_calling_it_exact_is_found() -> None:
    with pytest.raises(AssertionError, match="times what is allowed"):
        check(replace(PRIMITIVES["exp"], bound=EXACT))


# ---- code that is slightly wrong -----------------------------------------------------------------

_SLIGHTLY = 1 + 2.0**-50  # four roundings of doubles; beside float32 the nearest is 1


def scaled(name: str) -> Callable[..., Any]:
    """An operation's own lowering, its result off by a few units in the last place."""
    lower = PRIMITIVES[name].lower

    def rule(b: Any, out: Any, *xs: Any, **params: Any) -> Any:
        made = lower(b, out, *xs, **params)
        if made is None:
            return None
        return b.entry(
            out.shape,
            out.dtype,
            lambda *i: made(*i) * _SLIGHTLY if out.dtype.kind == "f" else made(*i),
        )

    return rule


def one_entry_further(b: Any, out: Any, x: Any, shape: Any) -> Any:
    """Entries of a reshape, the first one twice."""
    flat = b.reshape(x, (x.size,))
    return b.reshape(
        b.entry((x.size,), out.dtype, lambda i: flat(b.select(i > 0, i - 1, 0))), shape
    )


WRONG: dict[str, Any] = {
    "exp": Scalar(lambda s, x: s.call("exp", x) * _SLIGHTLY),
    "divide": Scalar(lambda s, x, y: x * (s.const(1, x.kind) / y)),
    "subtract": Scalar(lambda s, x, y: y - x),
    "floor": Scalar(lambda s, x: s.unary("trunc", x) if x.kind[0] == "f" else x),
    "less": Scalar(lambda s, x, y: x <= y, cast="common"),
    "reshape": one_entry_further,
    "max": lambda b, out, x, axis: b.reduce("min", out, x, axis),
    "prod": scaled("prod"),
    "length": scaled("length"),
    "cholesky": scaled("cholesky"),
    "det": scaled("det"),
    "argmax": PRIMITIVES["argmin"].lower,
    "cumsum": PRIMITIVES["cumprod"].lower,
    "random_exponential": PRIMITIVES["random_normal"].lower,
    "cond": lambda b, out, p, *xs, branches: PRIMITIVES["cond"].lower(
        b, out, p, *xs, branches=branches[::-1]
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_code_is_found(name: str) -> None:
    with pytest.raises(AssertionError, match="times what is allowed"):
        check(replace(PRIMITIVES[name], lower=WRONG[name]))


# ---- programs ------------------------------------------------------------------------------------


def test_an_error_inside_a_program_is_carried_to_the_end() -> None:
    x, w = np.array([0.5, -1.0]), np.array([[0.3, 0.7], [-1.2, 0.4]])

    def f(w: Any, x: Any) -> Any:
        return cr.scan(lambda h, _: (np.tanh(w @ h), None), x, None, length=5)[0]

    program = trace_program(f, w, x, values=False)
    leaves = [exact(w), exact(x)]
    (truth,) = carried(lambda run: run.program(program, leaves))
    with mp.workprec(PRECISION):
        found = cr.jit(f)(w, x)
        assert excess(found, truth, Carried()).max() <= 1
        assert excess(found * (1 + 2.0**-47), truth, Carried()).max() > 1


# ---- what is missing -----------------------------------------------------------------------------


def test_a_missing_bound_is_found() -> None:
    with pytest.raises(AssertionError, match="must state its bound"):
        check(replace(PRIMITIVES["exp"], bound=None))


def test_a_missing_reference_is_found() -> None:
    with pytest.raises(AssertionError, match="must have a reference"):
        check(replace(PRIMITIVES["exp"], name="a new one"))


def test_a_lowering_that_is_never_used_is_found() -> None:
    with pytest.raises(AssertionError, match="nothing ran natively"):
        check(replace(PRIMITIVES["exp"], lower=lambda *args, **params: None))
