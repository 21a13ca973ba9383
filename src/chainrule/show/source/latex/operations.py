"""How each operation is written as mathematics, entry by entry or as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.ops.index_plan import Spot
from chainrule.show.source.latex.symbol import applied, number, operator, within
from chainrule.show.source.piece import (
    ADD,
    AND,
    ATOM,
    COMPARE,
    MULTIPLY,
    OR,
    POWER,
    SIGN,
    Piece,
)
from chainrule.show.source.writer import Rule, Site

_INDICES = "ijklmnpqrs"
_COLUMN = re.compile(r"\\begin{pmatrix} ([^&]*) \\end{pmatrix}")


# ---- arithmetic ----------------------------------------------------------------------------------


def _add(site: Site, a: Piece, b: Piece) -> Piece:
    if b.text.startswith("-") and b.level in (SIGN, MULTIPLY):
        return Piece(f"{within(a, ADD)} - {b.text[1:]}", ADD)
    return Piece(f"{within(a, ADD)} + {within(b, ADD + 1)}", ADD)


def _subtract(site: Site, a: Piece, b: Piece) -> Piece:
    return Piece(f"{within(a, ADD)} - {within(b, ADD + 1)}", ADD)


def _multiply(site: Site, a: Piece, b: Piece) -> Piece:
    """Side by side; a dot between numbers, a circled one between arrays; a column times a row."""
    left, right = site.types[0].shape, site.types[1].shape
    for one, other, shape in ((a, b, right), (b, a, left)):
        if one.text == "1" and shape == site.out.shape:
            return Piece(within(other, ATOM)) if other.level <= COMPARE else other
        if one.text == "-1" and shape == site.out.shape:
            return _negative(site, other)
    if len(left) == 2 and left[1] == 1 and len(right) == 1 and right[0] > 1:
        return Piece(rf"{_factor(a)}\, {within(b, ATOM)}^{{\top}}", MULTIPLY)
    if left and right:
        return Piece(rf"{_first(a)} \odot {_second(b)}", MULTIPLY)
    if b.text[0].isdigit() and not a.text[0].isdigit():
        a, b = b, a  # the number comes first
    second = _second(b)
    joint = r"\cdot " if second[0].isdigit() else r"\, "
    return Piece(f"{_first(a)} {joint}{second}", MULTIPLY)


def _first(x: Piece) -> str:
    """A factor that others follow: what they'd seem to belong to is in brackets."""
    applied_to = x.level == SIGN and x.text.startswith("\\")
    return within(x, ATOM if applied_to else MULTIPLY)


def _second(x: Piece) -> str:
    return within(x, ATOM if x.text.startswith("-") else MULTIPLY)


def _factor(x: Piece) -> str:
    """A factor of a product of matrices."""
    loose = x.text.startswith("-") or r"\odot" in x.text or r"\frac" in x.text
    return within(x, POWER if loose and x.level <= MULTIPLY else MULTIPLY)


def _divide(site: Site, a: Piece, b: Piece) -> Piece:
    if a.level in (SIGN, MULTIPLY) and a.text.startswith("-"):
        return Piece(rf"-\frac{{{a.text[1:]}}}{{{b.text}}}", SIGN)
    return Piece(rf"\frac{{{a.text}}}{{{b.text}}}", POWER)


def _negative(site: Site, x: Piece) -> Piece:
    product = x.level == MULTIPLY or x.text.startswith(r"\sum")
    if product and not x.text.startswith("-"):
        return Piece(f"-{x.text}", MULTIPLY)
    return Piece(f"-{within(x, SIGN if x.text.startswith(chr(92)) else SIGN + 1)}", SIGN)


def raised(x: Piece, exponent: str) -> Piece:
    """x to a power; e^x and fractions in brackets."""
    return Piece(f"{within(x, ATOM)}^{{{exponent}}}", POWER)


def _power(site: Site, x: Piece, n: Piece | None = None) -> Piece:
    return raised(x, number(site.params["n"]) if n is None else n.text)


def _exp(site: Site, x: Piece) -> Piece:
    if r"\begin" in x.text or x.text.count(r"\frac") > 1:
        return applied(r"\exp", x)
    return Piece(f"e^{{{x.text}}}", POWER)


def _shape(template: str, level: int = ATOM) -> Rule:
    """A form with places for its operands, which it holds together itself: \\sqrt{{{0}}}."""
    return lambda site, *xs: Piece(template.format(*(x.text for x in xs)), level)


def _function(name: str) -> Rule:
    return lambda site, *xs: applied(name, *xs)


def _infix(sign: str, level: int) -> Rule:
    def rule(site: Site, a: Piece, b: Piece) -> Piece:
        return Piece(f"{within(a, level + 1)} {sign} {within(b, level + 1)}", level)

    return rule


def _logarithm_of(name: str) -> Rule:
    return lambda site, x: Piece(rf"\ln {applied(name, x).text}", MULTIPLY)


def _ordered(template: str) -> Rule:
    return lambda site, x: applied(template.format(site.params["order"]), x)


def _select(site: Site, c: Piece, x: Piece, y: Piece) -> Piece:
    first, second = within(x, COMPARE + 1), within(y, COMPARE + 1)
    rows = rf"{first} & \text{{if }} {c.text} \\ {second} & \text{{otherwise}}"
    return Piece(rf"\begin{{cases}} {rows} \end{{cases}}", LOOSEST)


LOOSEST = ADD  # what stands in cases needs brackets wherever it's multiplied


def _sinc(site: Site, x: Piece) -> Piece:
    order = site.params["order"]
    return applied(operator("sinc") + (f"^{{({order})}}" if order else ""), x)


def _itself(site: Site, x: Piece, *_: Piece) -> Piece:
    return x._replace(deferred=None)


def _log_product(name: str) -> Rule:
    return lambda site, x, y: Piece(rf"{within(x, MULTIPLY)}\, {applied(name, y).text}", MULTIPLY)


# ---- reductions ----------------------------------------------------------------------------------


def _over(command: str, level: int = SIGN) -> Rule:
    """\\sum_{i} x_{i}, and \\sum_{i} x_{i,:} where other axes stay."""

    def rule(site: Site, x: Piece) -> Piece:
        along, rank = site.params["axis"], site.kind(0).ndim
        along = along if isinstance(along, tuple) else (along,)
        if not along or not rank:
            return x._replace(deferred=None)
        letters = iter(_INDICES)
        entry = [next(letters) if k in along else ":" for k in range(rank)]
        bound = ",".join(letter for letter in entry if letter != ":")
        return Piece(rf"{command}_{{{bound}}} {indexed(x, ','.join(entry))}", level)

    return rule


def indexed(x: Piece, index: str) -> str:
    """x_{i}, in brackets if x is more than a symbol."""
    bare = x.level == ATOM and not x.text.startswith(r"\begin") and "_{" not in x.text
    base = x.text if bare else rf"\left({x.text}\right)"
    return f"{base}_{{{index}}}"


def _length(site: Site, x: Piece) -> Piece:
    return Piece(rf"\left\Vert {x.text} \right\Vert")


# ---- arrangement ---------------------------------------------------------------------------------


def index_text(index: Sequence[Any], arrays: Sequence[Piece]) -> str:
    """An index as a subscript."""
    return ",".join(_entry(entry, arrays) for entry in index) or ":"


def _entry(entry: Any, arrays: Sequence[Piece]) -> str:
    if type(entry) is Spot:
        rows = _COLUMN.fullmatch(arrays[entry.number].text)
        return rf"({rows[1]})".replace(r" \\ ", ",") if rows else arrays[entry.number].text
    if isinstance(entry, slice):
        ends = ["" if part is None else str(part) for part in (entry.start, entry.stop)]
        return ":".join(ends + ([] if entry.step is None else [str(entry.step)]))
    return r"\dots" if entry is Ellipsis else r"\cdot" if entry is None else str(int(entry))


def _getitem(site: Site, x: Piece, *arrays: Piece) -> Piece:
    index = site.params["index"]
    if all(entry is None or entry is Ellipsis or entry == slice(None) for entry in index):
        return x._replace(deferred=None)  # only new axes, along which it's repeated
    return Piece(indexed(x, index_text(index, arrays)), cheap=x.cheap and not arrays)


def _transpose(site: Site, x: Piece) -> Piece:
    return Piece(f"{within(x, ATOM)}^{{\\top}}", POWER, cheap=x.cheap)


def _reshape(site: Site, x: Piece) -> Piece:
    to = site.params["shape"]
    if not to or [n for n in to if n != 1] == [n for n in site.kind(0).shape if n != 1]:
        return x._replace(deferred=None)
    sizes = r" \times ".join(map(str, to))
    return Piece(rf"{operator('reshape')}_{{{sizes}}}\left({x.text}\right)")


def _stack(site: Site, *xs: Piece) -> Piece:
    scalars = site.out.ndim == 1
    joint = r" \\ " if scalars or not site.params["axis"] else " & "
    return Piece(rf"\begin{{pmatrix}} {joint.join(x.text for x in xs)} \end{{pmatrix}}")


def _concatenate(site: Site, *xs: Piece) -> Piece:
    rows = r";\, ".join(x.text for x in xs)
    return Piece(rf"\left[{rows}\right]")


def _matmul(site: Site, a: Piece, b: Piece) -> Piece:
    if site.kind(0).ndim == site.kind(1).ndim == 1:
        return Piece(rf"{within(a, ATOM)}^{{\top}} {within(b, MULTIPLY + 1)}", MULTIPLY)
    return Piece(rf"{_factor(a)}\, {_factor(b)}", MULTIPLY)


def _solve(site: Site, a: Piece, b: Piece) -> Piece:
    return Piece(rf"{within(a, ATOM)}^{{-1}}\, {within(b, MULTIPLY + 1)}", MULTIPLY)


def _einsum(site: Site, *xs: Piece) -> Piece:
    subscripts = str(site.params["subscripts"]).replace("->", r" \to ").replace("...", r"\dots ")
    return applied(rf"{operator('einsum')}_{{{subscripts}}}", *xs)


def _convolution(site: Site, x: Piece, kernel: Piece) -> Piece:
    return Piece(rf"{within(x, MULTIPLY)} \ast {within(kernel, MULTIPLY + 1)}", MULTIPLY)


_COMMANDS = "sin cos tan sinh cosh tanh arcsin arccos arctan".split()
_NAMED = (
    "cbrt arcsinh arccosh arctanh arctan2 sinc trunc rint sign copysign heaviside nextafter "
    "spacing fmod round isfinite isinf isnan signbit isposinf isneginf iscomplex isreal isclose "
    "angle logit erf erfc erfcx erfinv erfcinv ndtr ndtri log_ndtr rgamma betaln entr rel_entr "
    "kl_div real imag diagonal strided sort argsort argpartition searchsorted share_runs cumsum "
    "cumprod argmax argmin pinv cholesky qr eigh svd slogdet cofactor fourier rfft irfft windows "
    "windows_sum window_max convolution_kernel shift random_key random_bits random_normal "
    "random_exponential random_truncated_normal random_integers random_permutation random_subset"
).split()
_WORDS = {"sign": "sgn", "real": "Re", "imag": "Im", "shift": "max", "ndtr": r"\Phi"}

EXPRESSIONS: dict[str, Callable[..., Any]] = {
    **{name: _function(operator(_WORDS.get(name, name).replace("_", " "))) for name in _NAMED},
    **{name: _function(f"\\{name}") for name in _COMMANDS},
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "positive": _itself,
    "reciprocal": _shape(r"\frac{{1}}{{{0}}}", POWER),
    "square": lambda site, x: raised(x, "2"),
    "sqrt": _shape(r"\sqrt{{{0}}}"),
    "deviation": _shape(r"\sqrt{{{0}}}"),
    "cbrt": _shape(r"\sqrt[3]{{{0}}}"),
    "hypot": lambda site, x, y: Piece(rf"\sqrt{{{raised(x, '2').text} + {raised(y, '2').text}}}"),
    "power": _power,
    "constant_power": _power,
    "exp": _exp,
    "exp2": _shape("2^{{{0}}}", POWER),
    "expm1": lambda site, x: Piece(f"{_exp(site, x).text} - 1", ADD),
    "log": _function(r"\ln"),
    "log2": _function(r"\log_{2}"),
    "log10": _function(r"\log_{10}"),
    "log1p": lambda site, x: Piece(rf"\ln\left(1 + {within(x, ADD + 1)}\right)", MULTIPLY),
    "log_expit": _logarithm_of(r"\sigma"),
    "logaddexp": lambda site, x, y: Piece(
        rf"\ln\left(e^{{{x.text}}} + e^{{{y.text}}}\right)", MULTIPLY
    ),
    "logaddexp2": lambda site, x, y: Piece(
        rf"\log_{{2}}\left(2^{{{x.text}}} + 2^{{{y.text}}}\right)", MULTIPLY
    ),
    "gap": _subtract,
    "deg2rad": lambda site, x: Piece(rf"\frac{{\pi}}{{180}}\, {within(x, MULTIPLY + 1)}", MULTIPLY),
    "radians": lambda site, x: Piece(rf"\frac{{\pi}}{{180}}\, {within(x, MULTIPLY + 1)}", MULTIPLY),
    "rad2deg": lambda site, x: Piece(rf"\frac{{180}}{{\pi}}\, {within(x, MULTIPLY + 1)}", MULTIPLY),
    "degrees": lambda site, x: Piece(rf"\frac{{180}}{{\pi}}\, {within(x, MULTIPLY + 1)}", MULTIPLY),
    "floor": _shape(r"\left\lfloor {0} \right\rfloor"),
    "ceil": _shape(r"\left\lceil {0} \right\rceil"),
    "floor_divide": _shape(r"\left\lfloor \frac{{{0}}}{{{1}}} \right\rfloor"),
    "remainder": _infix(r"\;\mathrm{mod}\;", MULTIPLY),
    "absolute": _shape(r"\left| {0} \right|"),
    "fabs": _shape(r"\left| {0} \right|"),
    "modulus": _shape(r"\left| {0} \right|"),
    "conjugate": lambda site, x: Piece(rf"{within(x, ATOM)}^{{*}}", POWER),
    "maximum": _function(r"\max"),
    "minimum": _function(r"\min"),
    "fmax": _function(r"\max"),
    "fmin": _function(r"\min"),
    "select": _select,
    "withhold": lambda site, x, used: _select(site, used, x, Piece("0")),
    "greater": _infix(">", COMPARE),
    "greater_equal": _infix(r"\geq", COMPARE),
    "less": _infix("<", COMPARE),
    "less_equal": _infix(r"\leq", COMPARE),
    "equal": _infix("=", COMPARE),
    "not_equal": _infix(r"\neq", COMPARE),
    "logical_and": _infix(r"\wedge", COMPARE),
    "logical_or": _infix(r"\vee", COMPARE),
    "logical_xor": _infix(r"\oplus", COMPARE),
    "logical_not": lambda site, x: Piece(rf"\neg {within(x, COMPARE + 1)}", SIGN),
    "bitwise_and": _infix(r"\wedge", AND),
    "bitwise_or": _infix(r"\vee", OR),
    "bitwise_xor": _infix(r"\oplus", OR),
    "invert": lambda site, x: Piece(rf"\sim {within(x, SIGN + 1)}", SIGN),
    "left_shift": _infix(r"\ll", COMPARE + 1),
    "right_shift": _infix(r"\gg", COMPARE + 1),
    "expit": _function(r"\sigma"),
    "gamma": _function(r"\Gamma"),
    "gammaln": _logarithm_of(r"\Gamma"),
    "digamma": _function(r"\psi"),
    "polygamma": _ordered(r"\psi^{{({0})}}"),
    "jv": _ordered("J_{{{0}}}"),
    "iv": _ordered("I_{{{0}}}"),
    "beta": _function(r"\mathrm{B}"),
    "xlogy": _log_product(r"\ln"),
    "xlog1py": lambda site, x, y: Piece(
        rf"{within(x, MULTIPLY)}\, \ln\left(1 + {within(y, ADD + 1)}\right)", MULTIPLY
    ),
    "sinc": _sinc,
    "astype": _itself,
    "truncate": _itself,
    "copy": _itself,
    "stop_gradient": _itself,
    "unseen": _itself,
    "without_nan": _itself,
    "broadcast_to": _itself,
    "random_placed": lambda site, x, loc, scale: Piece(
        rf"{within(loc, ADD)} + {within(scale, MULTIPLY)}\, {within(x, MULTIPLY + 1)}", ADD
    ),
    "sum": _over(r"\sum", ADD),
    "prod": _over(r"\prod", ADD),
    "max": _over(r"\max"),
    "min": _over(r"\min"),
    "any": _over(r"\bigvee"),
    "all": _over(r"\bigwedge"),
    "argmax": _over(r"\operatorname*{argmax}"),
    "argmin": _over(r"\operatorname*{argmin}"),
    "length": _length,
    "matmul": _matmul,
    "einsum": _einsum,
    "convolve": _convolution,
    "convolution": _convolution,
    "inv": lambda site, a: raised(a, "-1"),
    "det": _function(r"\det"),
    "solve": _solve,
    "transpose": _transpose,
    "reshape": _reshape,
    "getitem": _getitem,
    "stack": _stack,
    "concatenate": _concatenate,
}
