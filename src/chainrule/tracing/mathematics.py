"""What functions of `math` are where their arguments are traced."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, ShapeError, UnsupportedError
from chainrule.ir.types import type_of
from chainrule.tracing.table import SCIPY_SPECIAL

_UFUNCS = {
    name: getattr(np, name)
    for name in (
        "sin cos tan sinh cosh tanh exp expm1 exp2 log log1p log2 log10 sqrt cbrt hypot fabs "
        "degrees radians isfinite isinf isnan copysign fmod ldexp modf nextafter"
    ).split()
}
_UFUNCS |= {
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2, "pow": np.power,
}  # fmt: skip
_SPECIAL = {"erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "gamma": "gamma"}


def _of_special(name: str) -> Callable[..., Any]:
    return lambda *args: SCIPY_SPECIAL[name](*args)


def _hypot(*legs: Any) -> Any:
    return functools.reduce(np.hypot, legs) if len(legs) > 1 else np.absolute(*legs)


def _log(x: Any, *base: Any) -> Any:
    return np.log(x) if not base else np.log(x) / np.log(base[0])


def _dist(p: Iterable[Any], q: Iterable[Any]) -> Any:
    return _hypot(*[a - b for a, b in _pairs("dist", p, q)], 0.0)


def _fsum(values: Iterable[Any]) -> Any:
    """What every addition loses is added up beside it; its derivative is 0."""
    total: Any = 0.0
    lost: Any = 0.0
    for x in values:
        longer = total + x
        part = longer - total
        lost = lost + np.where(np.isfinite(longer), (total - (longer - part)) + (x - part), 0.0)
        total = longer
    return total + lost


def _sumprod(p: Iterable[Any], q: Iterable[Any]) -> Any:
    return functools.reduce(operator.add, [a * b for a, b in _pairs("sumprod", p, q)], 0)


def _pairs(name: str, p: Iterable[Any], q: Iterable[Any]) -> list[tuple[Any, Any]]:
    left, right = list(p), list(q)
    if len(left) != len(right):
        raise ShapeError(
            f"math.{name}: both must have the same length",
            {"lengths": f"{len(left)} and {len(right)}"},
            "give two sequences of equal length",
        )
    return list(zip(left, right, strict=True))


def _remainder(x: Any, y: Any) -> Any:
    # Twice y, so that what is left of the quotient still tells odd from even.
    rest = np.fmod(x, 2 * y)
    return rest - y * np.rint(rest / y)


def _isclose(a: Any, b: Any, *, rel_tol: float = 1e-9, abs_tol: float = 0.0) -> Any:
    largest = np.maximum(np.absolute(a), np.absolute(b))
    near = np.absolute(a - b) <= np.maximum(rel_tol * largest, abs_tol)
    return np.logical_or(np.equal(a, b), np.logical_and(near, np.isfinite(largest)))


def _ulp(x: Any) -> Any:
    return np.spacing(np.absolute(x))


def _fma(x: Any, y: Any, z: Any) -> Any:
    return x * y + z


def _frexp(x: Any) -> Any:
    raise UnsupportedError(
        "math.frexp can't be traced",
        fix="the exponent is np.floor(np.log2(np.abs(x))) + 1; divide by 2.0 to that power",
    )


_WRITTEN: dict[str, Callable[..., Any]] = {
    "hypot": _hypot, "log": _log, "remainder": _remainder, "isclose": _isclose, "ulp": _ulp,
    "fma": _fma,
}  # fmt: skip
REFUSED: dict[str, Callable[..., Any]] = {"frexp": _frexp}


def real_only(name: str, args: Iterable[Any]) -> None:
    """Raise where an argument is complex: `math` takes real numbers only."""
    for a in args:
        if getattr(a, "dtype", None) is not None and a.dtype.kind == "c":
            raise DtypeError(
                f"math.{name}: complex numbers need NumPy's functions",
                {"given": type_of(a)},
                "use the function of np of that name; or np.real(z), np.abs(z)",
            )


# Functions of numbers, and functions of sequences of them.
OF_NUMBERS: dict[str, Callable[..., Any]] = {
    **_UFUNCS,
    **{name: _of_special(special) for name, special in _SPECIAL.items()},
    **_WRITTEN,
    **REFUSED,
}
OF_NUMBERS = {name: new for name, new in OF_NUMBERS.items() if hasattr(math, name)}
OF_SEQUENCES: dict[str, Callable[..., Any]] = {"fsum": _fsum, "dist": _dist, "sumprod": _sumprod}
OF_SEQUENCES = {name: new for name, new in OF_SEQUENCES.items() if hasattr(math, name)}
