"""Everything a page shows of a graph, as one program: values, gradients, tangents, local ones.

The program is traced from the sweeps of `flow.py` and of forward mode themselves, so nothing is
differentiated a second time; printed as JavaScript it lets a page follow edited inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.ir.primitive import Partials
from chainrule.ir.program import Program, Var
from chainrule.optimise.algebra import simplify
from chainrule.optimise.cleanup import prune, share
from chainrule.optimise.inline import inline
from chainrule.optimise.rewrite import Rewrite
from chainrule.show.flow import Flow, listen, walk
from chainrule.show.graph import ComputationGraph
from chainrule.show.node import Edge, Node
from chainrule.tracing.stage import trace_program
from chainrule.tracing.trace import apply
from chainrule.transform.forward import jvp
from chainrule.transform.gradient import vjp
from chainrule.transform.jacobian import jacobian

SMALL = 64  # entries of a Jacobian that a page shows


@dataclass(frozen=True, eq=False)
class Sweeps:
    """The program of all that is shown.

    Attributes:
        program: `(leaves, captured arrays, a tangent per floating-point leaf) → outputs`; arrays
            that its rules made come to its own `captured`.
        moving: which leaves have a tangent.
        places: what → its place among the outputs: ("value", node), ("tangent", node),
            ("gradient", node), ("contribution", edge), ("local", edge), by their numbers.
    """

    program: Program
    moving: tuple[int, ...]
    places: dict[tuple[str, int], int]


def sweeps(graph: ComputationGraph) -> Sweeps:
    """The program of a graph's values, tangents, gradients, local ones and contributions."""
    program = graph.program
    number_of = numbers(graph)
    moving = tuple(k for k, var in enumerate(program.inputs) if var.type.dtype.kind == "f")
    captured = [value for _, value in program.captured]
    seeds = [np.zeros(program.inputs[k].type.shape, program.inputs[k].type.dtype) for k in moving]
    places: dict[tuple[str, int], int] = {}

    def every(leaves: Sequence[Any], captured: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
        results: list[Any] = []

        def give(what: str, number: int, value: Any) -> None:
            if value is not None:
                places[what, number] = len(results)
                results.append(value)

        def forward(*moved: Any) -> list[Any]:
            given = list(leaves)
            for k, leaf in zip(moving, moved, strict=True):
                given[k] = leaf
            env = walk(program, given, captured)
            return [env[number] for number in number_of.values()]

        values, tangents = jvp(forward, [leaves[k] for k in moving], list(seeds))
        env = dict(zip(number_of, values, strict=True))
        flow = Flow(program, leaves, captured, [_ones(node) for node in graph.outputs])
        for (index, number), value, tangent in zip(
            number_of.items(), values, tangents, strict=True
        ):
            give("value", index, value)
            if graph.nodes[index].type.dtype.kind == "f":
                give("tangent", index, tangent)
                give("gradient", index, flow.gradient(number))
        for k, edge in enumerate(graph.edges):
            if is_moving(edge):
                give("contribution", k, _contribution(edge, flow, env))
                give("local", k, _local(edge, env))
        return results

    traced = trace_program(every, list(graph.leaves or ()), captured, seeds, values=False)
    return Sweeps(_cleaned(traced), moving, places)


def tangents(graph: ComputationGraph) -> tuple[int, dict[int, Any]]:
    """Forward mode along the first number that can vary: its leaf, and node's index → tangent.

    Raises:
        ChainruleError: there is no derivative.
    """
    program, number_of = graph.program, numbers(graph)
    leaves = list(graph.leaves or ())
    k = next(k for k, var in enumerate(program.inputs) if var.type.dtype.kind == "f")
    seed = np.zeros(program.inputs[k].type.shape, program.inputs[k].type.dtype)
    seed.flat[:1] = 1
    captured = [value for _, value in program.captured]

    def forward(moved: Any) -> list[Any]:
        env = walk(program, [*leaves[:k], moved, *leaves[k + 1 :]], captured)
        return [env[number] for number in number_of.values()]

    _, found = jvp(forward, [leaves[k]], [seed[()]])
    moves = {node.index for node in graph.nodes if node.type.dtype.kind == "f"}
    return k, {index: t for index, t in zip(number_of, found, strict=True) if index in moves}


def numbers(graph: ComputationGraph) -> dict[int, int]:
    """Node's index → the number of its variable, for all but literals."""
    inputs = iter(graph.program.inputs)
    captured = iter(graph.program.captured)
    found: dict[int, int] = {}
    for node in graph.nodes:
        if node.kind == "input":
            found[node.index] = next(inputs).number
        elif node.kind == "captured":
            found[node.index] = next(captured)[0].number
        elif node.equation is not None:
            found[node.index] = node.equation.outputs[node.output].number
    return found


def is_moving(edge: Edge) -> bool:
    """Whether a gradient can flow along an edge."""
    return edge.source.kind != "constant" and edge.source.type.dtype.kind == "f"


def _ones(node: Node) -> Any:
    """What comes to an output from above."""
    if node.type.dtype.kind != "f":
        return None
    return np.ones(node.type.shape, node.type.dtype)[()]


def _local(edge: Edge, env: dict[int, Any]) -> Any:
    """∂(target)/∂(source) here: entry by entry, or as a small Jacobian; None if it's constant."""
    node, equation = edge.target, edge.target.equation
    assert equation is not None
    if node.type.dtype.kind != "f":
        return None
    xs = [env.get(source.index, source.value) for source in node.inputs]
    op, params = equation.primitive, equation.params
    if isinstance(op.derivative, Partials):
        rule = op.derivative.rules[edge.slot]
        d = rule(env[node.index], *xs, **params) if callable(rule) else rule
        return np.broadcast_to(d, node.type.shape) if np.shape(d) != node.type.shape else d
    if op.multiple or node.type.size * edge.source.type.size > SMALL:
        return None
    return jacobian(_alone(edge.slot, xs, op, params))(xs[edge.slot])


def _contribution(edge: Edge, flow: Flow, env: dict[int, Any]) -> Any:
    """What flows back along an edge: of several results of one operation, each brings its part."""
    node, equation = edge.target, edge.target.equation
    assert equation is not None
    if len(node.siblings) == 1:
        return flow.contribution(equation.outputs[0].number, edge.slot)
    upstream = flow.gradient(equation.outputs[node.output].number)
    if upstream is None:
        return None
    xs = [env.get(source.index, source.value) for source in node.inputs]
    alone = _alone(edge.slot, xs, equation.primitive, equation.params)
    return vjp(lambda x: alone(x)[node.output], xs[edge.slot])[1](upstream)[0]


def _alone(slot: int, xs: list[Any], op: Any, params: Any) -> Callable[[Any], Any]:
    return lambda x: apply(op, *xs[:slot], x, *xs[slot + 1 :], **params)


def _cleaned(program: Program) -> Program:
    """Without what only listens, without repetition."""
    rewrite = Rewrite(program)
    for equation in program.equations:
        equation = rewrite.current(equation)
        if equation.primitive is listen:
            rewrite.replace(equation.outputs[0], equation.inputs[0], equation)
        else:
            rewrite.keep(equation)
    return prune(share(simplify(inline(rewrite.finish()))))


def labels(graph: ComputationGraph, made: Sweeps) -> dict[int, str]:
    """What the variables of the program are called in its text."""
    found: dict[int, str] = {}
    prefixes = {"value": "", "gradient": "grad_", "tangent": "dot_"}
    for prefix, text in prefixes.items():
        for node in graph.nodes:
            place = made.places.get((prefix, node.index))
            if place is None:
                continue
            out = made.program.outputs[place]
            if isinstance(out, Var):
                found.setdefault(out.number, text + node.name)
    for var in made.program.variables():
        found.setdefault(var.number, "t")
    return found
