"""Expressions with their shared parts named, and SymPy's chain rule over them.

A program becomes a list of definitions s₁ = e₁(x), s₂ = e₂(x, s₁) …, one per scalar that an
equation computes. Everything works on that list: an intermediate value that is used twice stays one
symbol, so nothing grows exponentially unless somebody asks for the expression written out.
"""

from __future__ import annotations

import itertools
import keyword
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, UnsupportedError
from chainrule.base.place import Place
from chainrule.ir.primitive import Linear, Partials
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.tracing.stage import evaluate, trace_program
from chainrule.tracing.trace import apply
from chainrule.transform.unroll import UNROLLED

MOST_SCALARS = 20_000


@dataclass(frozen=True)
class Definition:
    """symbol = expression; `flat` where its derivative is zero almost everywhere."""

    symbol: Any
    expression: Any
    flat: bool = False
    place: Place | None = None
    operation: str = ""


class Terms:
    """Definitions in order, and fresh names for more of them."""

    def __init__(self, sympy: Any, taken: Iterable[str]) -> None:
        self.sympy = sympy
        self.definitions: dict[Any, Definition] = {}
        self._taken = set(taken)
        self._letters = _letters()
        self._known: dict[Any, Any] = {}
        self._derived: dict[tuple[Any, Any], Any] = {}

    def name(self, wish: str | None = None) -> str:
        """A name nobody has: the wish, or the next letter."""
        names: Iterator[str] = self._letters
        if wish is not None:
            names = itertools.chain([wish], (f"{wish}_{k}" for k in itertools.count(2)))
        found = next(n for n in names if n not in self._taken and not keyword.iskeyword(n))
        self._taken.add(found)
        return found

    def define(
        self,
        expression: Any,
        wish: str | None = None,
        real: bool = True,
        flat: bool = False,
        **more: Any,
    ) -> Any:
        """A symbol for an expression; what is a symbol, a number or a truth value stays itself."""
        S = self.sympy
        if expression.is_Symbol and not flat:
            return expression
        if not expression.is_Symbol and (
            isinstance(expression, S.logic.boolalg.Boolean) or expression.is_Atom
        ):
            return expression
        if (expression, flat) not in self._known:
            symbol = S.Symbol(self.name(wish), real=True if real else None)
            self.definitions[symbol] = Definition(symbol, expression, flat, **more)
            self._known[expression, flat] = symbol
        return self._known[expression, flat]

    def needed(self, outputs: Iterable[Any]) -> list[Definition]:
        """The definitions that some expressions rest on, in order."""
        wanted: set[Any] = set()
        for out in outputs:
            wanted |= out.free_symbols
        kept = []
        for symbol in reversed(self.definitions):
            if symbol in wanted:
                kept.append(self.definitions[symbol])
                wanted |= kept[-1].expression.free_symbols
        return kept[::-1]

    # ---- the chain rule -----------------------------------------------------------------------

    def derivative(self, outputs: Sequence[Any], variable: Any) -> list[Any]:
        """The total derivative of each output: SymPy differentiates one definition at a time."""
        for definition in self.needed(outputs):
            key = (definition.symbol, variable)
            if key not in self._derived:
                slope = self._total(definition.expression, variable, definition)
                wish = f"{definition.symbol}_{variable}"
                real = definition.symbol.is_real
                self._derived[key] = self.define(
                    slope, wish, real=real, place=definition.place, operation=definition.operation
                )
        return [self._total(out, variable, None) for out in outputs]

    def _total(self, expression: Any, variable: Any, definition: Definition | None) -> Any:
        """d expression / d variable, through every symbol that depends on it."""
        S = self.sympy
        if isinstance(expression, S.logic.boolalg.Boolean) and not expression.is_Symbol:
            return S.Integer(0)
        if definition is not None and definition.flat:
            return S.Integer(0)
        if expression.is_Add:
            return S.Add(*[self._total(part, variable, definition) for part in expression.args])
        if isinstance(expression, S.Piecewise):
            # Inside the branches, so that an undefined slope in one not taken doesn't count.
            pieces = [(self._total(e, variable, definition), c) for e, c in expression.args]
            return pieces[0][0] if len({e for e, _ in pieces}) == 1 else S.Piecewise(*pieces)
        total = S.Integer(0)
        for symbol in sorted(expression.free_symbols, key=str):
            inner = S.Integer(1) if symbol == variable else self._derived.get((symbol, variable), 0)
            if inner != 0:
                total += self._partial(expression, symbol, definition) * inner
        return total

    def _partial(self, expression: Any, symbol: Any, definition: Definition | None) -> Any:
        S = self.sympy
        slope = S.diff(expression, symbol).replace(S.DiracDelta, lambda *_: S.Integer(0))
        if slope.has(S.Derivative, S.Subs):
            raise UnsupportedError(
                "symbolic: SymPy has no derivative for this operation",
                {"operation": definition.operation if definition else "", "formula": expression},
                "differentiate with cr.grad or cr.jvp instead",
                where=definition.place if definition else None,
            )
        return slope

    # ---- sizes and full expressions -----------------------------------------------------------

    def operations(self, outputs: Sequence[Any], shared: bool) -> int:
        """How many operations: each definition once, or as often as it'd be written out."""
        sizes: dict[Any, int] = {}
        total = 0
        for definition in self.needed(outputs):
            own = count(definition.expression)
            sizes[definition.symbol] = own + self._inner(definition.expression, sizes)
            total += own
        ends = sum(map(count, outputs))
        if shared:
            return total + ends
        return ends + sum(self._inner(out, sizes) for out in outputs)

    def _inner(self, expression: Any, sizes: dict[Any, int]) -> int:
        """The sizes behind all symbols of an expression, counted at every occurrence."""
        nodes = self.sympy.preorder_traversal(expression)
        return sum(sizes.get(node, 0) for node in nodes if node.is_Symbol)

    def written_out(self, outputs: Sequence[Any]) -> list[Any]:
        """The outputs with every definition put in."""
        full: dict[Any, Any] = {}
        for definition in self.needed(outputs):
            full[definition.symbol] = definition.expression.xreplace(full)
        return [out.xreplace(full) for out in outputs]

    def compact(self, outputs: Sequence[Any], most: int = 12) -> tuple[list[Definition], list[Any]]:
        """Definitions for reading: short ones that are used once stand where they are used."""
        definitions = self.needed(outputs)
        uses: dict[Any, int] = {}
        for expression in (*(d.expression for d in definitions), *outputs):
            for node in self.sympy.preorder_traversal(expression):
                if node.is_Symbol:
                    uses[node] = uses.get(node, 0) + 1
        inline: dict[Any, Any] = {}
        kept = []
        for d in definitions:
            expression = d.expression.xreplace(inline)
            if uses[d.symbol] == 1 and count(expression) <= most:
                inline[d.symbol] = expression
            else:
                kept.append(Definition(d.symbol, expression, d.flat, d.place, d.operation))
        return kept, [out.xreplace(inline) for out in outputs]


def count(expression: Any) -> int:
    """SymPy's own count of the operations of one expression."""
    return int(expression.count_ops())


# ---- from a program --------------------------------------------------------------------------


def terms_of(
    sympy: Any, program: Program, leaves: Sequence[Any], symbols: Sequence[Any]
) -> tuple[Terms, list[Any]]:
    """Definitions for every scalar of a program, and its outputs.

    Args:
        leaves: the values the program was traced with.
        symbols: one object array of symbols per input.
    """
    reader = _Reader(sympy, program, leaves, symbols)
    for equation in program.equations:
        reader.add(equation)
    outputs = [reader.expressions(out) for out in program.outputs]
    return reader.terms, outputs


class _Reader:
    """Walks a program, with the value and the expressions of every variable."""

    def __init__(
        self,
        sympy: Any,
        program: Program,
        leaves: Sequence[Any],
        symbols: Sequence[Any],
        terms: Terms | None = None,
    ) -> None:
        scalars = sum(v.type.size for v in program.variables())
        if scalars > MOST_SCALARS:
            raise ArgumentError(
                f"symbolic: the program has {scalars:,} scalars, too many for a formula",
                {"function": program.name, "most": f"{MOST_SCALARS:,}"},
                "use smaller arrays; or cr.grad, which has no such limit",
            )
        self.sympy = sympy
        self.terms = terms or Terms(sympy, [str(s) for array in symbols for s in array.flat])
        self.values: dict[int, Any] = {v.number: a for v, a in program.captured}
        self.known: dict[int, Any] = {}
        for var, leaf, array in zip(program.inputs, leaves, symbols, strict=True):
            self.values[var.number] = leaf
            self.known[var.number] = array

    def value(self, operand: Operand) -> Any:
        return operand.value if isinstance(operand, Constant) else self.values[operand.number]

    def expressions(self, operand: Operand) -> Any:
        """An object array of expressions."""
        if isinstance(operand, Var) and operand.number in self.known:
            return self.known[operand.number]
        value = np.asarray(self.value(operand))
        return as_objects([number(self.sympy, v) for v in value.flat], value.shape)

    def add(self, equation: Equation) -> None:
        op, params = equation.primitive, dict(equation.params)
        with np.errstate(all="ignore"):
            result = apply(op, *map(self.value, equation.inputs), **params)
        results = result if op.multiple else (result,)
        for var, value in zip(equation.outputs, results, strict=True):
            self.values[var.number] = value
        varying = any(isinstance(i, Var) and i.number in self.known for i in equation.inputs)
        if not varying:
            return
        if op.symbolic is None and op not in UNROLLED:
            if all(var.type.dtype.kind in "iub" for var in equation.outputs):
                return  # positions and choices: the formula holds where they are what they are here
            raise _no_formula(equation)
        operands = [self._operand(equation, k) for k in range(len(equation.inputs))]
        try:
            found: Any = op.symbolic and op.symbolic(self.sympy, *operands, **params)
        except NotImplementedError as error:
            raise _no_formula(equation) from error
        except UnsupportedError as error:
            error.where = equation.place or error.where
            raise
        parts = found if op.multiple else (found,)
        if found is None:
            parts = self._inside(equation, [self.value(i) for i in equation.inputs], operands)
        for var, part in zip(equation.outputs, parts, strict=True):
            self.known[var.number] = self._define(part, var, equation)

    def _inside(self, equation: Equation, values: list[Any], operands: list[Any]) -> list[Any]:
        """A function or a loop that is one equation: its own operations, read in turn."""
        unrolled, params = UNROLLED.get(equation.primitive), equation.params

        def function(*xs: Any) -> Any:
            if unrolled is None:
                return tuple(params["callee"].function(*xs))
            return unrolled(evaluate, *xs, **params)

        program = trace_program(function, *values)
        inner = _Reader(self.sympy, program, values, operands, self.terms)
        for equation in program.equations:
            inner.add(equation)
        return [inner.expressions(out) for out in program.outputs]

    def _operand(self, equation: Equation, k: int) -> Any:
        """Expressions; but plain numbers for constant positions, and 0 and 1 for truth values."""
        op, operand = equation.primitive, equation.inputs[k]
        elementwise = isinstance(op.derivative, Partials) or op.flat
        constant = not (isinstance(operand, Var) and operand.number in self.known)
        value = np.asarray(self.value(operand))
        linear = elementwise or k in op.linear_args(len(equation.inputs))
        if constant and value.dtype.kind in "iub" and not linear:
            return value
        array = self.expressions(operand)
        boolean = all(var.type.dtype.kind == "b" for var in equation.outputs)
        if (
            value.dtype.kind == "b"
            and linear
            and not boolean
            and isinstance(op.derivative, (Linear, Partials))
        ):
            array = as_objects([self._indicator(e) for e in array.flat], array.shape)
        return array

    def _indicator(self, condition: Any) -> Any:
        S = self.sympy
        return S.Piecewise((S.Integer(1), condition), (S.Integer(0), True))

    def _define(self, part: Any, var: Var, equation: Equation) -> Any:
        entries = part.flat if isinstance(part, np.ndarray) else [part]
        more: dict[str, Any] = {
            "real": var.type.dtype.kind != "c",
            "flat": equation.primitive.flat,
            "place": equation.place,
            "operation": equation.primitive.name,
        }
        made: dict[Any, Any] = {}
        symbols = []
        for entry in entries:
            # NumPy stores a 0-dimensional array of objects as the object itself: take it out again.
            expression = self.sympy.sympify(entry[()] if isinstance(entry, np.ndarray) else entry)
            if expression not in made:
                made[expression] = self.terms.define(expression, **more)
            symbols.append(made[expression])
        return as_objects(symbols, var.type.shape)


def _no_formula(equation: Equation) -> UnsupportedError:
    name = equation.primitive.name
    return UnsupportedError(
        f"symbolic: {name} has no formula in SymPy",
        {"operation": name, "result": ", ".join(str(v.type) for v in equation.outputs)},
        "differentiate with cr.grad or cr.jvp instead",
        where=equation.place,
    )


def number(sympy: Any, value: Any) -> Any:
    """A number as mathematics writes it: 2, 1/10, pi; else with all its digits."""
    if isinstance(value, (bool, np.bool_)):
        return sympy.true if value else sympy.false
    if isinstance(value, (complex, np.complexfloating)):
        return number(sympy, value.real) + sympy.I * number(sympy, value.imag)
    if isinstance(value, (int, np.integer)):
        return sympy.Integer(int(value))
    digits = str(value)
    value = float(value)
    if not math.isfinite(value):
        return sympy.nan if math.isnan(value) else sympy.oo * (1 if value > 0 else -1)
    for constant, expression in ((math.pi, sympy.pi), (math.e, sympy.E)):
        if abs(value) == constant:
            return expression if value > 0 else -expression
    if value.is_integer() and abs(value) < 1e15:
        return sympy.Integer(int(value))
    if len(digits) <= 8 and "e" not in digits:
        return sympy.Rational(digits)
    ratio = sympy.Rational(value)
    return ratio if ratio.q <= 64 else sympy.Float(value, 17)


def as_objects(entries: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """An object array of exactly this shape, whatever the entries can do."""
    array = np.empty(len(entries), object)
    for k, entry in enumerate(entries):
        array[k] = entry
    return array.reshape(shape)


def _letters() -> Iterator[str]:
    """a, b, … z, aa, ab …"""
    for length in itertools.count(1):
        for letters in itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=length):
            yield "".join(letters)
