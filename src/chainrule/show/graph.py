"""The computation graph of a function: its values, its gradients, and what depends on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.place import user_place
from chainrule.base.trees import flatten, outline, same_structure, unflatten
from chainrule.ir.program import Constant, Operand, Program
from chainrule.ir.types import type_of
from chainrule.show.assembly import assembled
from chainrule.show.derivative import local_gradient, partial, pulled, total
from chainrule.show.flow import Flow, plain, tangents, walk
from chainrule.show.fold import By
from chainrule.show.naming import Names, program_of, renamed
from chainrule.show.node import Edge, Node
from chainrule.show.path import fitting, followed
from chainrule.show.picture import FoldedPicture, Pictured, folded
from chainrule.show.table import Table, forward_table, reverse_table
from chainrule.show.turn import turns, within
from chainrule.tracing.stage import trace_program
from chainrule.tracing.trace import resolve
from chainrule.transform.sample import refuse_traced


def graph(f: Callable[..., Any], *args: Any, names: Names | None = None) -> ComputationGraph:
    """The computation graph of f at these arguments.

    Args:
        f: a function of arrays, numbers or trees of them, written in plain NumPy.
        args: where; Python control flow follows these values.
        names: other names for its nodes: a dict from the name a node has to the one it shall have,
            or a list of names for the inputs and intermediate values, in topological order.

    Returns:
        A `ComputationGraph`, with the values at these arguments.

    Raises:
        TraceError, UnsupportedError: f does something that can't be traced.
        ArgumentError: `names` names no node, or one name twice.

    Example:
        >>> import chainrule as cr
        >>> g = cr.graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
        >>> [float(d) for d in g.backward()]
        [-4.0, -4.0, 3.0]
    """
    if not callable(f):
        raise ArgumentError(
            "graph: the first argument must be a function",
            {"given": f"{type(f).__name__} {f!r}"[:100]},
            "write cr.graph(f, x), not cr.graph(f(x))",
        )
    refuse_traced(args, "graph")
    program = program_of(f, args, user_place(1))
    if names is not None:
        program = renamed(program, names)
    return ComputationGraph(program, f, args)


class ComputationGraph(Pictured):
    """A traced function as nodes and edges, with values and gradients.

    Attributes:
        nodes: in topological order: every node after those it reads.
        edges: one per operand that is read.
        inputs: the nodes of the arguments' leaves, in order.
        outputs: the nodes of the result's leaves, in order.
        program: the program that it shows.
        caption: what its picture says below it: of a loop's body, which turn's its numbers are.
    """

    def __init__(
        self,
        program: Program,
        function: Callable[..., Any] | None = None,
        args: tuple[Any, ...] | None = None,
    ) -> None:
        self.program = program
        self.function = function
        self.caption = ""
        self._flow: Flow | None = None
        self._turns: dict[int, int] = {}
        self._locals: dict[tuple[int, int], Any] = {}
        self.leaves: list[Any] | None = None
        self._of, self.nodes = assembled(self, program)
        self.inputs = tuple(self._of[var.number] for var in program.inputs)
        # A literal that is a result has a node of its own, after all others, in order.
        literals = iter(self.nodes[len(self.nodes) - _literals(program) :])
        self.outputs = tuple(
            next(literals) if isinstance(out, Constant) else self._of[out.number]
            for out in program.outputs
        )
        self.edges = tuple(
            Edge(source, node, k) for node in self.nodes for k, source in enumerate(node.inputs)
        )
        if args is not None:
            self.adopt(flatten(args)[0])

    # ---- its parts ------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """The node of this name."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes if node.kind != "constant")
        raise ArgumentError(
            f"the graph has no node called {name!r}",
            {"nodes": known},
            "use one of these names, or give names with cr.graph(f, …, names={old: new})",
        )

    def nodes_topologically_sorted(self) -> tuple[Node, ...]:
        """Every node after those it reads: the lecture's name for `nodes`."""
        return self.nodes

    def adjacency_matrix(self) -> np.ndarray:
        """How often node j reads node i, at [i, j]; strictly upper triangular, for it's acyclic."""
        matrix = np.zeros((len(self.nodes), len(self.nodes)), int)
        for edge in self.edges:
            matrix[edge.source.index, edge.target.index] += 1
        return matrix

    # ---- values and gradients -------------------------------------------------------------------

    def adopt(self, leaves: Sequence[Any]) -> None:
        """Compute all values from these leaves of the inputs, without tracing again."""
        # Copies: what the user writes into an argument later changes nothing here.
        given = [resolve(leaf) for leaf in leaves]
        self.leaves = [x.copy() if isinstance(x, np.ndarray) else x for x in given]
        env = walk(self.program, self.leaves, self._captured())
        for number, node in self._of.items():
            node.value = plain(env[number])
            node.gradient = None
        self._flow = None
        self._turns.clear()
        self._locals.clear()

    def _need_values(self) -> list[Any]:
        if self.leaves is None:
            raise ArgumentError(
                f"the graph of {self.program.name}, which is part of another, has no values yet",
                {"inputs": ", ".join(f"{node.name}: {node.type}" for node in self.inputs)},
                "give it some: body.forward(*inputs)",
            )
        return self.leaves

    def _captured(self) -> list[Any]:
        return [value for _, value in self.program.captured]

    def forward(self, *inputs: Any) -> Any:
        """The result at other inputs; every node takes its value there, and loses its gradient.

        f is traced again, so that what it does with plain numbers is right there too.

        Args:
            inputs: as many as f has, of the shapes and dtypes that the graph was made for.

        Returns:
            The result, in the tree that f gives.

        Raises:
            ArgumentError: f takes another path there, so that its graph is another one.
            ShapeError: inputs of other trees or shapes.

        Example:
            >>> import chainrule as cr
            >>> g = cr.graph(lambda x, y: x * y, 2.0, 3.0)
            >>> float(g.forward(4.0, 5.0)), float(g.inputs[0].value)
            (20.0, 4.0)
        """
        leaves = fitting(self.program, inputs)
        if self.function is not None:
            args = unflatten(self.program.in_tree, leaves)
            program = followed(self.program, trace_program(self.function, *args, origins=True))
            self._adopt(program)
        self.adopt(leaves)
        return self.value

    def _adopt(self, program: Program) -> None:
        """Take the literals and parameters of a program of the same outline."""
        pairs = zip(self.program.equations, program.equations, strict=True)
        new = {id(before): after for before, after in pairs}
        for node in self.nodes:
            if node.equation is None:
                continue
            equation = new[id(node.equation)]
            node.take(equation)
            for source, operand in zip(node.inputs, equation.inputs, strict=True):
                _take(source, operand)
        for node, operand in zip(self.outputs, program.outputs, strict=True):
            _take(node, operand)
        self.program = program

    @property
    def value(self) -> Any:
        """The result, in the tree that f gives."""
        values = [node.value for node in self.outputs]
        tree = self.program.out_tree
        return tuple(values) if tree is None else unflatten(tree, values)

    def backward(self, upstream: Any = 1.0) -> Any:
        """The gradients of the inputs, walking the nodes from last to first.

        At each node its gradient times the local gradient goes to the operands; what comes together
        at a value that is used several times adds up. Every node keeps its `gradient`, every edge
        its `contribution`.

        Args:
            upstream: what comes to the output: a number for a scalar; else of the output's shape
                and tree.

        Returns:
            The gradient in the tree of the argument; a tuple of them for several arguments.

        Raises:
            ShapeError: an upstream gradient that doesn't have the output's shape.
            DomainError: an operation without a derivative on the way.
        """
        leaves = self._need_values()
        self._flow = Flow(self.program, leaves, self._captured(), self._upstreams(upstream))
        for number, node in self._of.items():
            node.gradient = self._flow.gradient(number)
        gradients = tuple(node.gradient for node in self.inputs)
        tree = self.program.in_tree
        found = gradients if tree is None else unflatten(tree, gradients)
        return found[0] if len(found) == 1 else found

    def _upstreams(self, upstream: Any) -> list[Any]:
        given, tree = flatten(upstream)
        if self.program.out_tree is None:
            given = list(upstream) if isinstance(upstream, tuple) else [upstream]
        elif not same_structure(tree, self.program.out_tree):
            raise ShapeError(
                "backward: the upstream gradient must have the tree of the output",
                {"output": outline(self.program.out_tree), "upstream": outline(tree)},
                "give one gradient per output, put together in the same way",
            )
        found: list[Any] = []
        for g, node in zip(given, self.outputs, strict=True):
            if np.shape(g) != node.type.shape:
                raise ShapeError(
                    "backward: the upstream gradient must have the shape of the output",
                    {f"output {node.name}": node.type, "upstream": type_of(np.asarray(g))},
                    "pass backward(g) with one number per entry: np.ones for their sum",
                )
            moving = node.type.dtype.kind in "fc"
            found.append(np.asarray(g, node.type.dtype)[()] if moving else None)
        return found

    @property
    def swept(self) -> bool:
        """Whether its nodes have gradients."""
        return self._flow is not None

    def within(self, node: Node, turn: int = -1) -> tuple[ComputationGraph, ...]:
        """The graphs inside a node; see `Node.within`."""
        self._need_values()
        return within(node, turn)

    def turns(self, node: Node) -> int:
        """How often a node that is a loop turns; see `Node.turns`."""
        if node.index not in self._turns:
            self._turns[node.index] = 0 if self.leaves is None else turns(node)
        return self._turns[node.index]

    def contribution(self, edge: Edge) -> Any:
        """What flows back along an edge: upstream × local, in the source's shape."""
        if self._flow is None:
            return None
        if len(edge.target.siblings) > 1:
            return pulled(edge.target, edge.slot)
        assert edge.target.equation is not None
        return self._flow.contribution(edge.target.equation.outputs[0].number, edge.slot)

    def local_gradient(self, node: Node, slot: int) -> Any:
        """∂(node)/∂(operand `slot`); see `Node.local_gradients`."""
        self._need_values()
        key = node.index, slot
        if key not in self._locals:
            self._locals[key] = local_gradient(node, slot)
        return self._locals[key]

    def derivative(self, of: Node | str, wrt: Node | str, kind: str = "total") -> Any:
        """The derivative of one node by another, of shape `of.shape + wrt.shape`.

        Args:
            of, wrt: nodes or their names.
            kind: "total": along every path from wrt to of; "partial": of as a function of its own
                operands, all others of which are held fixed, so 0 where it doesn't read wrt.

        Returns:
            An array; zeros where there is no path.

        Raises:
            ArgumentError: an unknown node or kind.
        """
        self._need_values()
        of, wrt = self._node(of), self._node(wrt)
        if kind not in ("total", "partial"):
            raise ArgumentError(
                f"derivative: unknown kind {kind!r}", fix="use 'total' or 'partial'"
            )
        return total(self.nodes, of, wrt) if kind == "total" else partial(of, wrt)

    def table(self, mode: str = "reverse", digits: int = 6) -> Table:
        """Forward or reverse mode line by line, as the lectures write them out.

        Args:
            mode: "forward": each value with its tangent, and the rule of it, one sweep per input;
                "reverse": each value with its gradient, from the last to the first. What several
                users give back is added.
            digits: how many of each number.

        Returns:
            A `Table`: print it, or let a notebook show it.

        Raises:
            ArgumentError: an unknown mode.

        Example:
            >>> import chainrule as cr
            >>> def f(x, y):
            ...     a = x * y
            ...     return a + x
            >>> print(cr.graph(f, 2.0, 3.0).table("reverse"))
                       value                 gradient
            ─────────  ─────  ─────────────  ────────
            f = a + x  8      f̄ = 1          1
            a = x·y    6      ā = f̄          1
            y          3      ȳ = ā · x      2
            x          2      x̄ = ā · y + f̄  4
        """
        if mode not in ("forward", "reverse"):
            raise ArgumentError(f"table: unknown mode {mode!r}", fix="use 'forward' or 'reverse'")
        self._need_values()
        if mode == "reverse" and self._flow is None:
            self.backward(unflatten(self.program.out_tree, [_ones(node) for node in self.outputs]))
        if mode == "reverse":
            return reverse_table(self.nodes, self.outputs, digits)
        varying = [node for node in self.inputs if node.type.dtype.kind in "fc"]
        return forward_table(self.nodes, varying, self._tangents, digits)

    def fold(self, by: By = "auto", depth: int | None = None) -> FoldedPicture:
        """The graph with boxes for what belongs together.

        Args:
            by: "layer", "function", "loop", or "auto": all three.
            depth: how many levels of boxes within boxes to open; if not given, none for a single
                kind, and for "auto" as many as leave fewer than 30 parts.

        Returns:
            A folded graph: its `nodes` are nodes and boxes; `inside(box)` is what a box holds;
            `svg` and `save` as here.

        Raises:
            ArgumentError: an unknown way, a negative depth.
        """
        return folded(self, by, depth)

    def _tangents(self, wrt: Node) -> dict[int, Any]:
        assert wrt.variable is not None
        return tangents(self.program, self._need_values(), self._captured(), wrt.variable)

    def _node(self, which: Node | str) -> Node:
        return which if isinstance(which, Node) else self.node(which)

    def __repr__(self) -> str:
        operations = sum(node.kind == "operation" for node in self.nodes)
        return f"<graph of {self.program.name}: {operations} operations>"


def _literals(program: Program) -> int:
    return sum(isinstance(out, Constant) for out in program.outputs)


def _ones(node: Node) -> Any:
    return np.ones(node.type.shape, node.type.dtype)[()]


def _take(node: Node, operand: Operand) -> None:
    if isinstance(operand, Constant):
        node.value, node.name = operand.value, repr(operand)
