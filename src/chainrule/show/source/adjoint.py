"""Names for the values of a program: the user's, and those of the gradients that belong to them.

What reverse mode adds keeps the place of the operation it is the derivative of. The first value it
reads there that an earlier step of the sweep computed is the gradient of that operation's result.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby

from chainrule.base.bytecode import RETURNED, destination
from chainrule.base.place import Place
from chainrule.ir.program import Equation, Program, Var
from chainrule.show.source.names import Gradient

Shape = tuple[int, ...]
# How gradients of parts become the gradient of the whole.
_GATHERING = ("concatenate", "put", "put_add", "stack")


def wishes(program: Program) -> dict[int, str]:
    """The names that variables would have, by number: the user's own, and `d` before a gradient's.

    A variable without a wish gets a letter if it needs a name at all.
    """
    found: dict[int, str] = {}
    for equation in program.equations:
        for var in equation.outputs:
            if var.label is not None and not _is_function(var.label, equation):
                found[var.number] = var.label
    for number, name in _gradients(program).items():
        found.setdefault(number, Gradient(f"d{name}"))
    return found


def _is_function(label: str, equation: Equation) -> bool:
    """Whether a label is that of the function which returns the value."""
    place = equation.place
    if place is None or label != place.code.co_name:
        return False
    return destination(place.code, place.lasti) in ((), (RETURNED,))


def _gradients(program: Program) -> dict[int, str]:
    """Variables that are the gradient of a named one, and its name."""
    forward: dict[Place, list[Var]] = defaultdict(list)
    visits: dict[Place, list[list[Equation]]] = defaultdict(list)
    computed: set[int] = set()  # by the backward sweep
    for (place, backward), group in groupby(
        program.equations, key=lambda equation: (equation.place, equation.backward)
    ):
        run = list(group)
        if place is None:
            continue
        if backward:
            visits[place].append(run)
            computed.update(var.number for equation in run for var in equation.outputs)
        else:
            forward[place].append(run[-1].outputs[-1])
    found: dict[int, str] = {}
    for place, runs in visits.items():
        made = forward.get(place, ())
        if len(made) == len(runs):
            names = [var.label for var in reversed(made)]
            shapes: list[Shape | None] = [var.type.shape for var in reversed(made)]
        else:  # nothing else needs the value itself, so that it's gone
            stored = destination(place.code, place.lasti)
            names = [stored[0] if len(stored) == 1 and stored != (RETURNED,) else None] * len(runs)
            shapes = [None] * len(runs)
        for name, shape, run in zip(names, shapes, runs, strict=True):
            gradient = _arriving(run, computed, shape)
            floats = gradient is not None and gradient.type.dtype.kind in "fc"
            if name and gradient is not None and floats and name != place.code.co_name:
                found.setdefault(gradient.number, name)
    return found


def _arriving(run: list[Equation], computed: set[int], shape: Shape | None) -> Var | None:
    """What a step of the sweep is given: the first gradient that it reads and didn't compute.

    Where several parts of a value were read, their gradients are first put together; what comes of
    it is the gradient, if it has the value's shape.
    """
    own: set[int] = set()
    for equation in run:
        name = equation.primitive.name
        given = [a for a in equation.inputs if isinstance(a, Var) and a.number in computed - own]
        # A sum only adds what goes to an operand to what went there before.
        if given and name != "add":
            together = equation.outputs[0] if name in _GATHERING else None
            if shape is None:
                return None if together is not None else given[0]
            fitting = (v for v in (given[0], together) if v is not None and v.type.shape == shape)
            return next(fitting, None)
        own.update(var.number for var in equation.outputs)
    return None
