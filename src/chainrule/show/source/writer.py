"""The walk over a program that writes it: what gets a name, what stands inside an expression.

A value has a line of its own if the user gave it a name, or if it's read more than once; any other
stands inside the expression that reads it, as long as the line stays short.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from chainrule.base.errors import ChainruleError, UnsupportedError
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType, type_of
from chainrule.show.source.adjoint import wishes
from chainrule.show.source.names import Names, identifier
from chainrule.show.source.piece import Piece

LONGEST = 88  # columns of a line
_PLAIN = frozenset(map(np.dtype, ("f8", "c16", "i8", "?")))

Rule = Callable[..., Any]


class Language(Protocol):
    """How one language writes.

    `expressions`: operation → `(site, *pieces)` → Piece. `statements`: operation → `(writer, site,
    *pieces)` → one Piece per result, after writing lines. An operation is in one of the two.
    """

    name: str
    expressions: Mapping[str, Rule]
    statements: Mapping[str, Rule]

    def constant(self, value: Any, exact: bool) -> Piece:
        """A literal; `exact` if its dtype must show."""

    def variable(self, name: str, names: Names) -> Piece:
        """One of the names as it stands in an expression."""

    def assignment(self, names: Sequence[str], text: str) -> str:
        """A line that gives names, as they stand in expressions, to what one computes."""

    def width(self, text: str) -> int:
        """How many columns a text takes."""


@dataclass(frozen=True, eq=False)
class Site:
    """One equation, as the rules of a language see it."""

    equation: Equation
    plain: bool
    makers: Mapping[int, Equation]

    @property
    def params(self) -> Mapping[str, Any]:
        return self.equation.params

    @property
    def out(self) -> ArrayType:
        return self.equation.outputs[0].type

    @property
    def types(self) -> list[ArrayType]:
        return [kind_of(a) for a in self.equation.inputs]

    def kind(self, k: int) -> ArrayType:
        """The type of one operand."""
        return kind_of(self.equation.inputs[k])

    def maker(self, k: int) -> Equation | None:
        """The equation that one operand comes from, if it's of the same program."""
        operand = self.equation.inputs[k]
        return self.makers.get(operand.number) if isinstance(operand, Var) else None


@dataclass(eq=False)
class Frame:
    """What is known of the variables of one program while it's being written."""

    program: Program
    pieces: dict[int, Piece] = field(default_factory=dict)
    uses: Counter[int] = field(default_factory=Counter)
    wishes: dict[int, str] = field(default_factory=dict)
    makers: dict[int, Equation] = field(default_factory=dict)


class Writer:
    """Writes one program, and those that its loops and branches hold, into lines."""

    def __init__(self, language: Language, program: Program) -> None:
        self.language = language
        self.names = Names()
        self.names.wished.update(_labels(program))
        self.lines: list[str] = []
        self.depth = 0
        self.definitions: dict[str, str] = {}  # what the text needs beside itself
        self.owned: set[str] = set()  # names of arrays that the text made itself
        self.plain = is_plain(program)
        self.frame = Frame(program)

    # ---- lines -----------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Write one line, as deep as it is now."""
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def indented(self, by: int = 1) -> Iterator[None]:
        """Lines further to the right."""
        self.depth += by
        try:
            yield
        finally:
            self.depth -= by

    @contextmanager
    def aside(self) -> Iterator[list[str]]:
        """Lines kept apart, to be written later or not at all."""
        before, self.lines = self.lines, []
        try:
            yield self.lines
        finally:
            self.lines = before

    # ---- programs --------------------------------------------------------------------------------

    def run(
        self, program: Program, inputs: Sequence[Piece], names: Mapping[int, str] | None = None
    ) -> list[Piece]:
        """Write the equations of a program; gives its outputs, some of them deferred.

        `names` are those that its variables would have, by number; else its own labels.
        """
        frame = Frame(program, wishes=dict(wishes(program) if names is None else names))
        reads = [a for equation in program.equations for a in equation.inputs]
        frame.uses.update(a.number for a in (*reads, *program.outputs) if isinstance(a, Var))
        before, self.frame = self.frame, frame
        try:
            for var, piece in zip(program.inputs, inputs, strict=True):
                frame.pieces[var.number] = piece
            for var, value in program.captured:
                frame.pieces[var.number] = before.pieces.get(var.number) or self.literal(value)
            for equation in program.equations:
                self._equation(equation)
            return [self._read(out) for out in program.outputs]
        finally:
            self.frame = before

    def literal(self, value: Any) -> Piece:
        """A literal whose dtype is as it stands."""
        return self.language.constant(value, not self.plain)

    def uses(self, var: Var) -> int:
        """How often a variable is read in its program."""
        return self.frame.uses[var.number]

    def wish(self, var: Var) -> str | None:
        """The name that a variable would have."""
        return self.frame.wishes.get(var.number)

    def maker(self, operand: Operand) -> Equation | None:
        """The equation of the program at hand that an operand comes from."""
        return self.frame.makers.get(operand.number) if isinstance(operand, Var) else None

    def settled(self, piece: Piece, wish: str | None = None) -> Piece:
        """A piece that may be repeated: it's given a name, if it's no name or literal already."""
        if piece.cheap:
            return piece
        if piece.deferred is not None:
            wish = self.frame.wishes.get(piece.deferred, wish)
        settled = self.variable(wish)
        self.line(self.language.assignment([settled.text], piece.text))
        if piece.deferred is not None:
            self.frame.pieces[piece.deferred] = settled
        return settled

    def variable(self, wish: str | None) -> Piece:
        """A new variable."""
        return self.language.variable(self.names.new(wish), self.names)

    def named(self, name: str, text: str) -> Piece:
        """Write the line that gives a name to an expression."""
        piece = self.language.variable(name, self.names)
        self.line(self.language.assignment([piece.text], text))
        return piece

    # ---- equations -------------------------------------------------------------------------------

    def _read(self, operand: Operand) -> Piece:
        if isinstance(operand, Constant):
            return self.literal(operand.value)
        return self.frame.pieces[operand.number]

    def _operand(self, equation: Equation, k: int) -> Piece:
        operand = equation.inputs[k]
        if isinstance(operand, Constant):
            exact = not self.plain and _must_show(equation, k, operand.value)
            return self.language.constant(operand.value, exact)
        return self.frame.pieces[operand.number]

    def _equation(self, equation: Equation) -> None:
        site = Site(equation, self.plain, self.frame.makers)
        name = equation.primitive.name
        pieces = [self._operand(equation, k) for k in range(len(equation.inputs))]
        for var in equation.outputs:
            self.frame.makers[var.number] = equation
        statement = self.language.statements.get(name)
        if statement is not None:
            results = statement(self, site, *pieces)
            for var, piece in zip(equation.outputs, results, strict=True):
                self.frame.pieces[var.number] = piece
            return
        rule = self.language.expressions.get(name)
        if rule is None:
            error = UnsupportedError(
                f"source: the operation {name} can't be written in {self.language.name}",
                fix='cr.trace(f, …) shows the program; language="python" writes every operation',
            )
            error.locate(equation.place)
            raise error
        if equation.primitive.multiple:
            self._several(equation, rule(site, *pieces))
        else:
            self._single(site, rule, pieces)

    def _several(self, equation: Equation, piece: Piece) -> None:
        names = []
        for var in equation.outputs:
            piece_of = self.variable(self.wish(var)) if self.uses(var) else Piece("_")
            names.append(piece_of.text)
            self.frame.pieces[var.number] = piece_of
        self.line(self.language.assignment(names, piece.text))

    def _single(self, site: Site, rule: Rule, pieces: list[Piece]) -> None:
        var = site.equation.outputs[0]
        wish = self.wish(var)
        room = LONGEST - 4 * self.depth - len(wish or "a") - len(" = ")
        piece: Piece = rule(site, *pieces)
        while self.language.width(piece.text) > room:
            inner = [p for p in pieces if p.deferred is not None and not p.cheap]
            if not inner:
                break
            longest = max(inner, key=lambda p: len(p.text))
            settled = self.settled(longest)
            pieces = [settled if p.deferred == longest.deferred else p for p in pieces]
            piece = rule(site, *pieces)
        if piece.cheap and piece.text.isidentifier():
            self.frame.pieces[var.number] = piece
        elif wish is None and (piece.cheap or self.uses(var) == 1):
            self.frame.pieces[var.number] = piece._replace(deferred=var.number)
        elif self.uses(var):
            name = self.names.new(wish)
            self.frame.pieces[var.number] = self.named(name, piece.text)


# ---- types ---------------------------------------------------------------------------------------


def kind_of(operand: Operand) -> ArrayType:
    """The type of an operand."""
    return operand.type if isinstance(operand, Var) else type_of(operand.value)


def programs_of(equation: Equation) -> Iterator[Program]:
    """The programs that an equation holds."""
    for value in equation.params.values():
        for part in value if type(value) is tuple else (value,):
            if isinstance(part, Program):
                yield part


def _labels(program: Program) -> Iterator[str]:
    """The user's names for variables, those of loops and branches too."""
    for var in program.variables():
        name = identifier(var.label)
        if name is not None:
            yield name
    for equation in program.equations:
        for inner in programs_of(equation):
            yield from _labels(inner)


def is_plain(program: Program) -> bool:
    """Whether only Python's own kinds of number occur, so that promotion changes nothing."""
    operands: list[Operand] = [*program.variables(), *program.outputs]
    for equation in program.equations:
        operands += equation.inputs
        if not all(map(is_plain, programs_of(equation))):
            return False
    return all(kind_of(a).dtype in _PLAIN for a in operands)


def _must_show(equation: Equation, k: int, value: Any) -> bool:
    """Whether a NumPy scalar would promote differently if it were written as Python's number."""
    if not isinstance(value, np.generic):
        return isinstance(value, np.ndarray)
    op = equation.primitive
    if op.multiple:
        return True
    types = [kind_of(a) for a in equation.inputs]
    types[k] = type_of(value.item())
    if op.weak and all(kind.weak for kind in types):
        return True
    try:
        outcome = op.type_rule(*types, **equation.params)
    except (ChainruleError, ArithmeticError, LookupError, TypeError, ValueError):
        return True
    same: bool = outcome.dtype == equation.outputs[0].type.dtype
    return not same
