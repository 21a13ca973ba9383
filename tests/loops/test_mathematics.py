"""Every function of `loops.mathematics` against many digits, over the whole range.

`CHAINRULE_FUZZ=50` takes fifty times as many points.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from truth.point import everywhere
from truth.scalar import REFERENCES, scale

from chainrule.loops.mathematics import BOUNDS, DEFINITIONS
from chainrule.loops.scalar import numpy_type

_spec = importlib.util.spec_from_file_location(
    "vector_loop", Path(__file__).parents[2] / "benchmarks" / "vector_loop.py"
)
_vector_loop: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_vector_loop)

MORE = int(os.environ.get("CHAINRULE_FUZZ", "1"))
PRECISION = 160
INFINITY, NAN = float("inf"), float("nan")

Arrays = tuple[np.ndarray, ...]


def arity(name: str) -> int:
    return DEFINITIONS[name].__code__.co_argcount


KINDS = ("f32", "f64")
ALL = [(name, kind, arity(name)) for name in BOUNDS for kind in KINDS]


@pytest.fixture(scope="module")
def native():
    return _vector_loop.Loops(ALL)


# ---- where it is asked ---------------------------------------------------------------------------

POSITIVE = {"log", "log2", "log10"}
UNIT = {"arcsin", "arccos", "arctanh"}
# Where approximations meet, by function.
SEAMS = {
    "log": [1, math.sqrt(0.5), math.sqrt(2)],
    "log2": [1, math.sqrt(0.5), math.sqrt(2)],
    "log10": [1, math.sqrt(0.5), math.sqrt(2)],
    "log1p": [0, -0.5, math.sqrt(0.5) - 1, math.sqrt(2) - 1, -1],
    "exp": [0, math.log(2) / 2, 709, -745, 88.7, -103],
    "exp2": [0, 0.5, 1023.9, -1074, 127.9, -149],
    "expm1": [0, math.log(2) / 2, -math.log(2) / 2, 1.0397],
    "tanh": [math.log(2) / 4, 3 * math.log(2) / 4, 19, 9, 0.549],
    "sinh": [math.log(2) / 2, 710, 89],
    "cosh": [math.log(2) / 2, 710, 89],
    "sin": [math.pi * k / 4 for k in (1, 2, 3, 4, 100, 4096, 355 * 113)] + [2.0**28, 2.0**16],
    "cos": [math.pi * k / 4 for k in (1, 2, 3, 4, 100, 4096, 355 * 113)] + [2.0**28, 2.0**16],
    "tan": [math.pi * k / 4 for k in (1, 2, 3, 4, 100, 4096, 355 * 113)] + [2.0**28, 2.0**16],
    "arcsin": [0.5, 1],
    "arccos": [0.5, -0.5, 1, -1, 0],
    "arctan": [1, -1],
    "arcsinh": [0.25, 1, 2.0**28, 2.0**13],
    "arccosh": [1, 1.5, 2, 2.0**28, 2.0**13],
    "arctanh": [0.1, 0.5, 1],
    "expit": [0, -37, -16, -700, -87],
    "softplus": [0, -37, -16, -700, -87],
    "log_expit": [0, 37, 16, 700, 87],
    "erf": [0.5, 1, 6, 4],
    "erfc": [0.5, -0.5, 1, 26, 27, 9, 10],
    "ndtr": [0.7, -0.7, -37, -38, -13, -14],
    "gammaln": [0.5, 1, 1.4616, 1.5, 2, 2.5, 3.5, 7.5, 8],
    "gamma": [0.5, 1, 1.4616, 1.5, 2, 2.5, 3.5, 7.5, 8, 34, 171],
    "digamma": [1, 1.4616, 2, 3, 4, 8],
    "cbrt": [1, 2, 4, 8, math.sqrt(0.5), math.sqrt(2)],
}


def near(kind: str, points: list[float], rng: np.random.Generator, count: int) -> np.ndarray:
    """The neighbours of some points, and what lies not far from them."""
    dtype = numpy_type(kind)
    close = np.finfo(dtype).eps * np.exp(rng.uniform(0, -np.log(np.finfo(dtype).eps), count) * 0.9)
    parts = []
    with np.errstate(all="ignore"):
        for point in np.array(points, dtype):
            steps = rng.choice([-1.0, 1.0], count) * close
            around = [point + k * np.spacing(point) for k in range(-3, 4)]
            parts += [
                (point + max(abs(point), 1e-3) * steps).astype(dtype),
                np.array(around, dtype),
            ]
    return np.concatenate(parts)


def inputs(name: str, kind: str, count: int) -> Arrays:
    """Arguments at which a function has a value."""
    with np.errstate(all="ignore"):
        return _inputs(name, kind, count)


def _inputs(name: str, kind: str, count: int) -> Arrays:
    rng = np.random.default_rng(zlib.crc32(f"{name}{kind}".encode()))
    if arity(name) == 2:
        return pairs(name, kind, rng, count)
    x = everywhere(kind, rng, count)
    if name in SEAMS:
        x = np.concatenate([x, near(kind, SEAMS[name], rng, max(count // 10, 5))])
    if name in UNIT:
        x = np.where(abs(x) > 1, (1 / x.astype(np.float64)).astype(x.dtype), x)
        x = x[abs(x) < 1] if name == "arctanh" else x
    if name in POSITIVE:
        x = abs(x)[x != 0]
    if name == "log1p":
        x = np.where(x <= -1, -1 / x, x)
        x = x[x > -1]
    if name == "arccosh":
        x = abs(x)
        x = np.where(x < 1, x + 1, x)
    if name in ("gammaln", "gamma", "digamma"):
        x = x[(x > 0) | (x != np.rint(x))]
        x = np.concatenate([x, rng.uniform(0, 9, 2 * count).astype(x.dtype)])
        if name == "gammaln":
            # mpmath takes forever where the result is the argument times its logarithm anyway.
            x = x[abs(x) < 1e100]
        if name == "digamma":
            x = x[(x > 0) | (x > -1e6)]
    return (x,)


def pairs(name: str, kind: str, rng: np.random.Generator, count: int) -> Arrays:
    """Arguments of functions of two."""
    dtype = numpy_type(kind)
    x, y = (rng.permutation(everywhere(kind, rng, count)) for _ in range(2))
    size = min(len(x), len(y))
    x, y = x[:size], y[:size]
    if name == "power":
        # Where the result is a float, for bases of all sizes and next to 1.
        most = 710 if kind == "f64" else 89
        base = np.exp(rng.normal(size=2 * count) * np.repeat([20, 1e-3], count))
        base = base.astype(dtype).astype(np.float64)
        base = base[(base != 1) & (base > 0) & np.isfinite(base)]
        exponent = rng.uniform(-1.03, 1.03, len(base)) * most / np.log(base)
        whole = rng.integers(-30, 30, size)
        negative = -np.exp(rng.normal(size=size))
        x = np.concatenate([abs(x), base, negative])
        y = np.concatenate([y, exponent, whole])
    if name == "xlogy":
        y = abs(y)
    if name == "xlog1py":
        y = np.where(y <= -1, -1 / y, y)
        y = np.where(y <= -1, 0.5, y)
    if name == "logaddexp":
        y[: size // 2] = x[: size // 2] + rng.normal(size=size // 2) * 3
    with np.errstate(all="ignore"):
        x, y = x.astype(dtype), y.astype(dtype)
    usable = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    if name == "floor_divide":
        with np.errstate(all="ignore"):
            usable &= abs(x / y) < 1 / np.finfo(dtype).eps
    return x[usable], y[usable]


# ---- how far off ---------------------------------------------------------------------------------


def error(got: float, true: mpf, kind: str, measure: mpf) -> float:
    """The distance in units in the last place that a number of the measure's size has."""
    digits, least, most = (24, -149, 128) if kind == "f32" else (53, -1074, 1024)
    if mpmath.isnan(true) or math.isnan(got):
        return 0.0 if mpmath.isnan(true) and math.isnan(got) else INFINITY
    largest = mp.ldexp(1, most) - mp.ldexp(1, most - digits)
    if abs(true) >= largest + mp.ldexp(1, most - digits - 1):
        # Rounded, it is infinite; the number before may be as good.
        return 0.0 if got == INFINITY * mp.sign(true) else abs(abs(got) - largest) / largest * 2
    if math.isinf(got):
        got = mp.sign(got) * mp.ldexp(1, most)
    exponent = int(mpmath.frexp(measure)[1]) if measure else least
    return float(abs(mpf(got) - true) / mp.ldexp(1, max(exponent - digits, least)))


def errors(name: str, kind: str, results: np.ndarray, arguments: Arrays) -> np.ndarray:
    """Of each result."""
    reference = REFERENCES[name]
    found = []
    with mp.workprec(PRECISION):
        for got, *given in zip(results.tolist(), *(a.tolist() for a in arguments), strict=True):
            exact = tuple(map(mpf, given))
            true = reference(*exact)
            found.append(error(got, true, kind, scale(name, exact, true)))
    return np.array(found)


@pytest.mark.parametrize(("name", "kind", "count"), ALL)
def test_bound(native, name, kind, count):
    arguments = inputs(name, kind, 40 * MORE)
    results = native(name, kind, *arguments)
    found = errors(name, kind, results, arguments)
    worst = int(found.argmax())
    where = [a[worst] for a in arguments]
    bound = BOUNDS[name][KINDS.index(kind)]
    assert found[worst] <= bound, f"{found[worst]:.3f} ulp: {name}({where}) = {results[worst]!r}"


def test_every_function_has_a_bound_and_a_reference():
    parts = {name for name in DEFINITIONS if name.endswith(("_huge", "_negative", "_large"))}
    assert set(BOUNDS) == set(DEFINITIONS) - parts == set(REFERENCES)


# ---- exact values --------------------------------------------------------------------------------

LEAST = {"f32": 2.0**-149, "f64": 2.0**-1074}
ODD = [0.0, -0.0, "least", "-least"]  # what functions of slope 1 at 0 give back
# C99 Annex F, and NumPy and SciPy where C has no such function.
SPECIAL: dict[str, list[tuple[Any, Any]]] = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INFINITY, INFINITY), (-INFINITY, 0.0), (1000, INFINITY)],
    "exp2": [(0.0, 1.0), (3.0, 8.0), (-1.0, 0.5), (INFINITY, INFINITY), (-INFINITY, 0.0)],
    "expm1": [*((x, x) for x in ODD), (INFINITY, INFINITY), (-INFINITY, -1.0), (-800.0, -1.0)],
    "log": [(1.0, 0.0), (0.0, -INFINITY), (-0.0, -INFINITY), (-1.0, NAN), (INFINITY, INFINITY)],
    "log2": [(1.0, 0.0), (0.0, -INFINITY), (-1.0, NAN), (INFINITY, INFINITY)],
    "log10": [(1.0, 0.0), (0.0, -INFINITY), (-1.0, NAN), (INFINITY, INFINITY)],
    "log1p": [*((x, x) for x in ODD), (-1.0, -INFINITY), (-2.0, NAN), (INFINITY, INFINITY)],
    "sin": [*((x, x) for x in ODD), (INFINITY, NAN), (-INFINITY, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), ("least", 1.0), (INFINITY, NAN), (-INFINITY, NAN)],
    "tan": [*((x, x) for x in ODD), (INFINITY, NAN), (-INFINITY, NAN)],
    "sinh": [*((x, x) for x in ODD), (INFINITY, INFINITY), (-INFINITY, -INFINITY)],
    "cosh": [(0.0, 1.0), (-0.0, 1.0), (INFINITY, INFINITY), (-INFINITY, INFINITY)],
    "tanh": [*((x, x) for x in ODD), (INFINITY, 1.0), (-INFINITY, -1.0), (30.0, 1.0)],
    "arcsin": [*((x, x) for x in ODD), (1.5, NAN), (-INFINITY, NAN)],
    "arccos": [(1.0, 0.0), (1.5, NAN), (-INFINITY, NAN)],
    "arctan": [(x, x) for x in ODD],
    "arcsinh": [*((x, x) for x in ODD), (INFINITY, INFINITY), (-INFINITY, -INFINITY)],
    "arccosh": [(1.0, 0.0), (0.5, NAN), (-INFINITY, NAN), (INFINITY, INFINITY)],
    "arctanh": [*((x, x) for x in ODD), (1.0, INFINITY), (-1.0, -INFINITY), (2.0, NAN)],
    "cbrt": [(0.0, 0.0), (-0.0, -0.0), (27.0, 3.0), (-8.0, -2.0), (-INFINITY, -INFINITY)],
    "expit": [(0.0, 0.5), (INFINITY, 1.0), (-INFINITY, 0.0), (100.0, 1.0)],
    "softplus": [(INFINITY, INFINITY), (-INFINITY, 0.0), (1e4, 1e4)],
    "log_expit": [(INFINITY, -0.0), (-INFINITY, -INFINITY), (-1e4, -1e4)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INFINITY, 1.0), (-INFINITY, -1.0)],
    "erfc": [(0.0, 1.0), (INFINITY, 0.0), (-INFINITY, 2.0)],
    "ndtr": [(0.0, 0.5), (INFINITY, 1.0), (-INFINITY, 0.0)],
    "gammaln": [(1.0, 0.0), (2.0, 0.0), (0.0, INFINITY), (-3.0, INFINITY), (INFINITY, INFINITY)],
    "gamma": [
        *((float(n), float(math.factorial(n - 1))) for n in range(1, 9)),
        (0.0, INFINITY), (-0.0, -INFINITY), (-1.0, NAN), (INFINITY, INFINITY), (-INFINITY, NAN),
    ],
    "digamma": [(0.0, -INFINITY), (-0.0, INFINITY), (-1.0, NAN), (INFINITY, INFINITY)],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(native, name, kind):
    named = {"least": LEAST[kind], "-least": -LEAST[kind]}
    table = [(named.get(x, x), named.get(y, y)) for x, y in [*SPECIAL[name], (NAN, NAN)]]
    x, wanted = (np.array(column, numpy_type(kind)) for column in zip(*table, strict=True))
    same(native(name, kind, x), wanted, x)


def same(got: np.ndarray, wanted: np.ndarray, *arguments: np.ndarray) -> None:
    """Equal, zeros with their signs."""
    alike = (got == wanted) & (np.signbit(got) == np.signbit(wanted))
    wrong = ~(alike | (np.isnan(got) & np.isnan(wanted)))
    rows = list(zip(*(a[wrong] for a in (*arguments, got, wanted)), strict=True))
    assert not rows, f"arguments, result, what it should be: {rows[:5]}"


POINTS = [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 7.0, 1e-30, 1e30, 2.0**53 + 2, INFINITY]
GRID = np.array([*POINTS, *(-x for x in POINTS), NAN])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_division_as_numpy_does(native, name, kind):
    rng = np.random.default_rng(0)
    some = np.concatenate([GRID, everywhere(kind, rng, 10)]).astype(numpy_type(kind))
    x, y = (a.ravel() for a in np.meshgrid(some, some))
    with np.errstate(all="ignore"):
        same(native(name, kind, x, y), getattr(np, name)(x, y), x, y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["power", "arctan2", "hypot", "logaddexp"])
def test_special_pairs_as_numpy_has_them(native, name, kind):
    some = GRID.astype(numpy_type(kind))
    x, y = (a.ravel() for a in np.meshgrid(some, some))
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x, y)
        got = native(name, kind, x, y)
        close = np.abs(got - wanted) <= 4 * np.spacing(np.abs(wanted))
    same(np.where(close & (wanted != 0), wanted, got), wanted, x, y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_nothing_times_a_logarithm(native, name, kind):
    x = np.array([0.0, 0.0, -0.0, 0.0, NAN, 1.0], numpy_type(kind))
    y = np.array([0.0, INFINITY, -5.0, NAN, 0.5, NAN], numpy_type(kind))
    same(native(name, kind, x, y), np.array([0, 0, 0, NAN, NAN, NAN], x.dtype), x, y)


@pytest.mark.parametrize("kind", KINDS)
def test_logarithms_of_powers(native, kind):
    most = 127 if kind == "f32" else 1023
    k = np.arange(-most - 20, most + 1).astype(numpy_type(kind))
    same(native("log2", kind, np.ldexp(np.ones_like(k), k.astype(int))), k)
    same(native("exp2", kind, k), np.ldexp(np.ones_like(k), k.astype(int)))
    # Exact powers of 10 are floats up to 10^10 and 10^22.
    k = np.arange(11 if kind == "f32" else 23).astype(numpy_type(kind))
    same(native("log10", kind, np.array([10.0 ** int(n) for n in k])), k)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "low", "high"), [("sin", -1, 1), ("cos", -1, 1), ("tanh", -1, 1),
                                                   ("expit", 0, 1), ("erf", -1, 1)])  # fmt: skip
def test_never_outside_their_range(native, name, low, high, kind):
    x = everywhere(kind, np.random.default_rng(1), 20_000)
    quarters = np.arange(-5000, 5000) * (math.pi / 2)
    y = native(name, kind, np.concatenate([x, quarters.astype(x.dtype)]))
    assert np.all((y >= low) & (y <= high))


@pytest.mark.parametrize("lanes", [1, 3])
def test_the_same_bits_for_any_number_of_lanes(native, lanes):
    other = _vector_loop.Loops(ALL, lanes)
    for name, kind, _ in ALL:
        arguments = inputs(name, kind, 10)
        same(other(name, kind, *arguments), native(name, kind, *arguments), *arguments)


@pytest.mark.parametrize("name", ["SIN", "COSH"])
def test_coefficients_are_what_the_script_prints(name, monkeypatch):
    root = Path(__file__).parents[2]
    spec: Any = importlib.util.spec_from_file_location("minimax", root / "scripts" / "minimax.py")
    minimax: Any = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "minimax", minimax)
    monkeypatch.setattr(mp, "dps", mp.dps)  # which the script sets
    spec.loader.exec_module(minimax)
    known = root / "src" / "chainrule" / "loops" / "mathematics" / "coefficients.py"
    assert minimax.printed(name) in known.read_text("utf-8")
