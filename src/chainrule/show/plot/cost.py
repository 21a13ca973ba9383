"""What forward and reverse mode cost: multiplications counted in the programs themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.ir.program import Equation, Program
from chainrule.optimise.pipeline import optimise
from chainrule.optimise.trust import on_trust
from chainrule.show.plot.plot import Look, Plot, draw_curves, legend
from chainrule.show.source.writer import kind_of
from chainrule.tracing.stage import trace_program
from chainrule.transform.jacobian import jacfwd, jacrev

_SHAPES = ((64, 1), (32, 2), (16, 4), (8, 8), (4, 16), (2, 32), (1, 64))
_PRODUCTS = {"multiply", "divide", "reciprocal", "square", "power", "constant_power", "hypot"}


def mode_cost(
    shapes: Sequence[tuple[int, int]] = _SHAPES,
    network: Callable[[int, int], tuple[Callable[..., Any], Any]] | None = None,
    *,
    theme: str = "light",
) -> Plot:
    """The cost of a whole Jacobian by forward and by reverse mode, over shapes.

    Forward mode pays for every input, reverse mode for every output: the crossing is where both
    are as many. Counted, not timed, in the optimised programs of both.

    Args:
        shapes: pairs (inputs, outputs).
        network: gives for such a pair a function and its argument; one hidden layer of 32 tanh
            units if not given.
        theme: "light" or "dark".

    Returns:
        A `Plot`; its data: "shapes", and "value", "forward" and "reverse", the multiplications
        (divisions and powers too) of the function and of its Jacobian in each mode.

    Raises:
        ArgumentError: no shapes; matplotlib isn't installed.

    Example:
        >>> import chainrule as cr
        >>> data = cr.show.mode_cost([(64, 1), (1, 64)]).data
        >>> (data["reverse"] < data["forward"]).tolist()
        [True, False]
    """
    pairs = [(int(n), int(m)) for n, m in shapes]
    if not pairs:
        raise ArgumentError("mode_cost: no shapes", fix="give pairs (inputs, outputs)")
    made = [(network or _one_hidden_layer)(n, m) for n, m in pairs]
    counts = {
        name: np.array([multiplications(transform(f), x) for f, x in made])
        for name, transform in (("value", _same), ("forward", jacfwd), ("reverse", jacrev))
    }

    def draw(figure: Any, look: Look) -> None:
        axes = figure.subplots()
        places = np.arange(len(pairs))
        draw_curves(axes, look, places, counts, marks=True)
        axes.set_yscale("log")
        axes.set_xticks(places, [f"{n} → {m}" for n, m in pairs])
        axes.set(xlabel="inputs → outputs", ylabel="multiplications")
        legend(axes)

    return Plot({"shapes": pairs, **counts}, draw, theme=theme)


def _same(f: Callable[..., Any]) -> Callable[..., Any]:
    return f


def _one_hidden_layer(inputs: int, outputs: int) -> tuple[Callable[..., Any], np.ndarray]:
    chance = np.random.default_rng(0)
    first, last = chance.normal(size=(32, inputs)), chance.normal(size=(outputs, 32))
    return lambda x: last @ np.tanh(first @ x), np.ones(inputs)


# ---- counting ------------------------------------------------------------------------------------


def multiplications(f: Callable[..., Any], *args: Any) -> int:
    """The multiplications of one evaluation; divisions and powers count as one each."""
    return _of_program(optimise(on_trust(trace_program(f, *args, values=False))))


def _of_program(program: Program) -> int:
    return sum(map(_of_equation, program.equations))


def _of_equation(equation: Equation) -> int:
    name, params = equation.primitive.name, equation.params
    kinds = [kind_of(a) for a in equation.inputs]
    out = equation.outputs[0].type
    if name == "scan":
        return int(params["length"]) * _of_program(params["body"])
    if name == "cond":
        return max(map(_of_program, params["branches"]))
    if name == "matmul":
        return out.size * kinds[0].shape[-1]
    if name == "einsum":
        subscripts = params["subscripts"].partition("->")[0].split(",")
        sizes = {s: n for term, kind in zip(subscripts, kinds, strict=True)
                 for s, n in zip(term, kind.shape, strict=False)}  # fmt: skip
        return math.prod(sizes.values()) * (len(kinds) - 1)
    if name == "convolution":
        return out.size * math.prod(kinds[1].shape[:-1])
    if name in ("while", "while_transpose"):
        raise ArgumentError("mode_cost: how often a while_loop runs isn't known before it does")
    return out.size if name in _PRODUCTS else 0
