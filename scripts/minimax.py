"""Where the coefficients of `chainrule.loops.mathematics` come from.

    python scripts/minimax.py > src/chainrule/loops/mathematics/coefficients.py

Each polynomial is the best one of its length (Remez' exchange), measured in the error of the
function that is computed with it. Its coefficients are rounded to the type; after each of the
first few, which weigh most, the others are fitted again to make up for the rounding.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from mpmath import mp, mpf

Real = Callable[[mpf], mpf]
REFITTED = 2


@dataclass(frozen=True)
class Fit:
    """A polynomial to find.

    Args:
        target: What the polynomial should be.
        low, high: Where.
        terms: Number of coefficients, by type: f64, f32.
        weight: How much an error of the polynomial is an error of the result, relative to it.
        about: What is computed with it.
    """

    about: str
    target: Real
    low: float
    high: float
    terms: tuple[int, int]
    weight: Real


def remez(
    grid: Sequence[mpf], wanted: Sequence[mpf], weights: Sequence[mpf], count: int
) -> list[mpf]:
    """The polynomial of so many terms whose largest weighted error on the grid is least."""
    chosen = _spread(grid, count + 1)
    coefficients: list[mpf] = []
    for _ in range(30):
        matrix = mp.matrix(count + 1, count + 1)
        right = mp.matrix(count + 1, 1)
        for row, i in enumerate(chosen):
            for power in range(count):
                matrix[row, power] = grid[i] ** power
            matrix[row, count] = (-1) ** row / weights[i]
            right[row] = wanted[i]
        solved = mp.lu_solve(matrix, right)
        coefficients = [solved[k] for k in range(count)]
        level = abs(solved[count])
        errors = [
            w * (f - mp.polyval(coefficients[::-1], x))
            for x, f, w in zip(grid, wanted, weights, strict=True)
        ]
        chosen = _alternating(errors, count + 1)
        if max(map(abs, errors)) < level * mpf("1.01"):
            break
    return coefficients


def _chebyshev(low: mpf, high: mpf, count: int) -> list[mpf]:
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * (k + mpf(1) / 2) / count) for k in range(count)]


def _spread(grid: Sequence[mpf], count: int) -> list[int]:
    return [round(k * (len(grid) - 1) / (count - 1)) for k in range(count)]


def _alternating(errors: Sequence[mpf], count: int) -> list[int]:
    """The largest errors of alternating sign."""
    peaks: list[int] = []
    for i, error in enumerate(errors):
        if peaks and (errors[peaks[-1]] < 0) == (error < 0):
            if abs(error) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    while len(peaks) > count:
        # The smaller end goes; one in the middle would leave two of one sign side by side.
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    if len(peaks) < count:
        raise ArithmeticError("the error doesn't alternate often enough: fewer terms would do")
    return peaks


def rounded(fit: Fit, kind: str) -> tuple[list[float], mpf]:
    """A fit's coefficients in a type, and the largest error of the result."""
    count = fit.terms[0 if kind == "f64" else 1]
    grid = _chebyshev(mpf(fit.low), mpf(fit.high), max(200, 20 * count))
    rest = [fit.target(x) for x in grid]
    weights = [abs(fit.weight(x)) for x in grid]
    known: list[float] = []
    while len(known) < count:
        best = remez(grid, rest, weights, count - len(known))
        # The first coefficients weigh most; after those, rounding is far below the error.
        fixed = best[:1] if len(known) < REFITTED else best
        for coefficient in fixed:
            known.append(nearest(coefficient, kind))
            rest = [(f - known[-1]) / x for x, f in zip(grid, rest, strict=True)]
            weights = [abs(w * x) for x, w in zip(grid, weights, strict=True)]
    # What is left over after the last coefficient, times x, is its error.
    return known, max(abs(w * f) for w, f in zip(weights, rest, strict=True))


def nearest(value: mpf, kind: str) -> float:
    """The nearest number of a type."""
    return float(np.float32(float(value)) if kind == "f32" else value)


# ---- what is fitted ------------------------------------------------------------------------------

mp.dps = 40
mp.dps = 40
HALF_LOG2 = mp.log(2) / 2 * mpf("1.0001")
EIGHTH_TURN = mp.pi / 4 * mpf("1.0001")
THIN = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mpf("1.0001")
EIGHTH_TURN = mp.pi / 4 * mpf("1.0001")
THIN = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1) * mpf("1.0001")


def _square(function: Real) -> Real:
    """A function of x as one of x²."""
    return lambda t: function(mp.sqrt(t))


def _scaled_erfc(t: mpf) -> mpf:
    x = 4 * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def _stirling_rest(x: mpf) -> mpf:
    # Far out almost all digits are lost in the difference; the series has no such trouble.
    if x > 100:
        terms = range(1, 12)
        return mp.fsum(
            mp.bernoulli(2 * k) / (2 * k * (2 * k - 1) * x ** (2 * k - 1)) for k in terms
        )
    return mp.loggamma(x) - (x - mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2


DIGAMMA_ROOT = mp.findroot(mp.digamma, mpf("1.4616"))

FITS = {
    "EXP": Fit(
        "exp(r) = 1 + r + r²·P(r), for |r| ≤ ½·log 2",
        lambda r: (mp.expm1(r) - r) / r**2,
        -HALF_LOG2,
        HALF_LOG2,
        (11, 6),
        lambda r: r**2 / mp.expm1(r),
    ),
    "LOG": Fit(
        "log(1 + f) = f - ½·f² + f³·P(f), for √½ ≤ 1 + f ≤ √2",
        lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3,
        mp.sqrt(mpf(1) / 2) - 1,
        mp.sqrt(2) - 1,
        (20, 9),
        lambda f: f**3 / mp.log1p(f),
    ),
    "SIN": Fit(
        "sin(r) = r + r³·P(r²), for |r| ≤ ¼·π",
        _square(lambda r: (mp.sin(r) - r) / r**3),
        0,
        EIGHTH_TURN**2,
        (6, 3),
        _square(lambda r: r**3 / mp.sin(r)),
    ),
    "COS": Fit(
        "cos(r) = 1 - ½·r² + r⁴·P(r²), for |r| ≤ ¼·π",
        _square(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4),
        0,
        EIGHTH_TURN**2,
        (6, 3),
        _square(lambda r: r**4 / mp.cos(r)),
    ),
    "SINH": Fit(
        "sinh(r) = r + r³·P(r²), for |r| ≤ ½·log 2",
        _square(lambda r: (mp.sinh(r) - r) / r**3),
        0,
        HALF_LOG2**2,
        (5, 3),
        _square(lambda r: r**3 / mp.sinh(r)),
    ),
    "COSH": Fit(
        "cosh(r) = 1 + r²·P(r²), for |r| ≤ ½·log 2",
        _square(lambda r: (mp.cosh(r) - 1) / r**2),
        0,
        HALF_LOG2**2,
        (5, 3),
        _square(lambda r: r**2 / mp.cosh(r)),
    ),
    "LOG2_PARTS": Fit(
        "log2((1 + s)/(1 - s)) = C1·s + C3·s³ + s⁵·P(s²), for √½ ≤ (1 + s)/(1 - s) ≤ √2",
        _square(lambda s: (2 * mp.atanh(s) - 2 * s - 2 * s**3 / 3) / s**5 / mp.log(2)),
        0,
        THIN**2,
        (8, 3),
        _square(lambda s: s**4),
    ),
    "ARCTANH": Fit(
        "arctanh(s) = s + s³·P(s²), for |s| ≤ 0.21",
        _square(lambda s: (mp.atanh(s) - s) / s**3),
        0,
        mpf("0.21") ** 2,
        (8, 4),
        _square(lambda s: s**3 / mp.atanh(s)),
    ),
    "ARCTAN": Fit(
        "arctan(a) = a + a³·P(a²), for |a| ≤ 1",
        _square(lambda a: (mp.atan(a) - a) / a**3),
        0,
        1,
        (21, 9),
        _square(lambda a: a**3 / mp.atan(a)),
    ),
    "ARCSIN": Fit(
        "arcsin(a) = a + a³·P(a²), for |a| ≤ ½",
        _square(lambda a: (mp.asin(a) - a) / a**3),
        0,
        0.25,
        (13, 5),
        _square(lambda a: a**3 / mp.asin(a)),
    ),
    "CBRT": Fit(
        "1/∛m ≈ P(m), for √½ ≤ m ≤ √2",
        lambda m: m ** (-mpf(1) / 3),
        mp.sqrt(mpf(1) / 2),
        mp.sqrt(2),
        (6, 5),
        lambda m: mp.cbrt(m),
    ),
    "ERF": Fit(
        "erf(x) = x + x·P(x²), for |x| ≤ 1",
        _square(lambda x: mp.erf(x) / x - 1),
        0,
        1,
        (12, 7),
        _square(lambda x: x / mp.erf(x)),
    ),
    "ERF_TAIL": Fit(
        "erf(x) = 1 - exp(-P(x - 2)), for 1 ≤ x ≤ 6",
        lambda s: -mp.log(mp.erfc(s + 2)),
        -1,
        4,
        (19, 9),
        lambda s: mp.erfc(s + 2) / mp.erf(s + 2),
    ),
    "ERFC": Fit(
        "erfc(x) = exp(-x²)·(9·exp(16)·erfc(4) + t·P(t))/(1 + 2·x) for ½ ≤ x, t = (x - 4)/(x + 4)",
        lambda t: (_scaled_erfc(t) - _scaled_erfc(mpf(0))) / t,
        (mpf("0.5") - 4) / (mpf("0.5") + 4),
        (mpf(28) - 4) / (mpf(28) + 4),
        (23, 12),
        lambda t: t / _scaled_erfc(t),
    ),
    "GAMMALN": Fit(
        "log Γ(2 + s) = s·P(s), for |s| ≤ ½",
        lambda s: mp.loggamma(2 + s) / s,
        -0.5,
        0.5,
        (19, 9),
        lambda s: s / mp.loggamma(2 + s),
    ),
    "STIRLING": Fit(
        "log Γ(x) = (x - ½)·log(x) - x + ½·log(2·π) + P(1/x²)/x, for x ≥ 8",
        _square(lambda r: _stirling_rest(1 / r) / r),
        mpf(10) ** -20,
        mpf(1) / 64,
        (6, 3),
        _square(lambda r: r / mp.loggamma(1 / r)),
    ),
    "GAMMA": Fit(
        "Γ(2 + s) = 1 + s·P(s), for |s| ≤ ½",
        lambda s: (mp.gamma(2 + s) - 1) / s,
        -0.5,
        0.5,
        (19, 9),
        lambda s: s / mp.gamma(2 + s),
    ),
    "DIGAMMA": Fit(
        "ψ(x) = (x - root)·P(x - 2), for 1 ≤ x ≤ 3",
        lambda s: mp.digamma(s + 2) / (s + 2 - DIGAMMA_ROOT),
        -1,
        1,
        (29, 14),
        lambda s: (s + 2 - DIGAMMA_ROOT) / mp.digamma(s + 2),
    ),
    "DIGAMMA_TAIL": Fit(
        "ψ(x) = log(x) - 1/(2·x) - P(1/x²)/x², for x ≥ 6",
        _square(lambda r: (-mp.log(r) - r / 2 - mp.digamma(1 / r)) / r**2),
        mpf(10) ** -14,
        mpf(1) / 36,
        (8, 4),
        _square(lambda r: r**2),
    ),
}


def printed(name: str) -> str:
    """The coefficients of a fit as Python."""
    lines = [f"\n# {FITS[name].about}", f"{name} = {{"]
    for kind in ("f64", "f32"):
        values, error = rounded(FITS[name], kind)
        texts = [repr(v) if kind == "f64" else str(np.float32(v)) for v in values]
        lines.append(f'    "{kind}": (  # error 2^{mp.nstr(mp.log(error, 2), 4)}')
        inside = textwrap.wrap(", ".join(texts) + ",", 90, break_on_hyphens=False)
        lines += [f"        {line}" for line in inside]
        lines.append("    ),")
    return "\n".join([*lines, "}  # fmt: skip"])


HEAD = '''"""Coefficients of polynomials, from the lowest power on; from scripts/minimax.py."""

from __future__ import annotations
'''

if __name__ == "__main__":
    sys.stdout.write(HEAD)
    for wanted in sys.argv[1:] or FITS:
        sys.stdout.write(printed(wanted) + "\n")
