"""The parts of a computation graph: nodes with values and gradients, and edges between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.base.place import Place, Scope
from chainrule.ir.primitive import Partials
from chainrule.ir.program import Equation, Program, Var
from chainrule.ir.types import ArrayType


class Node:
    """One value of a graph, and how it came about.

    Attributes:
        graph: the graph that it belongs to.
        index: its position in the topological order.
        kind: "input", "captured" (an array of the function's closure), "constant" (a literal of
            the user's text) or "operation".
        name: the user's own name or a letter, unique in the graph; a constant's is its text.
        inputs: the operands in order, repeats kept; empty for leaves.
        users: the nodes that read this one, each once, in order.
        type: shape and dtype.
        value: what it is at the graph's inputs; None in the body of a loop.
        gradient: d(output)/d(this), of the value's shape, once `graph.backward()` has run; None
            before, and for what no derivative flows through (literals, integers).
        equation: the program's equation that computes it, None for leaves.
        output: which of the equation's results it is.
        variable: the program's variable that it shows, None for literals.
        siblings: the nodes of all results of its equation that are used, itself included.
    """

    __slots__ = (
        "_bodies",
        "equation",
        "gradient",
        "graph",
        "index",
        "inputs",
        "kind",
        "name",
        "output",
        "siblings",
        "type",
        "users",
        "value",
        "variable",
    )

    def __init__(
        self,
        graph: Any,
        kind: str,
        name: str,
        type: ArrayType,
        value: Any = None,
        inputs: tuple[Node, ...] = (),
        equation: Equation | None = None,
        output: int = 0,
    ) -> None:
        self.graph = graph
        self.index = -1
        self.kind = kind
        self.name = name
        self.type = type
        self.value = value
        self.inputs = inputs
        self.users: tuple[Node, ...] = ()
        self.equation = equation
        self.output = output
        self.variable: Var | None = None
        self.gradient: Any = None
        self.siblings: tuple[Node, ...] = (self,)
        self._bodies: tuple[Any, ...] | None = None

    @property
    def operation(self) -> str | None:
        """The primitive's name; of a call the function's, of a gate its class's."""
        if self.equation is None:
            return None
        callee = self.equation.params.get("callee")
        return self.equation.primitive.name if callee is None else str(callee.name)

    @property
    def is_gate(self) -> bool:
        """Whether it states itself what it sends back, so that it's one whole, as a gate is."""
        return self.equation is not None and self.equation.primitive.name == "call_with_reverse"

    @property
    def params(self) -> Mapping[str, Any]:
        """What the operation is told beside its operands, such as an axis."""
        return {} if self.equation is None else self.equation.params

    @property
    def place(self) -> Place | None:
        """The user's line."""
        return None if self.equation is None else self.equation.place

    @property
    def path(self) -> tuple[Scope, ...]:
        """The calls, layers and loops around it, outermost first."""
        return () if self.equation is None else self.equation.path

    @property
    def elementwise(self) -> bool:
        """Whether it's computed entry by entry, so that its local gradients are too."""
        return self.equation is not None and isinstance(
            self.equation.primitive.derivative, Partials
        )

    @property
    def local_gradients(self) -> tuple[Any, ...]:
        """∂(this)/∂(operand), one per operand, the others held fixed.

        Of an operation that works entry by entry an array of this node's shape: how each entry
        changes with its own. Else the Jacobian, of shape `this.shape + operand.shape`. None for
        literals and integers.

        Raises:
            ShapeError: a Jacobian that is too large; an edge's `contribution` needs none.
        """
        return tuple(self.graph.local_gradient(self, slot) for slot in range(len(self.inputs)))

    def tangent(self, wrt: Node | str) -> Any:
        """d(this)/d(wrt) along all paths, of shape `this.shape + wrt.shape`: forward mode."""
        return self.graph.derivative(self, wrt)

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs that it runs: a loop's body, the branches of a cond, a called function."""
        found: list[Program] = []
        for value in self.params.values():
            for part in value if type(value) is tuple else (value,):
                program = getattr(getattr(part, "function", None), "program", part)
                if isinstance(program, Program):
                    found.append(program)
        return tuple(found)

    @property
    def bodies(self) -> tuple[Any, ...]:
        """The graphs inside it: a loop's body, the branches of a cond, a called function.

        They have no values: those of a loop's body differ from turn to turn. See `within`.
        """
        if self._bodies is None:
            self._bodies = tuple(type(self.graph)(program) for program in self.programs)
        return self._bodies

    def within(self, turn: int = -1) -> tuple[Any, ...]:
        """The graphs inside it with their values, and gradients once `graph.backward()` has run.

        Args:
            turn: of a loop: from 1 on, or from -1, the last one, backwards. The gradients of what
                all turns read are what this turn adds to them.

        Returns:
            As `bodies`, which stay as they are. The branch of a cond that isn't taken, and the body
            of a loop that never turns, have no values.

        Raises:
            ArgumentError: a turn that the loop doesn't make; a graph without values.

        Example:
            >>> import chainrule as cr
            >>> g = cr.graph(lambda x: cr.fori_loop(0, 3, lambda i, y: y * y, x), 2.0)
            >>> loop = next(node for node in g.nodes if node.bodies)
            >>> loop.turns
            3
            >>> [float(loop.within(k)[0].outputs[-1].value) for k in (1, 2, -1)]
            [4.0, 16.0, 256.0]
        """
        found: tuple[Any, ...] = self.graph.within(self, turn)
        return found

    @property
    def turns(self) -> int:
        """How often it turns at its graph's values, if it's a loop; else 0."""
        return int(self.graph.turns(self))

    def take(self, equation: Equation) -> None:
        """Be computed by this equation from now on, which differs in parameters alone."""
        self.equation = equation
        self._bodies = None

    def __repr__(self) -> str:
        how = self.operation or self.kind
        reads = f"({', '.join(node.name for node in self.inputs)})" if self.inputs else ""
        return f"<{self.name}: {self.type} = {how}{reads}>"


class Edge:
    """One use of a value: `source` is operand `slot` of `target`."""

    __slots__ = ("slot", "source", "target")

    def __init__(self, source: Node, target: Node, slot: int) -> None:
        self.source = source
        self.target = target
        self.slot = slot

    @property
    def upstream(self) -> Any:
        """The gradient that comes to the target."""
        return self.target.gradient

    @property
    def local(self) -> Any:
        """∂(target)/∂(source) along this edge alone, as in `Node.local_gradients`."""
        return self.target.graph.local_gradient(self.target, self.slot)

    @property
    def contribution(self) -> Any:
        """upstream × local, summed to the source's shape: what flows back along this edge."""
        return self.target.graph.contribution(self)

    def __repr__(self) -> str:
        return f"<{self.source.name} → {self.target.name}[{self.slot}]>"
