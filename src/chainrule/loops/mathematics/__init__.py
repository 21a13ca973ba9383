"""Mathematical functions of scalar operations alone, for one lane or many.

Each function takes nodes of one float type (f32 or f64) and gives a node. Nothing branches, but
for `rare` cases, so each vectorises for any number of lanes and prints to any language.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.loops.mathematics import (
    error_function,
    exponential,
    gamma,
    hyperbolic,
    inverse,
    logarithm,
    logistic,
    power,
    remainder,
    trigonometric,
)
from chainrule.loops.scalar import Node

DEFINITIONS: dict[str, Callable[..., Node]] = {
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "log": logarithm.log,
    "log2": logarithm.log2,
    "log10": logarithm.log10,
    "log1p": logarithm.log1p,
    "sin": trigonometric.sin,
    "cos": trigonometric.cos,
    "tan": trigonometric.tan,
    "sinh": hyperbolic.sinh,
    "cosh": hyperbolic.cosh,
    "tanh": hyperbolic.tanh,
    "arcsin": inverse.arcsin,
    "arccos": inverse.arccos,
    "arctan": inverse.arctan,
    "arctan2": inverse.arctan2,
    "arcsinh": inverse.arcsinh,
    "arccosh": inverse.arccosh,
    "arctanh": inverse.arctanh,
    "power": power.power,
    "cbrt": power.cbrt,
    "hypot": power.hypot,
    "xlogy": power.xlogy,
    "xlog1py": power.xlog1py,
    "expit": logistic.expit,
    "softplus": logistic.softplus,
    "log_expit": logistic.log_expit,
    "logaddexp": logistic.logaddexp,
    "erf": error_function.erf,
    "erfc": error_function.erfc,
    "ndtr": error_function.ndtr,
    "gammaln": gamma.gammaln,
    "gamma": gamma.gamma,
    "digamma": gamma.digamma,
    "fmod": remainder.fmod,
    "remainder": remainder.remainder,
    "floor_divide": remainder.floor_divide,
    # Parts of others, where these rarely go.
    "sin_huge": trigonometric.sin_huge,
    "cos_huge": trigonometric.cos_huge,
    "tan_huge": trigonometric.tan_huge,
    "gammaln_negative": gamma.gammaln_negative,
    "gamma_negative": gamma.gamma_negative,
    "digamma_negative": gamma.digamma_negative,
    "fmod_large": remainder.fmod_large,
}

# The largest error of each, in units in the last place of the true result, as f32 and as f64.
BOUNDS: dict[str, tuple[float, float]] = {
    "exp": (1.0, 1.0),
}
