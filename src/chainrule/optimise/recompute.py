"""What one loop keeps for another, step by step: computed again there where that costs less.

Reverse mode makes two loops: one that stacks, step by step, all that the other will read. Much of
that follows from the rest by a multiplication or two, which is cheaper than writing it to memory
and reading it again. Which values to keep, and which to compute from them, is a minimum cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from chainrule.ir.primitive import Scalar
from chainrule.ir.program import Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.cut import INFINITE, Network

_SCAN = PRIMITIVES["scan"]

# What things cost, as multiples of an addition of eight bytes.
_WRITE, _READ, _FUNCTION = 16, 8, 32
_MOVING = ("getitem", "reshape", "transpose", "broadcast_to", "stack")
_OPERATIONS = {
    **dict.fromkeys(("add", "subtract", "multiply", "negative", "square", "absolute", "select"), 1),
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"), 1),
    **dict.fromkeys(("maximum", "minimum", "astype", "copy", "sign", "logical_not"), 1),
    **dict.fromkeys(_MOVING, 1),
    **dict.fromkeys(("divide", "sqrt"), 12),
}
_MOST = 4000  # values looked at


def recompute(program: Program) -> Program:
    """The program whose loops keep less for each other."""
    equations = list(program.equations)
    scans = [k for k, equation in enumerate(equations) if equation.primitive is _SCAN]
    if len(scans) < 2:
        return program
    numbers = itertools.count(1 + max(var.number for var in program.variables()))
    changed = False
    for j in scans:
        for i in scans:
            if i >= j:
                break
            elsewhere = _read_elsewhere(equations, program.outputs, j)
            pair = _leaner(_Loop(equations[i]), _Loop(equations[j]), elsewhere, numbers)
            if pair is not None:
                equations[i], equations[j] = pair
                changed = True
    return replace(program, equations=tuple(equations)) if changed else program


def _read_elsewhere(
    equations: Sequence[Equation], outputs: Iterable[Operand], place: int
) -> set[int]:
    """The variables that anything but the rows of one loop reads."""
    found = {out.number for out in outputs if isinstance(out, Var)}
    for k, equation in enumerate(equations):
        inputs = equation.inputs
        if k == place:
            inputs = inputs[: equation.params["consts"] + equation.params["carry"]]
        found |= {a.number for a in inputs if isinstance(a, Var)}
    return found


class _Loop:
    """A scan taken apart. `kept` are the values of its body that it stacks."""

    def __init__(self, equation: Equation) -> None:
        params = equation.params
        self.equation = equation
        self.body: Program = params["body"]
        self.length, self.consts, self.carry = (
            params["length"],
            params["consts"],
            params["carry"],
        )
        self.first_row = self.consts + self.carry
        self.rows = equation.inputs[self.first_row :]
        self.stacked = equation.outputs[self.carry :]
        self.kept = self.body.outputs[self.carry :]


def _leaner(
    first: _Loop, second: _Loop, elsewhere: set[int], numbers: Iterator[int]
) -> tuple[Equation, Equation] | None:
    """A loop that stacks rows and one that reads them, keeping less; None if that's no gain."""
    sources = _sources(first, second)
    if first.length != second.length or not sources:
        return None
    found = _cut(first, elsewhere, sources.values())
    if found is None or not found[1]:
        return None
    stored = [var for var in first.body.variables() if var.number in found[0]]
    again = [e for e in first.body.equations if e.outputs[0].number in found[1]]
    lost = {var.number for var in sources.values()}
    left = [
        (out, var)
        for out, var in zip(first.kept, first.stacked, strict=True)
        if var.number in elsewhere or not (isinstance(out, Var) and out.number in lost)
    ]
    rows, outs = _kept_rows(first, stored, left, numbers)
    body = replace(
        first.body, outputs=(*first.body.outputs[: first.carry], *(out for out, _ in outs))
    )
    keeping = replace(
        first.equation,
        params={**first.equation.params, "body": body},
        outputs=(*first.equation.outputs[: first.carry], *(var for _, var in outs)),
    )
    return keeping, _computing(first, second, sources, rows, again)


def _sources(first: _Loop, second: _Loop) -> dict[int, Var]:
    """For rows of the second loop by their place: the value in the first loop's body."""
    kept = {var.number: out for var, out in zip(first.stacked, first.kept, strict=True)}
    found = {}
    for place, row in enumerate(second.rows):
        out = kept.get(row.number) if isinstance(row, Var) else None
        if isinstance(out, Var) and not out.type.weak:
            found[place] = out
    return found


def _kept_rows(
    first: _Loop,
    stored: Sequence[Var],
    left: Sequence[tuple[Operand, Var]],
    numbers: Iterator[int],
) -> tuple[list[tuple[Var, Operand]], list[tuple[Operand, Var]]]:
    """Where the values to keep are found outside the loop, and what it stacks for that."""
    given = {
        var.number: row
        for var, row in zip(first.body.inputs[first.first_row :], first.rows, strict=True)
    }
    stacked = {
        out.number: var
        for out, var in zip(first.kept, first.stacked, strict=True)
        if isinstance(out, Var)
    }
    rows: list[tuple[Var, Operand]] = []
    outs = list(left)
    for var in stored:
        if var.number in given:
            rows.append((var, given[var.number]))
            continue
        outer = stacked.get(var.number)
        if outer is None:
            kind = ArrayType((first.length, *var.type.shape), var.type.dtype)
            outer = Var(next(numbers), kind)
        if all(outer is not known for _, known in outs):
            outs.append((var, outer))
        rows.append((var, outer))
    return rows, outs


def _computing(
    first: _Loop,
    second: _Loop,
    sources: Mapping[int, Var],
    rows: Sequence[tuple[Var, Operand]],
    again: Sequence[Equation],
) -> Equation:
    """The second loop, given what is kept, computing the rest as the first one did."""
    body, start = second.body, second.first_row
    numbers = itertools.count(1 + max((var.number for var in body.variables()), default=-1))
    names: dict[int, Operand] = {}  # of the first body's values, in the second body

    def enter(var: Var) -> Var:
        new = Var(next(numbers), var.type)
        names[var.number] = new
        return new

    needed = {a.number for e in again for a in e.inputs if isinstance(a, Var)}
    needed |= {var.number for var in sources.values()}
    pairs = zip(first.body.inputs[: first.consts], first.equation.inputs, strict=False)
    fixed = [(enter(var), outer) for var, outer in pairs if var.number in needed]
    kept = [(enter(var), outer) for var, outer in rows]
    equations = []
    for e in again:
        inputs = tuple(_read(a, names) for a in e.inputs)
        equations.append(replace(e, inputs=inputs, outputs=tuple(map(enter, e.outputs))))
    stands = {
        body.inputs[start + place].number: names[var.number] for place, var in sources.items()
    }
    for e in body.equations:
        equations.append(replace(e, inputs=tuple(_read(a, stands) for a in e.inputs)))
    left = [k for k in range(len(second.rows)) if k not in sources]
    made = replace(
        body,
        inputs=(
            *(var for var, _ in fixed),
            *body.inputs[:start],
            *(body.inputs[start + k] for k in left),
            *(var for var, _ in kept),
        ),
        equations=tuple(equations),
        outputs=tuple(_read(out, stands) for out in body.outputs),
    )
    operands = (
        *(outer for _, outer in fixed),
        *second.equation.inputs[:start],
        *(second.rows[k] for k in left),
        *(outer for _, outer in kept),
    )
    params = {**second.equation.params, "body": made, "consts": second.consts + len(fixed)}
    return replace(second.equation, inputs=operands, params=params)


def _read(operand: Operand, names: Mapping[int, Operand]) -> Operand:
    return names.get(operand.number, operand) if isinstance(operand, Var) else operand


def _cut(
    loop: _Loop, elsewhere: set[int], sources: Iterable[Var]
) -> tuple[set[int], set[int]] | None:
    """Which values of a body to keep, and which to compute again; None if too many to look at."""
    body = loop.body
    made = {var.number: e for e in body.equations for var in e.outputs}
    fixed = {var.number for var in body.inputs[: loop.consts]}
    # What lies in memory anyway is only to be read.
    there = {var.number for var in body.inputs[loop.first_row :]} | {
        out.number
        for out, var in zip(loop.kept, loop.stacked, strict=True)
        if isinstance(out, Var) and var.number in elsewhere
    }
    nodes: dict[int, int] = {}
    todo = list({var.number: var for var in sources}.values())
    sinks = [var.number for var in todo]
    edges: list[tuple[int, int, int]] = []
    while todo:
        var = todo.pop()
        if var.number in nodes or var.number in fixed:
            continue
        if len(nodes) == _MOST:
            return None
        inside = nodes[var.number] = 2 + 2 * len(nodes)
        equation = made.get(var.number)
        price = INFINITE if var.type.weak else _price_of_keeping(var, var.number in there)
        if equation is not None and equation.primitive.name in _MOVING:
            price += 2 * var.type.size  # rather what it was made from, in the order that it has
        edges.append((inside, inside + 1, price))
        cost = INFINITE if equation is None else _price_of_computing(equation)
        edges.append((0, inside, cost))
        if equation is not None and cost < INFINITE:
            for a in equation.inputs:
                if isinstance(a, Var) and a.number not in fixed:
                    todo.append(a)
                    edges.append((-a.number - 1, inside, INFINITE))
    network = Network(2 + 2 * len(nodes))
    for start, end, room in edges:
        network.edge(start if start >= 0 else nodes[-start - 1] + 1, end, room)
    for number in sinks:
        if number in nodes:
            network.edge(nodes[number] + 1, 1, INFINITE)
    network.fill(0, 1)
    late = network.before(1)
    stored = {n for n, node in nodes.items() if node not in late and node + 1 in late}
    again = {n for n, node in nodes.items() if node in late}
    if any(made.get(n) is None for n in again):
        return None  # something that can neither be kept nor computed
    return stored, again


def _price_of_keeping(var: Var, there: bool) -> int:
    return (_READ if there else _READ + _WRITE) * var.type.size * var.type.dtype.itemsize // 8


def _price_of_computing(equation: Equation) -> int:
    op = equation.primitive
    if op.multiple:
        return INFINITE
    each = _OPERATIONS.get(op.name)
    if each is None and not isinstance(op.lower, Scalar):
        return INFINITE
    if op.name == "getitem" and len(equation.inputs) > 1:
        return INFINITE
    kind = equation.outputs[0].type
    return (_FUNCTION if each is None else each) * kind.size * kind.dtype.itemsize // 8
