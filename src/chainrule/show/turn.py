"""The inside of an operation with its numbers: what a body is given, and what comes back to it.

A loop's body has other numbers at every turn. Those of one are found by running the loop up to it,
and their gradients by going back from the last turn to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.ir.program import Program
from chainrule.ir.types import type_of
from chainrule.show.node import Node
from chainrule.tracing.runner import runner


def turns(node: Node) -> int:
    """How often a loop turns at the values of its graph; 0 for what is no loop."""
    loop = _loop(node)
    return 0 if loop is None else loop.count()


def within(node: Node, turn: int) -> tuple[Any, ...]:
    """The graphs of an operation's programs, with values and, once there are some, gradients.

    Args:
        node: of a graph with values.
        turn: of a loop, from 1 on, or from -1 backwards.

    Raises:
        ArgumentError: a turn that the loop doesn't make.
    """
    bodies = tuple(map(type(node.graph), node.programs))
    for body in bodies:
        body.caption = node.graph.caption
    upstream = _upstream(node)
    loop = _loop(node)
    if loop is not None:
        _at_turn(node, loop, bodies, turn, upstream)
        return bodies
    operands = [source.value for source in node.inputs]
    if node.operation == "cond":
        # The branch that isn't taken has no numbers.
        taken = bodies[:1] if bool(operands[0]) else bodies[1:]
        operands = operands[1:]
    else:
        taken = bodies
    for body in taken:
        if len(body.inputs) == len(operands):
            _fill(body, operands, upstream)
    return bodies


def _upstream(node: Node) -> list[Any] | None:
    """What comes back to each result of an equation; None before a backward sweep."""
    if not node.graph.swept:
        return None
    assert node.equation is not None
    found = [np.zeros(var.type.shape, var.type.dtype) for var in node.equation.outputs]
    for each in node.siblings:
        if each.gradient is not None:
            found[each.output] = each.gradient
    return found


def _fill(body: Any, leaves: Sequence[Any], upstream: Sequence[Any] | None) -> None:
    """Give a body values, and gradients if something comes back to it."""
    body.adopt(leaves)
    if upstream is not None:
        body.backward(tuple(upstream))


# ---- loops ---------------------------------------------------------------------------------------


class _Loop:
    """A loop at the values of its operands.

    Args:
        body: its program.
        fixed: what the body reads from outside.
        start: the first carry.
        rows: arrays of which it gets an entry per turn, in this order of places.
        test: the program that says whether it goes on, and what that reads from outside.
    """

    def __init__(
        self,
        body: Program,
        fixed: Sequence[Any],
        start: Sequence[Any],
        rows: Sequence[Any] = (),
        places: Sequence[int] = (),
        test: tuple[Program, Sequence[Any]] | None = None,
    ) -> None:
        self.body = body
        self.fixed = fixed
        self.start = [_settled(x, out) for x, out in zip(start, body.outputs, strict=False)]
        self.rows = rows
        self.places = places
        self.test = test

    def count(self) -> int:
        return len(self.places) if self.test is None else sum(1 for _ in self.turns())

    def turns(self) -> Iterator[list[Any]]:
        """What the body is given at every turn."""
        step, state, k = runner(self.body), self.start, 0
        with np.errstate(all="ignore"):  # the function itself has warned when it ran
            while self._goes_on(k, state):
                given = [*self.fixed, *state, *self.row(self.rows, k)]
                yield given
                state, k = step(*given)[: len(state)], k + 1

    def _goes_on(self, k: int, state: Sequence[Any]) -> bool:
        if self.test is None:
            return k < len(self.places)
        test, seen = self.test
        return bool(runner(test)(*seen, *state)[0])

    def row(self, arrays: Sequence[Any], k: int) -> list[Any]:
        """The entries of a turn."""
        return [array[self.places[k]] for array in arrays]


def _settled(x: Any, out: Any) -> Any:
    """A value as a loop carries it: never one of Python's own numbers."""
    return out.type.dtype.type(x) if type(x) in (bool, int, float, complex) else x


def _loop(node: Node) -> _Loop | None:
    values, p = [source.value for source in node.inputs], node.params
    if node.operation == "scan":
        first = p["consts"] + p["carry"]
        places = range(p["length"])[:: -1 if p["reverse"] else 1]
        fixed, start = values[: p["consts"]], values[p["consts"] : first]
        return _Loop(p["body"], fixed, start, values[first:], places)
    if node.operation == "while":
        seen, first = p["cond_consts"], p["cond_consts"] + p["consts"]
        test = p["cond"], values[:seen]
        return _Loop(p["body"], values[seen:first], values[first:], test=test)
    return None


def _at_turn(
    node: Node, loop: _Loop, bodies: Sequence[Any], turn: int, upstream: list[Any] | None
) -> None:
    """Give the body the numbers of one turn."""
    count = loop.count()
    if count == 0:
        return
    number = turn if turn > 0 else count + 1 + turn
    if turn == 0 or not 1 <= number <= count:
        raise ArgumentError(
            f"{node.name}: the loop has no turn {turn}",
            {"turns": count},
            "count from 1 on, or from the last one backwards: -1",
        )
    later = islice(loop.turns(), number - 1, None)
    given = [next(later)] if upstream is None else list(later)
    body = bodies[-1]
    around = f", in {node.graph.caption}" if node.graph.caption else ""
    for each in bodies:
        each.caption = f"turn {number} of {count}{around}"
    if loop.test is not None:
        bodies[0].adopt([*loop.test[1], *given[0][len(loop.fixed) :]])
    coming = None
    if upstream is not None:
        carried = upstream[: len(loop.start)]
        for k in range(count - 1, number - 1, -1):
            _fill(body, given[k - number + 1], _coming(loop, carried, upstream, k))
            heads = body.inputs[len(loop.fixed) : len(loop.fixed) + len(carried)]
            carried = [_or_zero(head) for head in heads]
        coming = _coming(loop, carried, upstream, number - 1)
    _fill(body, given[0], coming)


def _coming(loop: _Loop, carried: list[Any], upstream: list[Any], k: int) -> list[Any]:
    """What comes back to the body's results at a turn."""
    return [*carried, *loop.row(upstream[len(carried) :], k)]


def _or_zero(node: Node) -> Any:
    if node.gradient is not None:
        return node.gradient
    kind = type_of(node.value)
    return np.zeros(kind.shape, kind.dtype)
