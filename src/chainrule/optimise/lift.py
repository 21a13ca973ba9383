"""Arrays that dissolved calls brought into bodies of loops and branches, given from outside.

A body has no arrays of its own: what it reads is given to it, and belongs to the program around.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.ir.program import Equation, Program, Var
from chainrule.optimise.rewrite import Rewrite

# Which programs of an operation read the same operands, and where those begin: behind how many
# others, by the name of the parameter that says so; and the parameter that counts them.
_READERS: dict[str, tuple[tuple[tuple[str, ...], str | None, str | None], ...]] = {
    "scan": ((("body",), None, "consts"),),
    "while": ((("cond",), None, "cond_consts"), (("body",), "cond_consts", "consts")),
    "while_transpose": (
        (("cond",), None, "cond_consts"),
        (("body", "back"), "cond_consts", "consts"),
    ),
    "cond": ((("branches",), "", None),),
}


def lifted(program: Program) -> Program:
    """The program with the arrays of its equations' bodies among its own."""
    if not any(map(_holds_arrays, program.equations)):
        return program
    rewrite = Rewrite(program)
    for equation in program.equations:
        rewrite.keep(_lifted(rewrite, equation) if _holds_arrays(equation) else equation)
    rewrite.changed = True
    return rewrite.finish()


def _programs(value: Any) -> tuple[Program, ...]:
    parts = value if type(value) is tuple else (value,)
    return tuple(part for part in parts if isinstance(part, Program))


def _holds_arrays(equation: Equation) -> bool:
    return any(p.captured for value in equation.params.values() for p in _programs(value))


def _lifted(rewrite: Rewrite, equation: Equation) -> Equation:
    params, inputs = dict(equation.params), list(equation.inputs)
    for names, behind, count in _READERS[equation.primitive.name]:
        bodies = [body for name in names for body in _programs(params[name])]
        met = [(k, var, a) for k, body in enumerate(bodies) for var, a in body.captured]
        start = 1 if behind == "" else params[behind] if behind else 0
        inputs[start:start] = [rewrite.capture(array) for _, _, array in met]
        taking = iter([_taking(k, body, met) for k, body in enumerate(bodies)])
        for name in names:
            one = isinstance(params[name], Program)
            params[name] = next(taking) if one else tuple(next(taking) for _ in params[name])
        if count is not None:
            params[count] += len(met)
        if "back" in names:
            params["moving"] = (*[False] * len(met), *params["moving"])
    return dataclasses.replace(equation, inputs=tuple(inputs), params=params)


def _taking(number: int, body: Program, met: Sequence[tuple[int, Var, np.ndarray]]) -> Program:
    """A body that is given all these arrays first, its own ones as it knows them."""
    rewrite = Rewrite(body)
    given = [var if k == number else rewrite.var(var.type) for k, var, _ in met]
    return dataclasses.replace(body, inputs=(*given, *body.inputs), captured=())
