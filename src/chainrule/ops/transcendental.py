"""Exponentials, logarithms, circular and hyperbolic functions."""

from __future__ import annotations

import numpy as np

from chainrule.ir.primitive import Partials
from chainrule.ops.family import elementwise, unary

exp = elementwise(
    np.exp, Partials(lambda y, x: y), symbolic=lambda S, x: S.exp(x), cases=unary(dtypes="dfD")
)
sin = elementwise(
    np.sin,
    Partials(lambda y, x: np.cos(x)),
    symbolic=lambda S, x: S.sin(x),
    cases=unary(dtypes="dfD"),
)
cos = elementwise(
    np.cos,
    Partials(lambda y, x: -np.sin(x)),
    symbolic=lambda S, x: S.cos(x),
    cases=unary(dtypes="dfD"),
)
tanh = elementwise(
    np.tanh,
    Partials(lambda y, x: 1 - y * y),
    symbolic=lambda S, x: S.tanh(x),
    cases=unary(dtypes="dfD"),
)
log = elementwise(
    np.log,
    Partials(lambda y, x: np.divide(1.0, x)),
    symbolic=lambda S, x: S.log(x),
    cases=unary(0.1, 3, dtypes="dfD"),
)
