"""What a typed expression may say: its functions, operators and constants, and nothing else."""

from __future__ import annotations

import ast
import importlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Function(NamedTuple):
    """A function of the command line: how many arguments it takes, and the NumPy that does it."""

    arguments: int
    run: Callable[..., Any]


def _special(name: str) -> Callable[..., Any]:
    """A function of scipy.special, which takes 240 ms to import: not before it is called."""

    def run(*arguments: Any) -> Any:
        return getattr(importlib.import_module("scipy.special"), name)(*arguments)

    return run


FUNCTIONS: dict[str, Function] = {
    "abs": Function(1, np.abs),
    "acos": Function(1, np.arccos),
    "acosh": Function(1, np.arccosh),
    "arccos": Function(1, np.arccos),
    "arccosh": Function(1, np.arccosh),
    "arcsin": Function(1, np.arcsin),
    "arcsinh": Function(1, np.arcsinh),
    "arctan": Function(1, np.arctan),
    "arctan2": Function(2, np.arctan2),
    "arctanh": Function(1, np.arctanh),
    "asin": Function(1, np.arcsin),
    "asinh": Function(1, np.arcsinh),
    "atan": Function(1, np.arctan),
    "atan2": Function(2, np.arctan2),
    "atanh": Function(1, np.arctanh),
    "cbrt": Function(1, np.cbrt),
    "ceil": Function(1, np.ceil),
    "cos": Function(1, np.cos),
    "cosh": Function(1, np.cosh),
    "erf": Function(1, _special("erf")),
    "exp": Function(1, np.exp),
    "exp2": Function(1, np.exp2),
    "expit": Function(1, _special("expit")),
    "expm1": Function(1, np.expm1),
    "floor": Function(1, np.floor),
    "gammaln": Function(1, _special("gammaln")),
    "hypot": Function(2, np.hypot),
    "ln": Function(1, np.log),
    "log": Function(1, np.log),
    "log10": Function(1, np.log10),
    "log1p": Function(1, np.log1p),
    "log2": Function(1, np.log2),
    "logaddexp": Function(2, np.logaddexp),
    "max": Function(2, np.maximum),
    "maximum": Function(2, np.maximum),
    "min": Function(2, np.minimum),
    "minimum": Function(2, np.minimum),
    "sigmoid": Function(1, _special("expit")),
    "sign": Function(1, np.sign),
    "sin": Function(1, np.sin),
    "sinh": Function(1, np.sinh),
    "sqrt": Function(1, np.sqrt),
    "square": Function(1, np.square),
    "tan": Function(1, np.tan),
    "tanh": Function(1, np.tanh),
    "where": Function(3, np.where),
    "xlogy": Function(2, _special("xlogy")),
}

CONSTANTS = {"pi": math.pi, "π": math.pi, "e": math.e}

BINARY: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Mod: np.remainder,
    ast.Pow: np.power,
}

UNARY: dict[type[ast.unaryop], Callable[..., Any]] = {
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}

COMPARISONS: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}

# What people type from habit, and what they mean by it.
MEANT = {
    "×": "write * for a product",
    "·": "write * for a product",
    "⋅": "write * for a product",
    "∗": "write * for a product",
    "÷": "write / for a quotient",
    "∕": "write / for a quotient",
    "−": "write the plain minus sign -",
    "–": "write the plain minus sign -",
    "—": "write the plain minus sign -",
    "²": "write **2 for a square",
    "³": "write **3 for a cube",
    "√": "write sqrt(x)",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "^": "write ** for a power",
    "#": "leave out the comment",
    "=": "write == to compare; values of the variables go into --at",
}
