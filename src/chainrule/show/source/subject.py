"""What is to be written: which function it is, and its program, ready to be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.trees import flatten
from chainrule.ir.naming import named
from chainrule.ir.program import Constant, Equation, Program
from chainrule.ops.family import elementwise_batch
from chainrule.optimise.algebra import simplify
from chainrule.optimise.cleanup import fold, prune, share
from chainrule.optimise.inline import inline
from chainrule.optimise.rewrite import Rewrite, operand_type, same_type
from chainrule.show.source.choice import one_choice, plainer_choice
from chainrule.show.source.names import identifier
from chainrule.show.source.python.literal import uneven
from chainrule.show.source.writer import programs_of
from chainrule.tracing.recording import recording
from chainrule.tracing.stage import evaluate, trace_program
from chainrule.transform import batch, gradient, hessian, jacobian

_ROUNDS = 4

# Functions that transformations return: where they're written, what they're called there, the name
# that what they compute goes by, and what it is.
_MADE = {
    (gradient, "gradient"): ("d{}", "the gradient of {}"),
    (gradient, "evaluate"): ("{}_and_gradient", "the value and the gradient of {}"),
    (hessian, "second"): ("hessian_{}", "the Hessian of {}"),
    (jacobian, "differentiate"): ("jacobian_{}", "the Jacobian of {}"),
    (batch, "batched"): ("batched_{}", "{} for a whole batch"),
}
_MADE_BY = {
    (module.__file__, name): (title, words) for (module, name), (title, words) in _MADE.items()
}


class Subject(NamedTuple):
    """A function to be written.

    Args:
        name: what the text calls it: df for the gradient of f.
        words: what it is, with {} for the name of the user's own function.
        plain_name: that name.
        argnums: the arguments of which the result is the gradient; () for other functions.
        with_value: whether the value comes before the gradient.
        plain: the user's own function, inside all transformations.
    """

    name: str
    words: str
    plain_name: str
    argnums: tuple[int, ...]
    with_value: bool
    plain: Callable[..., Any]

    def leaves_of_gradient(self, names: Sequence[str], args: Sequence[Any]) -> list[str]:
        """Of the names of all leaves of the arguments, those that the gradient is taken of."""
        counts = [len(flatten(arg)[0]) for arg in args]
        wanted: list[str] = []
        for k in self.argnums:
            first = sum(counts[: k % len(counts)])
            wanted += names[first : first + counts[k % len(counts)]]
        return wanted


def subject_of(f: Callable[..., Any]) -> Subject:
    """What a function is, as far as transformations of this package made it."""
    layers: list[tuple[str, str]] = []
    argnums: Any = ()
    with_value = False
    g: Any = f
    while True:
        code = getattr(g, "__code__", None)
        made = _MADE_BY.get((code.co_filename, code.co_name)) if code is not None else None
        inner = _inner(g)
        if made is None and not hasattr(g, "__wrapped__"):
            break
        if made is not None:
            if not layers and "argnums" in _inner(inner.get("both", g)):
                both = inner.get("both", g)
                argnums, with_value = _inner(both)["argnums"], both is g
            layers.append(made)
        g = inner["f"] if made is not None and "f" in inner else g.__wrapped__
    plain_name = getattr(g, "__name__", type(g).__name__).replace("<lambda>", "f")
    name, words = identifier(plain_name) or "f", "{}"
    for title, sentence in reversed(layers):
        name, words = title.format(name), sentence.format(words)
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    return Subject(name, words, plain_name, numbers, with_value, g)


def _inner(g: Any) -> Mapping[str, Any]:
    """What a function has from the function around it."""
    code, cells = getattr(g, "__code__", None), getattr(g, "__closure__", None)
    if code is None or cells is None:
        return {}
    return {name: cell.cell_contents for name, cell in zip(code.co_freevars, cells, strict=True)}


# ---- its program ---------------------------------------------------------------------------------


class Recorded(NamedTuple):
    """A program as it was recorded.

    Args:
        raw: every equation, under the user's names.
        program: the same, ready to be read.
        path: it's the path taken at these values.
        finite: it takes slopes to be finite, except right behind np.where: what is left out is
            blanked there, but not behind products and indices.
    """

    raw: Program
    program: Program
    path: bool
    finite: bool


def record(f: Callable[..., Any], args: Sequence[Any]) -> Recorded:
    """Trace a function: for all values where that's possible, else the path that these take."""
    raw, path = _without_values(f, args), False
    if raw is None:
        # With values Python's own `if` and `while` can decide; what fails again is the user's.
        raw, path = _record(f, args, values=True), True
    exact = Recorded(raw, tidy(raw), path, False)
    if not _probes(exact.program):
        return exact
    # What was left out is followed through products by probes, which nobody wants to read unless
    # they matter.
    short = _record(f, args, values=path, finite=True)
    if _differ(short, raw, args):
        return exact
    return Recorded(short, tidy(short), path, True)


def _differ(short: Program, exact: Program, args: Sequence[Any]) -> bool:
    """Whether a program that takes slopes to be finite gives NaN for that at these values."""
    leaves = [leaf for arg in args for leaf in flatten(arg)[0]]
    with np.errstate(all="ignore"):
        strange = [np.isnan(found) for found in evaluate(short, *leaves)]
        if not any(map(np.any, strange)):
            return False
        wanted = evaluate(exact, *leaves)
    return any(bool(np.any(nan & ~np.isnan(w))) for nan, w in zip(strange, wanted, strict=True))


def _without_values(f: Callable[..., Any], args: Sequence[Any]) -> Program | None:
    try:
        return _record(f, args, values=False)
    except ChainruleError:
        return None


def _probes(program: Program) -> bool:
    """Whether equations only ask which entries of something reach them."""
    known = [value for _, value in program.captured]
    for equation in program.equations:
        known += [a.value for a in equation.inputs if isinstance(a, Constant)]
        if any(map(_probes, programs_of(equation))):
            return True
    return any(uneven(value) is not None for value in known)


def _record(
    f: Callable[..., Any], args: Sequence[Any], values: bool, finite: bool = False
) -> Program:
    # As for the compiler: so that a gradient's equations say what they're the gradient of.
    with recording(lambda array: False, finite):
        program = trace_program(f, *args, values=values, origins=values)
    return named(program)


def tidy(program: Program, closed: bool = False) -> Program:
    """The program with what the optimiser takes out, but in the order in which it was written.

    Nothing is computed twice to save memory, and no loop is turned around: that reads worse.
    """
    program = _inside(inline(program))
    for _ in range(_ROUNDS):
        before = program
        program = prune(share(fold(simplify(_plainer(program)), closed=closed)))
        if program is before:
            break
    return program


def _plainer(program: Program) -> Program:
    """The program without choices that are known, and indices and broadcasts that do nothing."""
    rewrite = Rewrite(program)
    for equation in program.equations:
        equation = rewrite.current(equation)
        if equation.primitive.name == "getitem" and _takes_all(equation):
            rewrite.replace(equation.outputs[0], equation.inputs[0], equation)
        elif (known := plainer_choice(rewrite, equation)) is not None:
            rewrite.replace(equation.outputs[0], known, equation)
        elif equation.primitive.batch is elementwise_batch:
            rewrite.keep(one_choice(rewrite, _unbroadcast(rewrite, equation)))
        else:
            rewrite.keep(equation)
    return rewrite.finish()


def _unbroadcast(rewrite: Rewrite, equation: Equation) -> Equation:
    for k, a in enumerate(equation.inputs):
        spread = rewrite.maker(a, "broadcast_to")
        if spread is None:
            continue
        inputs = (*equation.inputs[:k], spread.inputs[0], *equation.inputs[k + 1 :])
        kind = equation.primitive.type_rule(*map(operand_type, inputs), **equation.params)
        if same_type(kind, equation.outputs[0].type):
            rewrite.changed = True
            equation = dataclasses.replace(equation, inputs=inputs)
    return equation


def _takes_all(equation: Equation) -> bool:
    x, *arrays = equation.inputs
    if arrays or operand_type(x).shape != equation.outputs[0].type.shape:
        return False
    index, shape = equation.params["index"], operand_type(x).shape
    if any(entry is Ellipsis for entry in index):
        return all(entry is Ellipsis or entry == slice(None) for entry in index)
    return len(index) <= len(shape) and all(
        isinstance(entry, slice) and entry.indices(n) == (0, n, 1)
        for entry, n in zip(index, shape, strict=False)
    )


def _inside(program: Program) -> Program:
    equations = []
    for equation in program.equations:
        params = {name: _tidied(value) for name, value in equation.params.items()}
        if any(params[name] is not value for name, value in equation.params.items()):
            equation = dataclasses.replace(equation, params=params)
        equations.append(equation)
    return dataclasses.replace(program, equations=tuple(equations))


def _tidied(value: Any) -> Any:
    if isinstance(value, Program):
        smaller = tidy(value, closed=True)
        return value if smaller.captured else smaller
    if type(value) is tuple and any(isinstance(part, Program) for part in value):
        return tuple(map(_tidied, value))
    return value
