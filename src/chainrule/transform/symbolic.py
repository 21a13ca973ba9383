"""The derivative as a formula: a traced program read as SymPy expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError
from chainrule.base.trees import flatten, paths, unflatten
from chainrule.ir.program import Program
from chainrule.ir.types import type_of
from chainrule.tracing.stage import trace_program
from chainrule.tracing.trace import resolve
from chainrule.transform.arguments import check_callable, chosen
from chainrule.transform.irregularity import assumptions
from chainrule.transform.sample import refuse_traced
from chainrule.transform.symbolic_names import (
    distinct,
    leaves_and_paths,
    parameter_names,
    symbols_of,
)
from chainrule.transform.symbolic_terms import Terms, as_objects, terms_of

READABLE = 120  # operations that are still printed as one formula
MOST_WRITTEN_OUT = 20_000


def symbolic(f: Callable[..., Any], *example: Any) -> Symbolic:
    """The value and the derivatives of f as formulas.

    f is traced at the example, loops unrolled, and every operation is read as a SymPy expression.
    SymPy differentiates those by its own rules, one at a time; intermediate values that are used
    twice stay shared, so that sizes don't explode.

    Args:
        f: a function of numbers or small arrays, in plain NumPy.
        example: arguments of the right shapes. Only where f branches in Python on a value does
            their value matter: the formula then holds for the branch taken, and says so.

    Returns:
        A `Symbolic`: `.value`, `.derivative(argnum)`, `.symbols` (SymPy); `.latex()`, `.mathml()`,
        `.count_ops()`; `.function(argnum)`, a NumPy function of the formula; `str()` for reading.

    Raises:
        UnsupportedError: an operation without a formula, with the user's line.
        ArgumentError: more than 20,000 scalars.

    Derivative: at kinks the values of `grad`, written as Piecewise.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> formula = cr.symbolic(lambda x, z: np.exp(x * z) + np.log(x), 2.0, 3.0)
        >>> formula.value
        exp(x*z) + log(x)
        >>> formula.derivative(0)
        z*exp(x*z) + 1/x
    """
    sympy = load()
    check_callable(f, "symbolic")
    refuse_traced(example, "symbolic")
    leaves = [resolve(leaf) for leaf in flatten(example)[0]]
    names = parameter_names(f, len(example))
    symbols = [symbols_of(sympy, name, arg) for name, arg in zip(names, example, strict=True)]
    symbols = distinct(sympy, symbols)
    with np.errstate(all="ignore"):  # the values matter to Python's branches only
        program = trace_program(f, *example)
    flat = [array for arrays in symbols for array in arrays]
    terms, outputs = terms_of(sympy, program, leaves, flat)
    return Symbolic(
        sympy, program, names, example, symbols, terms, outputs, assumptions(f, example)
    )


def load() -> Any:
    """SymPy, imported when it's first needed: that takes half a second."""
    import sympy

    return sympy


class Symbolic:
    """A function as formulas: what `symbolic` returns."""

    def __init__(
        self,
        sympy: Any,
        program: Program,
        names: Sequence[str],
        example: Sequence[Any],
        symbols: list[list[Any]],
        terms: Terms,
        outputs: list[Any],
        remarks: list[str],
    ) -> None:
        self._sympy, self.program, self.names = sympy, program, tuple(names)
        self._example, self._symbols = example, symbols
        self._terms, self._outputs = terms, outputs
        self._slopes: dict[int, list[Any]] = {}
        self.remarks = tuple(remarks)

    @property
    def symbols(self) -> tuple[Any, ...]:
        """Per argument its symbol, or an object array or tree of symbols."""
        return tuple(
            _like(argument, arrays)
            for argument, arrays in zip(self._example, self._symbols, strict=True)
        )

    @property
    def value(self) -> Any:
        """f itself: a SymPy expression, or an object array (a tree of them) for array results."""
        return self._tree([self._full(out) for out in self._outputs])

    def derivative(self, argnum: int = 0) -> Any:
        """The derivative by one argument, of shape `out.shape + in.shape`.

        Args:
            argnum: which argument, counted from 0.

        Returns:
            A SymPy expression where both shapes are (); else an object array, in the trees of the
            output and of the argument.

        Raises:
            ArgumentError: written out it has more than 20,000 operations; `shared` names them.
        """
        position = self._position(argnum)
        columns = self._columns(position)
        return self._tree(
            [
                _like(self._example[position], [self._full(block) for block in row])
                for row in columns
            ]
        )

    def shared(self, argnum: int | None = None) -> tuple[list[tuple[Any, Any]], list[Any]]:
        """The value (or a derivative) with its shared parts named.

        Returns:
            `(definitions, results)`: pairs (symbol, expression) in order, each using only symbols
            before it, and the entries of the result.
        """
        kept, ends = self._terms.compact(self._ends(argnum))
        return [(d.symbol, d.expression) for d in kept], ends

    def count_ops(self, argnum: int | None = None, shared: bool = True) -> int:
        """How many operations a formula has.

        Args:
            argnum: the derivative by this argument; None for the value.
            shared: count a part that is used twice once; otherwise count what would be written out.
                Both are counted on the shared form, so that even 10³⁰⁰ costs nothing.
        """
        return self._terms.operations(self._ends(argnum), shared)

    def latex(self, argnum: int | None = None) -> str:
        """The value (or a derivative) in LaTeX; large ones as aligned lines of shared parts."""
        lines = [
            f"{self._sympy.latex(left)} &= {self._sympy.latex(right)}"
            for left, right in self._lines(argnum)
        ]
        if len(lines) == 1:
            return lines[0].split(" &= ", 1)[1]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def mathml(self, argnum: int | None = None) -> str:
        """The value (or a derivative) in presentation MathML, for a page."""
        rows = []
        for left, right in self._lines(argnum):
            parts = [
                self._sympy.mathml(side, printer="presentation", mul_symbol="&#8290;")
                for side in (left, right)
            ]
            rows.append(f"<mrow>{parts[0]}<mo>=</mo>{parts[1]}</mrow>")
        body = "".join(f"<mtr><mtd>{row}</mtd></mtr>" for row in rows)
        return f"<math><mtable>{body}</mtable></math>"

    def function(self, argnum: int | None = None) -> Callable[..., Any]:
        """The formula as a NumPy function of f's arguments: the value, or a derivative.

        It computes shared parts once, and nothing of f itself.
        """
        position = None if argnum is None else self._position(argnum)
        compiled = self._compile(self._ends(argnum))
        kinds = [tuple(out.shape) for out in self._outputs]
        trees = flatten(self._example)[0]

        def evaluate(*args: Any) -> Any:
            """The formula at these arguments."""
            leaves = flatten(args)[0]
            if [np.shape(a) for a in leaves] != [np.shape(b) for b in trees]:
                raise ArgumentError(
                    "symbolic: the arguments have other shapes than the example",
                    {
                        "example": [np.shape(b) for b in trees],
                        "given": [np.shape(a) for a in leaves],
                    },
                    "call cr.symbolic(f, *args) again",
                )
            with np.errstate(all="ignore"):
                entries = compiled(*[v for leaf in leaves for v in np.asarray(leaf).flat])
            stream = iter([_floating(entry) for entry in entries])
            if position is None:
                return self._tree([_take(stream, shape) for shape in kinds])
            blocks = [array.shape for array in self._symbols[position]]
            return self._tree(
                [
                    _like(
                        self._example[position], [_take(stream, (*out, *block)) for block in blocks]
                    )
                    for out in kinds
                ]
            )

        return evaluate

    def report(self) -> str:
        """The formulas, and per formula its size shared and written out."""
        lines = [f"{self.program.name}({', '.join(self.names)})"]
        for argnum in (None, *self._differentiable()):
            title = self._title(argnum)
            small = self.count_ops(argnum, shared=False) <= READABLE
            lines.append(f"  {title}: {self._sizes(argnum)}")
            if small:
                entries = self._entries(argnum)
                lines += [f"    {label} = {expression}" for label, expression in entries]
            else:
                lines += [f"    {left} = {right}" for left, right in self._lines(argnum)]
        lines += [f"  holds {remark}" for remark in self.remarks]
        return "\n".join(lines)

    __str__ = report
    __repr__ = report

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    # ---- parts ----------------------------------------------------------------------------------

    def _position(self, argnum: int) -> int:
        (position,) = chosen(argnum, len(self._example), "symbolic")
        for leaf, path in zip(*leaves_and_paths(self._example[position]), strict=True):
            if np.asarray(leaf).dtype.kind not in "fc":
                raise DtypeError(
                    "symbolic: only floating-point arguments can be differentiated",
                    {f"argument {position}{path}": type_of(np.asarray(leaf))},
                    "pass a float in the example: 2.0 instead of 2",
                )
        return position

    def _differentiable(self) -> list[int]:
        kinds = [
            all(np.asarray(leaf).dtype.kind in "fc" for leaf in flatten(a)[0])
            for a in self._example
        ]
        return [k for k, good in enumerate(kinds) if good]

    def _columns(self, position: int) -> list[list[Any]]:
        """Per output leaf, per leaf of the argument: an object array out.shape + in.shape."""
        if position not in self._slopes:
            ends = [e for out in self._outputs for e in out.flat]
            flat: list[list[Any]] = []
            for array in self._symbols[position]:
                flat.append([self._terms.derivative(ends, symbol) for symbol in array.flat])
            rows, start = [], 0
            for out in self._outputs:
                blocks = []
                for array, columns in zip(self._symbols[position], flat, strict=True):
                    entries = [column[start + k] for k in range(out.size) for column in columns]
                    blocks.append(as_objects(entries, (*out.shape, *array.shape)))
                rows.append(blocks)
                start += out.size
            self._slopes[position] = rows
        return self._slopes[position]

    def _ends(self, argnum: int | None) -> list[Any]:
        if argnum is None:
            return [e for out in self._outputs for e in out.flat]
        return [
            e for row in self._columns(self._position(argnum)) for block in row for e in block.flat
        ]

    def _full(self, array: Any) -> Any:
        entries = list(array.flat)
        size = self._terms.operations(entries, shared=False)
        if size > MOST_WRITTEN_OUT:
            raise ArgumentError(
                f"symbolic: written out, this formula has {size:,} operations",
                {"shared": f"{self._terms.operations(entries, shared=True):,} operations"},
                "print the object, or use .shared(argnum), which names the parts",
            )
        return as_objects(self._terms.written_out(entries), array.shape)[()]

    def _tree(self, leaves: list[Any]) -> Any:
        return unflatten(self.program.out_tree, leaves)

    def _title(self, argnum: int | None) -> str:
        if argnum is None:
            return "value"
        return f"derivative by {self.names[argnum]}"

    def _sizes(self, argnum: int | None) -> str:
        shared, full = self.count_ops(argnum), self.count_ops(argnum, shared=False)
        return f"{shared:,} operation{'s' * (shared != 1)} shared, {full:,} written out"

    def _labels(self, argnum: int | None) -> list[str]:
        name = self.program.name if self.program.name.isidentifier() else "f"
        outs = [
            f"{name}{path}{_index(index)}"
            for out, path in zip(self._outputs, _out_paths(self.program), strict=True)
            for index in np.ndindex(out.shape)
        ]
        if argnum is None:
            return outs
        ins = [str(s) for array in self._symbols[argnum] for s in array.flat]
        labels = []
        start = 0
        for out in self._outputs:
            for array_start, array in _offsets(self._symbols[argnum]):
                for o in range(out.size):
                    row = outs[start + o]
                    labels += [f"d{row}/d{ins[array_start + i]}" for i in range(array.size)]
            start += out.size
        return labels

    def _entries(self, argnum: int | None) -> list[tuple[str, Any]]:
        ends = self._terms.written_out(self._ends(argnum))
        return list(zip(self._labels(argnum), ends, strict=True))

    def _lines(self, argnum: int | None) -> list[tuple[Any, Any]]:
        """Left and right sides: one line per entry, the shared parts before them."""
        if self.count_ops(argnum, shared=False) <= READABLE:
            pairs = self._entries(argnum)
            definitions: list[tuple[Any, Any]] = []
        else:
            definitions, ends = self.shared(argnum)
            pairs = list(zip(self._labels(argnum), ends, strict=True))
        return definitions + [(self._sympy.Symbol(label), right) for label, right in pairs]

    def _compile(self, ends: list[Any]) -> Callable[..., Any]:
        """The definitions as one NumPy function, under names that clash with nothing."""
        S = self._sympy
        definitions = [(d.symbol, d.expression) for d in self._terms.needed(ends)]
        inputs = [s for arrays in self._symbols for array in arrays for s in array.flat]
        safe = {s: S.Symbol(f"x_{k}", real=s.is_real) for k, s in enumerate(inputs)}
        safe |= {s: S.Symbol(f"v_{k}", real=s.is_real) for k, (s, _) in enumerate(definitions)}
        renamed = [(safe[s], e.xreplace(safe)) for s, e in definitions]
        results = [e.xreplace(safe) for e in ends]
        known = set(S.printing.numpy.NumPyPrinter().known_functions) | {"Piecewise", "Abs"}
        nodes = (node for _, e in renamed for node in S.preorder_traversal(e))
        plain = all(type(n).__name__ in known for n in nodes if isinstance(n, S.Function))
        modules = ["numpy"] if plain else ["scipy", "numpy"]
        return S.lambdify(
            [safe[s] for s in inputs], results, modules=modules, cse=lambda _: (renamed, results)
        )


def _like(argument: Any, leaves: list[Any]) -> Any:
    """Leaves in the tree of an argument; a 0-dimensional array becomes its entry."""
    _, tree = flatten(argument)
    return unflatten(tree, [leaf[()] if isinstance(leaf, np.ndarray) else leaf for leaf in leaves])


def _floating(entry: Any) -> Any:
    """A computed entry as a NumPy number: the derivative 1 is 1.0."""
    array = np.asarray(entry)
    return array.astype(float)[()] if array.dtype.kind in "iu" else array[()]


def _take(stream: Any, shape: tuple[int, ...]) -> Any:
    entries = [next(stream) for _ in range(int(np.prod(shape)))]
    return np.array(entries).reshape(shape)[()] if entries else np.zeros(shape)


def _offsets(arrays: list[Any]) -> list[tuple[int, Any]]:
    pairs, start = [], 0
    for array in arrays:
        pairs.append((start, array))
        start += array.size
    return pairs


def _out_paths(program: Program) -> list[str]:
    return paths(unflatten(program.out_tree, [0.0] * len(program.outputs)))


def _index(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""
