"""Special functions: scipy.special's ufuncs, each one known by its name until SciPy is loaded."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, UnsupportedError
from chainrule.ir.bound import Bound, Own, Ulps
from chainrule.ir.primitive import Case, Draw, Irregular, Partials, Primitive, Rule, Scalar
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import float_loops
from chainrule.ops.family import binary, each, elementwise_batch, elementwise_type, primitive, unary
from chainrule.tracing.table import TABLE, implements, implements_special
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer

_ROOT_PI = math.sqrt(math.pi)
_ROOT_2PI = math.sqrt(2 * math.pi)


def scipys(name: str) -> Any:
    """scipy.special's function of this name; SciPy is imported when it is first asked for."""
    import scipy.special

    return getattr(scipy.special, name)


def _function(
    name: str,
    *partials: Rule | float,
    symbolic: Callable[..., Any] | None,
    cases: tuple[Case, ...],
    irregular: tuple[Irregular, ...] = (),
    also: tuple[str, ...] = (),
    own: Own | None = None,
    lower: Scalar | None = None,
    bound: Bound | None = None,
) -> Primitive:
    """A ufunc of scipy.special, by its partial derivatives; `own`: the compiler has it too."""
    if own is not None:
        lower, bound = Scalar(lambda s, *xs: s.call(own.function, *xs)), own
    op = primitive(
        name=name,
        type_rule=lambda *types: elementwise_type(scipys(name))(*types),
        value=lambda *xs: scipys(name)(*xs),
        derivative=Partials(*partials),
        batch=elementwise_batch,
        symbolic=None if symbolic is None else each(symbolic),
        lower=lower,
        bound=bound,
        cases=cases,
        irregular=irregular,
    )
    implements_special(name, *also)(functools.partial(apply, op))
    return op


def _outside(reason: str) -> tuple[Irregular, ...]:
    return (
        Irregular("domain", lambda y, *xs: np.isnan(y), reason),
        Irregular("infinite", lambda y, *xs: np.isinf(y), "the function itself is infinite here"),
    )


# ---- logistic ------------------------------------------------------------------------------------

expit = _function(
    "expit",
    lambda y, x: y * (1 - y),
    symbolic=lambda S, x: 1 / (1 + S.exp(-x)),
    own=Own("expit"),
    cases=unary(dtypes="df"),
)

logit = _function(
    "logit",
    lambda y, x: np.divide(1.0, x * (1 - x)),
    symbolic=lambda S, x: S.log(x / (1 - x)),
    lower=Scalar(float_loops.logit),
    bound=Ulps(3, 3),
    cases=unary(0.1, 0.9, dtypes="df"),
    irregular=_outside("logit outside [0, 1]"),
)

log_expit = _function(
    "log_expit",
    lambda y, x: apply(expit, -x),
    symbolic=lambda S, x: -S.log(1 + S.exp(-x)),
    own=Own("log_expit"),
    cases=unary(dtypes="df"),
)


# ---- error function ------------------------------------------------------------------------------

erf = _function(
    "erf",
    lambda y, x: np.exp(-x * x) * (2 / _ROOT_PI),
    symbolic=lambda S, x: S.erf(x),
    own=Own("erf"),
    cases=unary(dtypes="dfD"),
)

erfc = _function(
    "erfc",
    lambda y, x: np.exp(-x * x) * (-2 / _ROOT_PI),
    symbolic=lambda S, x: S.erfc(x),
    own=Own("erfc"),
    cases=unary(dtypes="dfD"),
)

erfcx = _function(
    "erfcx",
    lambda y, x: 2 * x * y - 2 / _ROOT_PI,
    symbolic=lambda S, x: S.exp(x**2) * S.erfc(x),
    cases=unary(dtypes="df"),
)

erfinv = _function(
    "erfinv",
    lambda y, x: np.exp(y * y) * (_ROOT_PI / 2),
    symbolic=lambda S, x: S.erfinv(x),
    cases=unary(-0.9, 0.9, dtypes="df"),
    irregular=_outside("erfinv outside [−1, 1]"),
)

erfcinv = _function(
    "erfcinv",
    lambda y, x: np.exp(y * y) * (-_ROOT_PI / 2),
    symbolic=lambda S, x: S.erfinv(1 - x),
    cases=unary(0.1, 1.9, dtypes="df"),
    irregular=_outside("erfcinv outside [0, 2]"),
)

ndtr = _function(
    "ndtr",
    lambda y, x: np.exp(-x * x / 2) / _ROOT_2PI,
    symbolic=lambda S, x: (1 + S.erf(x / S.sqrt(2))) / 2,
    own=Own("ndtr"),
    cases=unary(dtypes="df"),
)

log_ndtr = _function(
    "log_ndtr",
    # Density over distribution; one exponential of the difference of their logarithms.
    lambda y, x: np.exp(-x * x / 2 - y) / _ROOT_2PI,
    symbolic=lambda S, x: S.log((1 + S.erf(x / S.sqrt(2))) / 2),
    cases=unary(dtypes="df"),
)

ndtri = _function(
    "ndtri",
    lambda y, x: np.exp(y * y / 2) * _ROOT_2PI,
    symbolic=lambda S, x: S.sqrt(2) * S.erfinv(2 * x - 1),
    cases=unary(0.1, 0.9, dtypes="df"),
    irregular=_outside("ndtri outside [0, 1]"),
)


# ---- gamma ---------------------------------------------------------------------------------------


def _poles(reason: str) -> tuple[Irregular, ...]:
    return (
        Irregular(
            "domain",
            lambda y, x, **_: np.logical_and(np.less_equal(x, 0), np.equal(x, np.floor(x))),
            reason,
        ),
    )


def _polygamma_value(x: Any, order: int) -> Any:
    return np.asarray(scipys("polygamma")(order, x)).astype(_float_type(np.asarray(x).dtype))[()]


def _polygamma_type(x: ArrayType, order: int) -> ArrayType:
    if x.dtype.kind == "c":
        raise DtypeError(
            "polygamma: complex numbers aren't supported (it is the derivative of digamma, gamma)",
            {"operand": x, "order": order},
            "take np.real(x); or give the derivative with cr.custom_jvp",
        )
    return ArrayType(x.shape, _float_type(x.dtype))


def _float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind in "fc" else np.dtype(float)


polygamma: Primitive = primitive(
    name="polygamma",
    type_rule=_polygamma_type,
    value=_polygamma_value,
    derivative=Partials(lambda y, x, order: apply(polygamma, x, order=order + 1)),
    batch=elementwise_batch,
    symbolic=each(lambda S, x, *, order: S.polygamma(order, x)),
    lower=None,
    cases=(
        *unary(0.5, 3.0, dtypes="df", params={"order": 1}),
        *unary(0.5, 3.0, params={"order": 2})[:2],
    ),
    irregular=_poles("a pole at 0, −1, −2 …"),
)


@implements_special("polygamma")
def _polygamma(n: Any, x: Any) -> Any:
    order = n.item() if isinstance(n, (np.generic, np.ndarray)) else n
    if isinstance(order, Tracer) or order != int(order):
        raise UnsupportedError(
            "polygamma: the order must be a whole number that isn't traced",
            {"order": n},
            fix="give a plain integer: polygamma(1, x)",
        )
    return digamma_of(x) if order == 0 else apply(polygamma, TABLE["operand"](x), order=int(order))


digamma = _function(
    "digamma",
    lambda y, x: apply(polygamma, x, order=1),
    symbolic=lambda S, x: S.digamma(x),
    own=Own("digamma", of="the result, below 0 of its terms"),
    cases=unary(0.5, 3.0, dtypes="df"),
    irregular=_poles("a pole at 0, −1, −2 …"),
    also=("psi",),
)


def digamma_of(x: Any) -> Any:
    return apply(digamma, TABLE["operand"](x))


gammaln = _function(
    "gammaln",
    lambda y, x: apply(digamma, x),
    # log|Γ|: for SymPy the logarithm of a number that may be negative.
    symbolic=lambda S, x: S.log(S.Abs(S.gamma(x))) if x.is_negative else S.loggamma(x),
    own=Own("gammaln", of="the result, below 0 of its terms"),
    cases=(*unary(0.5, 3.0, dtypes="df"), *unary(-1.8, -1.2)[1:2]),
    irregular=_poles("a pole at 0, −1, −2 …"),
)

gamma = _function(
    "gamma",
    lambda y, x: y * apply(digamma, x),
    symbolic=lambda S, x: S.gamma(x),
    own=Own("gamma"),
    cases=(*unary(0.5, 3.0, dtypes="df"), *unary(-1.8, -1.2)[1:2]),
    irregular=_poles("a pole at 0, −1, −2 …"),
)

rgamma = _function(
    "rgamma",
    lambda y, x: -y * apply(digamma, x),
    symbolic=lambda S, x: 1 / S.gamma(x),
    cases=unary(0.5, 3.0, dtypes="df"),
)

beta = _function(
    "beta",
    lambda z, x, y: z * (apply(digamma, x) - apply(digamma, x + y)),
    lambda z, x, y: z * (apply(digamma, y) - apply(digamma, x + y)),
    symbolic=lambda S, x, y: S.gamma(x) * S.gamma(y) / S.gamma(x + y),
    cases=binary((0.5, 3.0), (0.5, 3.0), "df"),
)

betaln = _function(
    "betaln",
    lambda z, x, y: apply(digamma, x) - apply(digamma, x + y),
    lambda z, x, y: apply(digamma, y) - apply(digamma, x + y),
    symbolic=lambda S, x, y: S.loggamma(x) + S.loggamma(y) - S.loggamma(x + y),
    cases=binary((0.5, 3.0), (0.5, 3.0), "df"),
)


# ---- x·log y, with 0·log 0 = 0 -------------------------------------------------------------------


def _ratio(x: Any, y: Any) -> Any:
    """x/y, and 0 where both are 0."""
    none = np.logical_and(np.equal(x, 0), np.equal(y, 0))
    return np.where(none, 0, np.divide(x, np.where(none, 1, y)))


_POSITIVE = ((0.2, 2.0), (0.2, 2.0), "df")
_LOG_OF_ZERO = (
    Irregular("infinite", lambda z, x, y: np.equal(y, 0), "the logarithm falls to −∞ at 0"),
    _outside("the logarithm of a negative number")[0],
)

xlogy = _function(
    "xlogy",
    lambda z, x, y: np.log(y),
    lambda z, x, y: _ratio(x, y),
    symbolic=lambda S, x, y: S.Piecewise(
        (S.Integer(0), S.Eq(x, 0) & S.Eq(y, 0)), (x * S.log(y), True)
    ),
    own=Own("xlogy"),
    cases=(*binary(*_POSITIVE), Case((np.zeros(3), Draw((3,), 0.2, 2.0)), note="zero")),
    irregular=_LOG_OF_ZERO,
)

xlog1py = _function(
    "xlog1py",
    lambda z, x, y: np.log1p(y),
    lambda z, x, y: _ratio(x, y + 1),
    symbolic=lambda S, x, y: S.Piecewise(
        (S.Integer(0), S.Eq(x, 0) & S.Eq(y, -1)), (x * S.log(1 + y), True)
    ),
    own=Own("xlog1py"),
    cases=(*binary(*_POSITIVE), Case((np.zeros(3), Draw((3,), 0.2, 2.0)), note="zero")),
)

entr = _function(
    "entr",
    lambda y, x: -1 - np.log(x),
    symbolic=lambda S, x: S.Piecewise((-x * S.log(x), x > 0), (0, S.Eq(x, 0)), (-S.oo, True)),
    lower=Scalar(float_loops.entr),
    bound=Ulps(2, 2),
    cases=unary(0.2, 2.0, dtypes="df"),
    irregular=(
        Irregular("infinite", lambda y, x: np.equal(x, 0), "the entropy is vertical at 0"),
        Irregular("domain", lambda y, x: np.less(x, 0), "the entropy of a negative number"),
    ),
)

rel_entr = _function(
    "rel_entr",
    lambda z, x, y: np.log(np.divide(x, y)) + 1,
    lambda z, x, y: -_ratio(x, y),
    symbolic=lambda S, x, y: x * S.log(x / y),
    lower=Scalar(float_loops.rel_entr),
    bound=Ulps(4, 4),
    cases=binary(*_POSITIVE),
    irregular=(
        Irregular("infinite", lambda z, x, y: np.equal(x, 0), "vertical at 0"),
        Irregular("domain", lambda z, x, y: np.isinf(z), "a negative number"),
    ),
)

kl_div = _function(
    "kl_div",
    lambda z, x, y: np.log(np.divide(x, y)),
    lambda z, x, y: 1 - _ratio(x, y),
    symbolic=lambda S, x, y: x * S.log(x / y) - x + y,
    lower=Scalar(float_loops.kl_div),
    bound=Ulps(4, 4, of="the largest term"),
    cases=binary(*_POSITIVE),
    irregular=rel_entr.irregular,
)


# ---- Bessel functions of whole order -------------------------------------------------------------


def _bessel(name: str, symbol: str, sign: int) -> Primitive:
    """Jₙ (sign −1) or Iₙ (sign 1): 2·f′ₙ = fₙ₋₁ + sign·fₙ₊₁, right at 0 for every order."""

    def value(x: Any, order: int) -> Any:
        return np.asarray(scipys(name)(order, x)).astype(_float_type(np.asarray(x).dtype))[()]

    def slope(y: Any, x: Any, order: int) -> Any:
        if order == 0:
            return apply(op, x, order=1) * float(sign)
        below = apply(op, x, order=order - 1)
        return (below + sign * apply(op, x, order=order + 1)) * 0.5

    op = primitive(
        name=name,
        type_rule=lambda x, order: ArrayType(x.shape, _float_type(x.dtype)),
        value=value,
        derivative=Partials(slope),
        batch=elementwise_batch,
        symbolic=each(lambda S, x, *, order: getattr(S, symbol)(order, x)),
        lower=None,
        cases=(
            *unary(dtypes="df", params={"order": 0}),
            *unary(params={"order": 1})[:2],
            *unary(params={"order": 3})[:2],
            Case((np.zeros(2),), {"order": 1}, "at zero"),
        ),
    )
    return op


bessel_j = _bessel("jv", "besselj", -1)
bessel_i = _bessel("iv", "besseli", 1)


def _fixed(op: Primitive, order: int) -> Callable[[Any], Any]:
    return lambda x, /: apply(op, TABLE["operand"](x), order=order)


for _op, _name in ((bessel_j, "j"), (bessel_i, "i")):
    for _order in (0, 1):
        implements_special(f"{_name}{_order}")(_fixed(_op, _order))


@implements(np.i0, lists=True)
def _i0(x: Any) -> Any:
    x = TABLE["operand"](x)
    if np.result_type(x).kind == "c":
        raise DtypeError(
            "i0: no such operation for complex numbers",
            {"array": type_of(x)},
            "use scipy.special.iv(0, x)",
        )
    return apply(bessel_i, x, order=0)


def _of_order(op: Primitive, name: str) -> Callable[[Any, Any], Any]:
    def handler(v: Any, z: Any, /) -> Any:
        order = v.item() if isinstance(v, (np.generic, np.ndarray)) and v.size == 1 else v
        if not isinstance(order, (int, float)) or order != int(order) or order < 0:
            raise UnsupportedError(
                f"{name}: only a whole order ≥ 0 that isn't traced can be differentiated",
                {"order": v},
                fix="give a plain integer, such as 0 or 1; other orders work on plain numbers only",
            )
        return apply(op, TABLE["operand"](z), order=int(order))

    return handler


implements_special("jv", "jn")(_of_order(bessel_j, "jv"))
implements_special("iv")(_of_order(bessel_i, "iv"))
