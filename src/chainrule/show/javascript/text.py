"""A program as JavaScript text: its lowered values (`loops/value.py`), each printed as loops.

Nothing is fused and nothing shares memory: every value of the program is a number or a flat typed
array in C order, under the user's own name. The runtime it needs stands in assets/arithmetic.js.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib.resources import files

from chainrule.ir.program import Program
from chainrule.loops.lower import lower
from chainrule.show.javascript.expression import Library
from chainrule.show.javascript.names import Names
from chainrule.show.javascript.printer import Printer


def runtime() -> str:
    """The functions that printed programs call."""
    return files("chainrule.show").joinpath("assets/arithmetic.js").read_text("utf-8")


def javascript(program: Program, names: Mapping[int, str] | None = None, name: str = "f") -> str:
    """A program as JavaScript: `function name(inputs, captured arrays) → [outputs]`.

    Numbers are numbers, truth values booleans, arrays flat typed arrays in C order.

    Args:
        program: what to print.
        names: variable's number → what to call it, where that isn't the program's own name.
        name: what to call the function.

    Returns:
        The text of the function, and of those it calls; it needs `runtime()` too.

    Raises:
        Unprintable: an operation that has no loops (a factorisation, a sort, complex numbers).
    """
    library = Library()
    every = tuple(var for equation in program.equations for var in equation.outputs)
    lowered = lower(dataclasses.replace(program, outputs=(*program.outputs, *every)))
    body = Printer(lowered, library, Names(()), program, names or {}).function(name)
    return "\n\n".join([*library.texts.values(), body]) + "\n"
