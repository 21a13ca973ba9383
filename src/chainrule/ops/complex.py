"""Complex numbers: parts, conjugate, angle.

The parts and the conjugate are linear over the reals, not over the complex numbers. Cotangents
pair with tangents as Σ g·t without conjugation and the real part of that is what counts, so the
transposes are: real: g → g + 0i, imag: g → −i·g, conjugate: g → conj(g).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from chainrule.ir.bound import EXACT, Own
from chainrule.ir.primitive import Custom, Irregular, Linear, Scalar
from chainrule.ir.types import ArrayType
from chainrule.ops.family import each, elementwise_batch, elementwise_type, primitive, unary
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply


def _part_type(x: ArrayType) -> ArrayType:
    """The real dtype of half the width; a real array stays what it is."""
    return ArrayType(x.shape, np.zeros((), x.dtype).real.dtype)


def _as_complex(g: Any) -> Any:
    """A real cotangent, as the cotangent of a complex variable."""
    return g if g.dtype.kind == "c" else TABLE["astype"](g, np.result_type(g.dtype, np.complex64))


real = primitive(
    name="real",
    type_rule=_part_type,
    value=lambda x: np.asarray(np.real(x))[()],
    derivative=Linear(lambda g, x: _as_complex(g) if x.dtype.kind == "c" else g),
    batch=elementwise_batch,
    symbolic=each(lambda S, x: S.re(x)),
    lower=Scalar(lambda s, x: x),
    bound=EXACT,
    cases=(*unary(), *unary(dtypes="D")[-1:]),
    view=lambda out: True,
)

imag = primitive(
    name="imag",
    type_rule=_part_type,
    value=lambda x: np.asarray(np.imag(x))[()],
    # A real type here asks for the pattern of entries that are taken: all of them.
    derivative=Linear(lambda g, x: -1j * _as_complex(g) if x.dtype.kind == "c" else g),
    batch=elementwise_batch,
    symbolic=each(lambda S, x: S.im(x)),
    lower=Scalar(lambda s, x: s.const(0, x.kind)),
    bound=EXACT,
    cases=unary(dtypes="D")[-1:],
    view=lambda out: True,
)

conjugate = primitive(
    name="conjugate",
    type_rule=elementwise_type(np.conjugate),
    value=np.conjugate,
    derivative=Linear(lambda g, x: np.conjugate(g)),
    batch=elementwise_batch,
    symbolic=each(lambda S, x: S.conjugate(x)),
    lower=Scalar(lambda s, x: x),
    bound=EXACT,
    cases=unary(dtypes="D"),
)


def _angle_forward(tangents: Any, y: Any, x: Any) -> Any:
    """Im(conj(x)·t)/|x|²; 0 at the origin, where no direction is preferred, and of real x."""
    if x.dtype.kind != "c":
        return tangents[0] * 0
    square = np.real(x) ** 2 + np.imag(x) ** 2
    none = np.equal(square, 0)
    scaled = np.where(none, 0, np.conjugate(x) / np.where(none, 1, square))
    return np.imag(scaled * tangents[0])


def _on_the_cut(x: Any) -> Any:
    if x.dtype.kind != "c":
        return np.equal(x, 0)
    return np.logical_and(np.equal(np.imag(x), 0), np.less(np.real(x), 0))


def _angle_type(x: ArrayType) -> ArrayType:
    """What arctan2 gives of the imaginary part, a weak 0 for a real number, and the real part."""
    part = _part_type(x).dtype
    first = part if x.dtype.kind == "c" else int
    return ArrayType(x.shape, np.arctan2.resolve_dtypes((first, part, None))[-1])


angle = primitive(
    name="angle",
    type_rule=_angle_type,
    value=lambda x: np.angle(x),
    derivative=Custom(_angle_forward),
    batch=elementwise_batch,
    symbolic=each(lambda S, x: S.arg(x)),
    lower=Scalar(lambda s, x: s.call("arctan2", s.const(0, x.kind), x)),
    bound=Own("arctan2"),
    cases=(*unary(0.3, 2.0, dtypes="D")[-1:], *unary(dtypes="df")),
    irregular=(
        Irregular("jump", lambda y, x: np.equal(x, 0), "the angle of 0 is undefined"),
        Irregular(
            "jump",
            lambda y, x: _on_the_cut(x),
            "the angle jumps by 2π at the negative real axis",
        ),
    ),
)


def _modulus_forward(tangents: Any, y: Any, x: Any) -> Any:
    """Re(conj(x)·t)/|x|, and 0 at the origin."""
    none = np.equal(y, 0)
    direction = np.where(none, 0, np.conjugate(x) / np.where(none, 1, y))
    return np.real(direction * tangents[0])


# |x| of a complex x; of a real one see `absolute`.
modulus = primitive(
    name="modulus",
    type_rule=_part_type,
    value=lambda x: np.absolute(x),
    derivative=Custom(_modulus_forward),
    batch=elementwise_batch,
    symbolic=each(lambda S, x: S.Abs(x)),
    lower=Scalar(lambda s, x: s.unary("abs", x)),
    bound=EXACT,
    cases=unary(0.3, 2.0, dtypes="D")[-1:],
    irregular=(Irregular("kink", lambda y, x: np.equal(x, 0), "the cone's tip"),),
)


TABLE["modulus"] = functools.partial(apply, modulus)


@implements(np.real)
def _real(val: Any) -> Any:
    val = TABLE["operand"](val)
    return apply(real, val) if val.dtype.kind == "c" else val


@implements(np.imag)
def _imag(val: Any) -> Any:
    val = TABLE["operand"](val)
    return apply(imag, val) if val.dtype.kind == "c" else np.zeros(val.shape, val.dtype)[()]


@implements(np.conjugate)
def _conjugate(x: Any, /) -> Any:
    return apply(conjugate, x) if x.dtype.kind == "c" else np.positive(x)


@implements(np.angle)
def _angle(z: Any, deg: Any = False) -> Any:
    z = TABLE["operand"](z)
    turned = apply(angle, z)
    return np.degrees(turned) if deg else turned
