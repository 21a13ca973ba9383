"""Operations on numbers, entry by entry: Python's operators, NumPy's functions, SciPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.show.source.piece import (
    ADD,
    AND,
    COMPARE,
    MULTIPLY,
    OR,
    POWER,
    SHIFT,
    SIGN,
    XOR,
    Piece,
)
from chainrule.show.source.python.literal import dtype, literal, number
from chainrule.show.source.writer import Rule, Site


def _infix(sign: str, level: int, right: int | None = None, left: int | None = None) -> Rule:
    """a sign b, brackets around what holds less."""

    def rule(site: Site, a: Piece, b: Piece) -> Piece:
        first = a.within(level if left is None else left)
        second = b.within(level + 1 if right is None else right)
        return Piece(f"{first} {sign} {second}", level)

    return rule


def _add(site: Site, a: Piece, b: Piece) -> Piece:
    """a + b, and a - c where b is -c: the same number."""
    signed = b.level == SIGN or (b.level == MULTIPLY and _is_product(b))
    if signed and b.text.startswith("-") and site.kind(1).dtype.kind in "fc":
        return Piece(f"{a.within(ADD)} - {b.text[1:]}", ADD)
    return Piece(f"{a.within(ADD)} + {b.within(ADD + 1)}", ADD)


def _negative(site: Site, x: Piece) -> Piece:
    """-x; -(a * b) is (-a) * b to the last bit, so that it needs no brackets."""
    if x.level == MULTIPLY and _is_product(x) and not x.text.startswith("-"):
        return Piece(f"-{x.text}", MULTIPLY)
    return Piece(f"-{x.within(SIGN + 1)}", SIGN)


def _is_product(x: Piece) -> bool:
    """Whether a sign may go from the first factor to the whole; it may not with // and %."""
    return " // " not in x.text and " % " not in x.text


def _power(site: Site, x: Piece, n: Piece | None = None) -> Piece:
    """x**n; of two of Python's own numbers NumPy gives NaN where Python gives a complex number."""
    if n is None:
        exponent = site.params["n"]
        n = literal(exponent)
        whole = float(np.real(exponent)).is_integer()
    else:
        whole = site.kind(1).dtype.kind in "iu"
    if all(kind.weak for kind in site.types) and not whole:
        return call("np.power", x, n)
    if site.kind(0).dtype.kind in "iu" and site.out.dtype.kind in "iu":
        return call("np.power", x, n)
    return Piece(f"{x.within(POWER + 1)}**{n.within(POWER)}", POWER)


def call(function: str, *pieces: Piece, **named: str) -> Piece:
    """function(…, …, name=…)."""
    arguments = [piece.text for piece in pieces]
    arguments += [f"{name}={text}" for name, text in named.items()]
    return Piece(f"{function}({', '.join(arguments)})")


def _calls(function: str) -> Rule:
    return lambda site, *xs: call(function, *xs)


def _ordered(function: str) -> Rule:
    """Functions of scipy.special that take their order first, and may give another dtype."""

    def rule(site: Site, x: Piece) -> Piece:
        made = call(function, Piece(number(site.params["order"])), x)
        if site.out.dtype == np.dtype("f8"):
            return made
        return Piece(f"np.asarray({made.text}).astype({dtype(site.out.dtype)})[()]")

    return rule


def _isclose(site: Site, a: Piece, b: Piece) -> Piece:
    given = {"rtol": 1e-5, "atol": 1e-8, "equal_nan": False}
    named = {k: number(v) for k, v in site.params.items() if given.get(k) != v}
    return call("np.isclose", a, b, **named)


def _round(site: Site, x: Piece) -> Piece:
    return call("np.round", x, Piece(number(site.params["decimals"])))


def _astype(site: Site, x: Piece) -> Piece:
    kind = dtype(site.params["dtype"])
    if site.kind(0).weak or not site.kind(0).shape:
        return Piece(f"np.asarray({x.text}).astype({kind})[()]")
    return Piece(f"{x.within(POWER + 1)}.astype({kind})")


def _copy(site: Site, x: Piece) -> Piece:
    """A copy that only keeps apart one of Python's numbers and one of NumPy's."""
    if site.out.weak or (site.plain and not site.out.shape):
        return x
    order = site.params["order"]
    more = {} if order == "K" else {"order": repr(order)}
    made = call("np.array", x, **more)
    return made if site.out.shape else Piece(f"{made.text}[()]")


def _gap(site: Site, x: Piece, y: Piece) -> Piece:
    """x - y, but 0 where both are the same infinity."""
    return Piece(f"np.where({x.text} == {y.text}, 0.0, {x.text} - {y.within(ADD + 1)})")


def _placed(site: Site, x: Piece, loc: Piece, scale: Piece) -> Piece:
    product = f"{scale.within(MULTIPLY)} * {x.within(MULTIPLY + 1)}"
    return Piece(f"{loc.within(ADD)} + {product}", ADD)


def _sinc(site: Site, x: Piece) -> Piece:
    order = site.params["order"]
    if not order:
        return call("np.sinc", x)
    return call("sinc_derivative", x, Piece(number(order)))


def _itself(site: Site, x: Piece) -> Piece:
    return x


_UFUNCS = (
    "reciprocal square sqrt cbrt hypot exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 "
    "sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh deg2rad "
    "radians rad2deg degrees floor ceil trunc rint sign fabs copysign heaviside nextafter spacing "
    "fmod maximum minimum fmax fmin logical_and logical_or logical_xor logical_not isfinite isinf "
    "isnan signbit isposinf isneginf iscomplex isreal real imag angle"
).split()
_SPECIAL = (
    "expit logit log_expit erf erfc erfcx erfinv erfcinv ndtr log_ndtr ndtri gammaln gamma rgamma "
    "beta betaln xlogy xlog1py entr rel_entr kl_div"
).split()
_COMPARED = {
    "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==",
    "not_equal": "!=",
}  # fmt: skip

EXPRESSIONS: dict[str, Callable[..., Any]] = {
    **{name: _calls(f"np.{name}") for name in _UFUNCS},
    **{name: _calls(f"special.{name}") for name in _SPECIAL},
    **{name: _infix(sign, COMPARE, left=COMPARE + 1) for name, sign in _COMPARED.items()},
    "add": _add,
    "subtract": _infix("-", ADD),
    "multiply": _infix("*", MULTIPLY),
    "divide": _infix("/", MULTIPLY),
    "floor_divide": _infix("//", MULTIPLY),
    "remainder": _infix("%", MULTIPLY),
    "negative": _negative,
    "positive": _calls("np.positive"),
    "power": _power,
    "constant_power": _power,
    "absolute": _calls("np.abs"),
    "modulus": _calls("np.abs"),
    "deviation": _calls("np.sqrt"),
    "conjugate": _calls("np.conj"),
    "bitwise_and": _infix("&", AND),
    "bitwise_or": _infix("|", OR),
    "bitwise_xor": _infix("^", XOR),
    "left_shift": _infix("<<", SHIFT),
    "right_shift": _infix(">>", SHIFT),
    "invert": _calls("np.invert"),
    "isclose": _isclose,
    "digamma": _calls("special.digamma"),
    "polygamma": _ordered("special.polygamma"),
    "jv": _ordered("special.jv"),
    "iv": _ordered("special.iv"),
    "sinc": _sinc,
    "gap": _gap,
    "round": _round,
    "astype": _astype,
    "truncate": _astype,
    "copy": _copy,
    "stop_gradient": _itself,
    "unseen": _itself,
    "without_nan": _itself,
    "random_placed": _placed,
    "select": _calls("np.where"),
    "withhold": lambda site, x, used: call("np.where", used, x, Piece("0")),
}
