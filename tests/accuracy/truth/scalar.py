"""The true values of the compiler's own functions of one or two numbers."""

from __future__ import annotations

from collections.abc import Callable

from mpmath import mp, mpf


def _erfc(x: mpf) -> mpf:
    if abs(x) > 1000:
        return mpf(0 if x > 0 else 2)
    return mp.erfc(x)


def _gammaln(x: mpf) -> mpf:
    if x > 0:
        return mp.loggamma(x)
    return mp.log(mp.pi / abs(x * mp.sinpi(x))) - mp.loggamma(-x)


def _gamma(x: mpf) -> mpf:
    if abs(x) > 300:
        return mp.inf if x > 0 else mpf(0)
    return mp.gamma(x)


def _fmod(x: mpf, y: mpf) -> mpf:
    # The quotient may have a thousand digits before the point.
    top, bottom = _ratio(x), _ratio(y)
    whole = abs(top[0] * bottom[1]) // abs(bottom[0] * top[1])
    left = abs(top[0]) * bottom[1] - whole * abs(bottom[0]) * top[1]
    return mp.sign(x) * mpf(left) / (top[1] * bottom[1])


def _ratio(x: mpf) -> tuple[int, int]:
    return float(x).as_integer_ratio()


def _remainder(x: mpf, y: mpf) -> mpf:
    left = _fmod(x, y)
    return left if left == 0 or (left < 0) == (y < 0) else left + y


def _power(x: mpf, y: mpf) -> mpf:
    if x < 0:
        return mp.power(-x, y) * (-1 if int(y) % 2 else 1) if y == int(y) else mp.nan
    size = y * mp.log(x)
    if abs(size) > 2000:
        return mp.inf if size > 0 else mpf(0)
    return mp.exp(size)


def _large_exp(function: Callable[[mpf], mpf]) -> Callable[[mpf], mpf]:
    """Not to be asked for numbers of 10^300 digits: beyond 2000 all is settled."""
    return lambda x: function(max(min(x, mpf(2000)), mpf(-2000)))


REFERENCES: dict[str, Callable[..., mpf]] = {
    "exp": _large_exp(mp.exp),
    "exp2": _large_exp(lambda x: mp.power(2, x)),
    "expm1": _large_exp(mp.expm1),
    "log": mp.log,
    "log2": lambda x: mp.log(x) / mp.log(2),
    "log10": lambda x: mp.log(x) / mp.log(10),
    "log1p": mp.log1p,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "sinh": _large_exp(mp.sinh),
    "cosh": _large_exp(mp.cosh),
    "tanh": _large_exp(mp.tanh),
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "arctan2": mp.atan2,
    "arcsinh": mp.asinh,
    "arccosh": mp.acosh,
    "arctanh": mp.atanh,
    "power": _power,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "hypot": mp.hypot,
    "xlogy": lambda x, y: x * mp.log(y) if x else mpf(0),
    "xlog1py": lambda x, y: x * mp.log1p(y) if x else mpf(0),
    "expit": _large_exp(lambda x: 1 / (1 + mp.exp(-x))),
    "softplus": lambda x: x if x > 2000 else mp.log1p(mp.exp(max(x, mpf(-2000)))),
    "log_expit": lambda x: x if x < -2000 else -mp.log1p(mp.exp(-min(x, mpf(2000)))),
    "logaddexp": lambda x, y: max(x, y) + mp.log1p(mp.exp(max(-abs(x - y), mpf(-2000)))),
    "erf": lambda x: mp.erf(x) if abs(x) < 1000 else mp.sign(x),
    "erfc": _erfc,
    "ndtr": lambda x: _erfc(-x / mp.sqrt(2)) / 2,
    "gammaln": _gammaln,
    "gamma": _gamma,
    "digamma": mp.digamma,
    "fmod": _fmod,
    "remainder": _remainder,
    "floor_divide": lambda x, y: mp.floor(x / y),
}


def scale(name: str, arguments: tuple[mpf, ...], result: mpf) -> mpf:
    """What an error is measured by: the result, or what it is a difference of.

    Sums of logarithms, and the other side of a reflection, cancel near zeros that no float hits.
    """
    if name == "logaddexp":
        larger = max(arguments)
        return max(abs(result), abs(larger), abs(result - larger))
    if name == "gammaln" and arguments[0] < 0:
        return max(abs(result), mpf(1) / 2)
    if name == "digamma" and arguments[0] < 0:
        other = mp.digamma(1 - arguments[0])
        return max(abs(result), abs(other), abs(result - other))
    return result
