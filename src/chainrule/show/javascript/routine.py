"""Operations that no loops of ours compute, as calls of JavaScript functions from the assets."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule.ir.program import Constant, Equation
from chainrule.loops.value import Value
from chainrule.show.javascript.expression import Library, offset
from chainrule.show.javascript.names import Names
from chainrule.show.javascript.scalar import ATOM, Unprintable, number


class Routine(NamedTuple):
    """A function of the assets.

    Args:
        asset: the file that it stands in.
        params: parameters of the operation that follow its operands.
        needs: functions of `mathematics` that the file calls.
    """

    asset: str
    params: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_NEEDS = ("erf", "erfc", "gamma", "gammaln")
_SPECIAL = "beta betaln erfcinv erfcx erfinv log_ndtr ndtri rgamma"
_MATRIX = "cholesky cofactor det inv qr slogdet solve"
ROUTINES: dict[str, Routine] = {
    **{name: Routine("special", needs=_NEEDS) for name in _SPECIAL.split()},
    "polygamma": Routine("special", ("order",), _NEEDS),
    **{name: Routine("matrix") for name in _MATRIX.split()},
    "pinv": Routine("matrix", ("rcond",)),
}
_CUT = 1e-15  # of NumPy's pinv, where none is given


class Printing(Protocol):
    """What a call needs of the printer of the function that it stands in."""

    names: Names
    known: dict[int, str]
    library: Library

    def line(self, text: str, depth: int = 0) -> None:
        """One more line of the function."""

    def name(self, value: Value) -> str:
        """A new name for a value."""

    def array(self, value: Value) -> str:
        """A new typed array for a value."""


def print_routine(
    printer: Printing, step: Value, equation: Equation, results: Sequence[Value]
) -> None:
    """The lines that call the function of an operation.

    Raises:
        Unprintable: there is none, or not for numbers of this type.
    """
    op, place = equation.primitive.name, step.place or ""
    routine = ROUTINES.get(op)
    kinds = {value.kind for value in (*step.operands, *results)}
    if routine is None or not kinds <= {"f64", "f32"}:
        raise Unprintable(f"{op} has no JavaScript form", where=place)
    operands = _operands(printer, step, equation)
    for needed in routine.needs:
        printer.library.name(needed, 1)
    printer.library.texts.setdefault(routine.asset, _asset(routine.asset))
    params = [_param(equation.params[name]) for name in routine.params]
    if routine.asset == "special":
        _each(printer, f"cr_{op}", operands, params, results[0])
    else:
        _whole(printer, f"cr_{op}", operands, params, results)


def _operands(printer: Printing, step: Value, equation: Equation) -> list[tuple[str, Any]]:
    """The name of each operand and its shape; numbers as they are spelled."""
    values = iter(step.operands)
    found: list[tuple[str, Any]] = []
    for operand in equation.inputs:
        if not isinstance(operand, Constant):
            value = next(values)
            found.append((printer.known[value.number], value.shape))
        elif np.ndim(operand.value) == 0:
            found.append((number(operand.value, "f64"), ()))
        else:
            op = equation.primitive.name
            raise Unprintable(f"{op} of an array from outside has no JavaScript form")
    return found


def _each(
    printer: Printing,
    function: str,
    operands: Sequence[tuple[str, Any]],
    params: Sequence[str],
    result: Value,
) -> None:
    """Entry by entry, operands of one entry along an axis repeated."""
    shape = result.shape
    counters = [printer.names.new("i") for _ in shape]
    entries = []
    for name, own in operands:
        index = [("0" if n == 1 else c, ATOM)
                 for n, c in zip(own, counters[len(shape) - len(own) :], strict=True)]  # fmt: skip
        entries.append(f"{name}[{offset(index, own)}]" if own else name)
    call = f"{function}({', '.join([*entries, *params])})"
    if not shape:
        text = f"Math.fround({call})" if result.kind == "f32" else call
        printer.line(f"const {printer.name(result)} = {text};")
        return
    name = printer.array(result)
    for depth, (counter, n) in enumerate(zip(counters, shape, strict=True)):
        printer.line(f"for (let {counter} = 0; {counter} < {n}; {counter}++) {{", depth)
    place = offset([(counter, ATOM) for counter in counters], shape)
    printer.line(f"{name}[{place}] = {call};", len(shape))
    for depth in reversed(range(len(shape))):
        printer.line("}", depth)


def _whole(
    printer: Printing,
    function: str,
    operands: Sequence[tuple[str, Any]],
    params: Sequence[str],
    results: Sequence[Value],
) -> None:
    """Matrix by matrix; a result without axes is a number."""
    names = ", ".join(printer.name(result) for result in results)
    arguments = [part for name, shape in operands for part in (name, str(list(shape)))]
    printer.line(f"const [{names}] = {function}({', '.join([*arguments, *params])});")


def _param(value: Any) -> str:
    return number(_CUT if value is None else value, "i64" if isinstance(value, int) else "f64")


def _asset(name: str) -> str:
    return files("chainrule.show").joinpath(f"assets/{name}.js").read_text("utf-8").rstrip()
