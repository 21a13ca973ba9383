"""A program as a Python module: what it imports, its constants, and one function."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import UnsupportedError
from chainrule.ir.program import Program, Var
from chainrule.show.source.adjoint import wishes
from chainrule.show.source.names import Gradient, Names, identifier
from chainrule.show.source.piece import Piece
from chainrule.show.source.python import (
    arrangement,
    control,
    elementwise,
    reduction,
    windows,
)
from chainrule.show.source.python.definitions import NAMES, definitions
from chainrule.show.source.python.literal import SMALL, array, is_even, literal, uneven
from chainrule.show.source.subject import Recorded, Subject
from chainrule.show.source.tree import Entrance, entrances, parameters_of, rebuilt
from chainrule.show.source.wrap import wrapped
from chainrule.show.source.writer import LONGEST, Rule, Writer
from chainrule.tracing.closure import names_of_captured

_IMPORTS = (
    ("np", "import numpy as np"),
    ("special", "from scipy import special"),
)


_INLINE = 40  # columns of an array that stands in an expression
_TIED = "\0"  # a space at which no line may end
_PATH = "It is the path taken at those values: Python decided something by them."
_FINITE = (
    "What np.where or an index leaves out isn't followed through products and sums: a slope that "
    "is infinite behind them gives NaN here, where cr.grad gives 0."
)


class Python:
    """Python with NumPy."""

    name = "Python"
    expressions: Mapping[str, Rule] = {
        **elementwise.EXPRESSIONS,
        **arrangement.EXPRESSIONS,
        **reduction.EXPRESSIONS,
        **windows.EXPRESSIONS,
    }
    statements: Mapping[str, Rule] = {**arrangement.STATEMENTS, **control.STATEMENTS}

    def __init__(self, known: Callable[[Any], str | None]) -> None:
        self.known = known  # the user's names for arrays from outside the function
        self.names = Names()
        self.lines: list[str] = []  # that make arrays, above the function
        self.arrays: dict[str, np.ndarray] = {}  # that the function is to be given
        self._seen: list[tuple[str, np.ndarray]] = []

    def constant(self, value: Any, exact: bool) -> Piece:
        probe = uneven(value)
        if probe is not None:
            return Piece(probe, cheap=True)
        try:
            piece = literal(value, exact)
        except TypeError as error:
            raise UnsupportedError(f"source: a constant that can't be written: {error}") from None
        return piece if len(piece.text) <= _INLINE else self.outside(value, None)

    def outside(self, value: np.ndarray, label: str | None) -> Piece:
        """An array with a name of its own, made above the function or handed to it."""
        text = uneven(value) or self._found(value) or (array(value) if is_even(value) else None)
        if text is not None:
            return Piece(text, cheap=True)
        name = self.names.new(label or self.known(value) or "constant")
        self._seen.append((name, value))
        if value.size <= SMALL:
            self.lines += wrapped(f"{name} = {array(value)}", LONGEST)
        else:
            self.arrays[name] = value
        return Piece(name, cheap=True)

    def _found(self, value: np.ndarray) -> str | None:
        """An array that has a name already, perhaps the other way round."""
        for name, known in self._seen:
            for text, other in ((name, known), (f"{name}.T", known.T)):
                same = other.shape == value.shape and other.dtype == value.dtype
                if same and other.tobytes() == value.tobytes():
                    return text
        return None

    def variable(self, name: str, names: Names) -> Piece:
        return Piece(name, cheap=True)

    def assignment(self, names: Sequence[str], text: str) -> str:
        return f"{', '.join(names)}{',' * (len(names) == 1 and names[0] == '')} = {text}"

    def width(self, text: str) -> int:
        return len(text)


class Module(NamedTuple):
    """The text of a program, and the arrays that its function is to be given by name."""

    text: str
    name: str
    arrays: dict[str, np.ndarray]


def module(
    program: Program,
    names: Mapping[int, str],
    subject: Subject,
    args: Sequence[Any],
    recorded: Recorded,
) -> Module:
    """Write a program as Python.

    Args:
        names: that some of its variables would have, by number.
        args: what it was traced with, for their trees.
        recorded: how the program came about.
    """
    language = Python(names_of_captured(subject.plain))
    writer = Writer(language, program)
    language.names = writer.names
    writer.names.taken |= NAMES
    name = writer.names.new(subject.name)
    parameters = [writer.names.new(p) for p in parameters_of(subject.plain, len(args))]
    leaves = entrances(writer.names, parameters, args)
    for var, value in program.captured:
        writer.frame.pieces[var.number] = language.outside(np.asarray(value), var.label)
    with writer.indented():
        for leaf in leaves:
            if leaf.path:
                writer.line(f"{leaf.name} = {leaf.argument}{leaf.path}")
        inputs = [Piece(leaf.name, cheap=True) for leaf in leaves]
        known = {**wishes(program), **names, **_gradients(program, subject, args, leaves)}
        outs = writer.run(program, inputs, known)
        writer.line(f"return {rebuilt(program.out_tree, [out.text for out in outs])}")
    lines = [part for line in writer.lines for part in wrapped(line, LONGEST)]
    arrays = language.arrays
    head = ", ".join([*parameters, *(["*", *arrays] if arrays else [])])
    words = _docstring(program, subject, leaves, arrays, recorded)
    function = "\n".join([*wrapped(f"def {name}({head}):", LONGEST), *words, *lines])
    brought, constants = definitions(function), language.lines
    rest = "\n".join([*constants, *brought, function])
    imports = [line for prefix, line in _IMPORTS if re.search(rf"\b{prefix}\b\.", rest)]
    head_lines = ["\n".join(part) for part in (imports, constants) if part]
    parts = ["\n\n".join(head_lines)] * bool(head_lines) + [*brought, function]
    return Module("\n\n\n".join(parts) + "\n", name, arrays)


def _gradients(
    program: Program, subject: Subject, args: Sequence[Any], leaves: Sequence[Entrance]
) -> dict[int, str]:
    """Names for the results that are the gradient of an argument: dx."""
    if not subject.argnums:
        return {}
    wanted = subject.leaves_of_gradient([leaf.name for leaf in leaves], args)
    outs = program.outputs[1:] if subject.with_value else program.outputs
    if len(outs) != len(wanted):
        return {}
    if len(wanted) == 1 and not any(
        equation.primitive.multiple and outs[0] in equation.outputs
        for equation in program.equations
    ):
        return {}
    heads = {var.number for var in (*program.inputs, *(var for var, _ in program.captured))}
    return {  # of two that are one and the same value the first gives it its name
        out.number: Gradient(f"d{name}")
        for out, name in reversed(list(zip(outs, wanted, strict=True)))
        if isinstance(out, Var) and out.number not in heads
    }


def _docstring(
    program: Program,
    subject: Subject,
    leaves: Sequence[Entrance],
    arrays: Mapping[str, np.ndarray],
    recorded: Recorded,
) -> list[str]:
    """What the function is, the types that it was written for, and what must be known besides."""
    words = subject.words.format(identifier(subject.plain_name) or "f")
    words = words[0].upper() + words[1:] if " " in words else words
    kinds = [
        f"{leaf.name}:{_TIED}{str(var.type).replace(' ', _TIED)}"
        for leaf, var in zip(leaves, program.inputs, strict=True)
    ]
    first = f'    """{words}, written by chainrule for {", ".join(kinds)}.'
    if not kinds:
        first = f'    """{words}, written by chainrule.'
    lines = wrapped_words(first)
    more = []
    if recorded.path:
        more += wrapped_words(f"    {_PATH}")
    if recorded.finite:
        more += wrapped_words(f"    {_FINITE}")
    for name, value in arrays.items():
        kind = f"{value.dtype}{list(value.shape)}"
        more += wrapped_words(
            f"    {name}: {kind}, an array from outside the function, in .arrays."
        )
    if not more and len(lines) == 1:
        return [f'{lines[0]}"""']
    return [*lines, *([""] if more else []), *more, '    """']


def wrapped_words(line: str) -> list[str]:
    """Words in lines of at most so many columns, indented as the first."""
    indent = " " * (len(line) - len(line.lstrip(" ")))
    lines, row = [], indent + line.split()[0]
    for word in line.split()[1:]:
        if len(row) + 1 + len(word) > LONGEST:
            lines.append(row)
            row = indent + word
        else:
            row += f" {word}"
    return [part.replace(_TIED, " ") for part in (*lines, row)]
