"""chainrule: differentiate plain NumPy by every method, see it, train with it.

Users write `import numpy as np` and Python. The names below are all there is to learn.
"""

from __future__ import annotations

import importlib
from typing import Any

from chainrule import ops as _ops  # noqa: F401 - enters NumPy's names into the table
from chainrule.base.errors import (
    AllocationError,
    ArgumentError,
    ChainruleError,
    DivergenceError,
    DivisionError,
    DomainError,
    DtypeError,
    ExpressionError,
    GradientError,
    InternalError,
    LinearAlgebraError,
    ModelFileError,
    OutOfBoundsError,
    ShapeError,
    StorageError,
    TraceError,
    UnsupportedError,
)
from chainrule.base.registry import announce
from chainrule.base.settings import settings
from chainrule.ir.program import Program
from chainrule.tracing.stage import trace
from chainrule.transform.batch import vmap
from chainrule.transform.forward import jvp, linearize
from chainrule.transform.gradient import grad, value_and_grad, vjp

# Names whose modules are read when they're first used: public name → module.
_LATER = {
    "checkpoint": "chainrule.transform.custom",
    "cond": "chainrule.transform.control",
    "fori_loop": "chainrule.transform.control",
    "scan": "chainrule.transform.control",
    "while_loop": "chainrule.transform.control",
    "custom_jvp": "chainrule.transform.custom",
    "custom_vjp": "chainrule.transform.custom",
    "stop_gradient": "chainrule.transform.custom",
    "hessian": "chainrule.transform.hessian",
    "hvp": "chainrule.transform.hessian",
    "jacfwd": "chainrule.transform.jacobian",
    "jacobian": "chainrule.transform.jacobian",
    "jacrev": "chainrule.transform.jacobian",
    "finite_difference": "chainrule.transform.difference",
    "jit": "chainrule.run.jit",
    "symbolic": "chainrule.transform.symbolic",
    "check_grads": "chainrule.transform.check",
    "compare": "chainrule.transform.compare",
    "ForwardValue": "chainrule.show.forward_value",
    "Gate": "chainrule.show.gate",
    "graph": "chainrule.show.graph",
    "source": "chainrule.show.source.source",
    "name": "chainrule.tracing.name",
    "differentiability": "chainrule.transform.differentiability",
}
# Parts of the package that are read when they're first used.
_PARTS = ("models", "nn", "optim", "random", "show", "train")

# A saved neural Turing machine is known before `cr.models` is first used.
announce("layer", "chainrule.models.turing")
# What `history.plot` draws with stands on a floor above training.
announce("plot", "chainrule.show.plot.history")

__all__ = [
    "AllocationError",
    "ArgumentError",
    "ChainruleError",
    "DivergenceError",
    "DivisionError",
    "DomainError",
    "DtypeError",
    "ExpressionError",
    "ForwardValue",
    "Gate",
    "GradientError",
    "InternalError",
    "LinearAlgebraError",
    "ModelFileError",
    "OutOfBoundsError",
    "Program",
    "ShapeError",
    "StorageError",
    "TraceError",
    "UnsupportedError",
    "check_grads",
    "checkpoint",
    "compare",
    "cond",
    "custom_jvp",
    "custom_vjp",
    "differentiability",
    "finite_difference",
    "fori_loop",
    "grad",
    "graph",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linearize",
    "models",
    "name",
    "nn",
    "optim",
    "random",
    "scan",
    "settings",
    "show",
    "source",
    "stop_gradient",
    "symbolic",
    "trace",
    "train",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
        globals()[name] = value
        return value
    if name in _PARTS:
        return importlib.import_module(f"chainrule.{name}")
    raise AttributeError(f"module 'chainrule' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
