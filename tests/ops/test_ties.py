"""Kinks and ties: the same number in every mode, whatever the spelling.

The subgradient of least norm: 0 for every spelling of relu and for abs, half each where two equal
arguments compete. What follows from its own operations by the chain rule is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

F = Callable[[Any], Any]

RELUS: dict[str, F] = {
    "np.maximum(x, 0)": lambda x: np.maximum(x, 0),
    "np.maximum(0, x)": lambda x: np.maximum(0, x),
    "np.maximum(x, 0.0)": lambda x: np.maximum(x, 0.0),
    "np.maximum(x, np.float64(0))": lambda x: np.maximum(x, np.float64(0)),
    "np.maximum(x, np.zeros_like(x))": lambda x: np.maximum(x, np.zeros_like(x)),
    "np.maximum(np.zeros_like(x), x)": lambda x: np.maximum(np.zeros_like(x), x),
    "np.maximum(x, np.zeros(np.shape(x)))": lambda x: np.maximum(x, np.zeros(np.shape(x))),
    "np.fmax(x, 0)": lambda x: np.fmax(x, 0),
    "-np.minimum(-x, 0)": lambda x: -np.minimum(-x, 0),
    "-np.fmin(-x, 0)": lambda x: -np.fmin(-x, 0),
    "np.where(x > 0, x, 0)": lambda x: np.where(x > 0, x, 0),
    "np.where(x <= 0, 0, x)": lambda x: np.where(x <= 0, 0, x),
    "x * (x > 0)": lambda x: x * (x > 0),
    "(x > 0) * x": lambda x: (x > 0) * x,
    "np.clip(x, 0, None)": lambda x: np.clip(x, 0, None),
    "np.clip(x, 0, 6)": lambda x: np.clip(x, 0, 6),
    "x.clip(0)": lambda x: np.positive(x).clip(0),
    "np.clip(x, min=0)": lambda x: np.clip(x, min=0),
    "np.select([x > 0], [x], 0)": lambda x: np.select([x > 0], [x], 0),
    "np.piecewise(x, [x > 0], [x, 0])": lambda x: np.piecewise(x, [x > 0], [lambda u: u, 0]),
    "abs": abs,
    "np.abs": np.abs,
    "np.fabs": np.fabs,
}

OTHERS: dict[str, tuple[F, float]] = {
    "(x + abs(x)) / 2": (lambda x: (x + abs(x)) / 2, 0.5),
    "np.where(x >= 0, x, 0)": (lambda x: np.where(x >= 0, x, 0), 1.0),
    "np.where(x < 0, 0, x)": (lambda x: np.where(x < 0, 0, x), 1.0),
    "np.maximum(0.1 * x, x)": (lambda x: np.maximum(0.1 * x, x), 0.55),
    "np.minimum(2 * x, x)": (lambda x: np.minimum(2 * x, x), 1.5),
    "max(x, 0) + min(x, 0)": (lambda x: np.maximum(x, 0) + np.minimum(x, 0), 0.0),
}


def grad(f: F, x: float) -> Any:
    return cr.grad(f)(x)


def grad_of_array(f: F, x: float) -> Any:
    return cr.grad(lambda v: np.sum(f(v)))(np.array([x, 1.0]))[0]


def jvp(f: F, x: float) -> Any:
    return cr.jvp(f, (x,), (1.0,))[1]


def vmap(f: F, x: float) -> Any:
    return cr.vmap(cr.grad(f))(np.array([x, 1.0]))[0]


def vmap_jvp(f: F, x: float) -> Any:
    return cr.vmap(lambda u: cr.jvp(f, (u,), (1.0,))[1])(np.array([x, 1.0]))[0]


def grad_of_vmap(f: F, x: float) -> Any:
    return cr.grad(lambda v: np.sum(cr.vmap(f)(v)))(np.array([x, 1.0]))[0]


def float32(f: F, x: float) -> Any:
    slope = cr.grad(lambda v: np.sum(f(v)))(np.array([x, 1.0], np.float32))
    assert slope.dtype == np.float32
    return slope[0]


def jvp_of_product(f: F, x: float) -> Any:
    """(u·f(u))′ = f(u) + u·f′(u); its derivative at 0 is 2·f′(0)."""
    return cr.jvp(cr.grad(lambda u: u * f(u)), (x,), (1.0,))[1] / 2


def grad_of_grad(f: F, x: float) -> Any:
    return cr.grad(cr.grad(lambda u: u * f(u)))(x) / 2


def grad_of_jvp(f: F, x: float) -> Any:
    return cr.grad(lambda v: cr.jvp(lambda u: u * f(u), (v,), (1.0,))[1])(x) / 2


MODES = (
    grad, grad_of_array, jvp, vmap, vmap_jvp, grad_of_vmap, float32,
    jvp_of_product, grad_of_grad, grad_of_jvp,
)  # fmt: skip


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
@pytest.mark.parametrize("f", RELUS.values(), ids=RELUS)
def test_zero_at_the_kink(f: F, mode: Callable[[F, float], Any]) -> None:
    assert mode(f, 0.0) == 0


@pytest.mark.parametrize("f", RELUS.values(), ids=RELUS)
def test_slopes_beside_the_kink(f: F) -> None:
    assert cr.grad(f)(2.0) == 1
    assert cr.grad(f)(-2.0) == (-1 if f(-2.0) else 0)


@pytest.mark.parametrize("f", RELUS.values(), ids=RELUS)
def test_second_derivative_is_zero(f: F) -> None:
    assert cr.grad(cr.grad(f))(0.0) == 0
    assert cr.grad(cr.grad(lambda u: f(u) ** 2))(0.0) == 0


SYMBOLIC = {name: f for name, f in RELUS.items() if "zeros" not in name and "clip(0)" not in name}


@pytest.mark.parametrize("f", SYMBOLIC.values(), ids=SYMBOLIC)
def test_symbolic_at_the_kink(f: F) -> None:
    slope = cr.symbolic(f, 0.0).derivative(0)
    (x,) = slope.free_symbols or {None}
    for at in (0, 2, -2):
        assert float(slope if x is None else slope.subs(x, at)) == cr.grad(f)(float(at))


@pytest.mark.parametrize("mode", [grad, jvp, vmap, grad_of_grad, jvp_of_product])
@pytest.mark.parametrize(("f", "slope"), OTHERS.values(), ids=OTHERS)
def test_other_spellings_follow_the_chain_rule(f: F, slope: float, mode: Any) -> None:
    assert mode(f, 0.0) == slope


# ---- two arguments -------------------------------------------------------------------------------

PAIRS = {"maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin}


@pytest.mark.parametrize("f", PAIRS.values(), ids=PAIRS)
def test_a_tie_is_shared(f: Any) -> None:
    x = np.array([1.0, 2.0])
    assert cr.grad(f, argnums=(0, 1))(1.0, 1.0) == (0.5, 0.5)
    assert cr.jvp(f, (x, x), (np.ones(2), np.zeros(2)))[1].tolist() == [0.5, 0.5]
    left, right = cr.grad(lambda a, b: np.sum(f(a, b)), argnums=(0, 1))(x, x)
    assert left.tolist() == right.tolist() == [0.5, 0.5]
    mixed = cr.grad(lambda a: cr.grad(lambda b: a * f(a, b))(a))(1.0)
    assert mixed == 0.5  # d/da of a·½


@pytest.mark.parametrize("f", PAIRS.values(), ids=PAIRS)
def test_arguments_are_never_literals(f: Any) -> None:
    """Whether an argument is differentiated doesn't change the slope of the other one."""
    assert cr.grad(f, argnums=0)(1.0, 1.0) == 0.5
    assert cr.grad(f, argnums=1)(1.0, 1.0) == 0.5
    assert cr.grad(lambda x, bound: f(x, bound))(0.0, bound=0.0) == 0.5


def test_an_array_that_was_written_to_is_no_literal() -> None:
    def f(x: Any) -> Any:
        bound = np.zeros(2)
        bound[1] = 1.0
        return np.sum(np.maximum(x, bound))

    assert cr.grad(f)(np.array([0.0, 1.0])).tolist() == [0.5, 0.5]


def test_a_tie_in_symbols() -> None:
    formula = cr.symbolic(np.maximum, 1.0, 2.0)
    a, b = formula.symbols
    for number in (0, 1):
        assert float(formula.derivative(number).subs({a: 1, b: 1})) == 0.5
    assert formula.derivative(0).subs({a: 2, b: 1}) == 1
    assert formula.derivative(1).subs({a: 2, b: 1}) == 0


def test_clip_between_traced_bounds() -> None:
    slopes = cr.grad(lambda x, low, high: np.clip(x, low, high), argnums=(0, 1, 2))
    assert slopes(0.5, 0.0, 1.0) == (1, 0, 0)
    assert slopes(-1.0, 0.0, 1.0) == (0, 1, 0)
    assert slopes(2.0, 0.0, 1.0) == (0, 0, 1)
    assert slopes(0.0, 0.0, 1.0) == (0.5, 0.5, 0)


def test_nan_stays_nan_in_maximum_and_not_in_fmax() -> None:
    x = np.array([np.nan, 1.0])
    y = np.array([2.0, np.nan])
    _, (gx, gy) = cr.value_and_grad(lambda x, y: np.sum(np.fmax(x, y)), (0, 1))(x, y)
    assert gx.tolist() == [0, 1]
    assert gy.tolist() == [1, 0]


# ---- other kinks ---------------------------------------------------------------------------------


def test_hypot_and_modulus_at_the_tip() -> None:
    assert cr.grad(np.hypot, argnums=(0, 1))(0.0, 0.0) == (0, 0)
    assert cr.grad(lambda z: np.abs(z))(0j) == 0
    assert cr.grad(lambda x: np.abs(x + 0j))(0.0) == 0
    assert cr.grad(lambda x: np.abs(1j * x))(-2.0) == -1
