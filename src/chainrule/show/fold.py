"""Folding: what belongs to one layer, function or loop becomes one box.

A box holds operations that follow each other in the program, so no two boxes ever need each other:
a call that is interrupted by others becomes two boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, TypeVar

from chainrule.base.errors import ArgumentError
from chainrule.base.place import Scope
from chainrule.base.trees import unflatten
from chainrule.show.node import Edge, Node
from chainrule.show.symbol import is_literal

By = Literal["auto", "layer", "function", "loop"]
LOOPS = ("scan", "while")  # operations that are loops
WAYS = ("auto", "layer", "function", "loop")
ENOUGH = 29  # boxes and nodes that one picture of a folded graph shows, where that can be chosen

Folded = TypeVar("Folded", bound="FoldedGraph")
_Key = tuple[str, str, tuple[int, ...]]


class Box:
    """Several operations as one: a layer, a call of a function, a loop or one of its turns.

    Attributes:
        key: its place among all boxes of its graph, such as "2.0"; the same for every picture.
        kind: "layer", "function", "loop" or "turn".
        name: of the layer, the function or the loop.
        class_name: a layer's class.
        parts: the nodes and boxes in it, in order; the weights that only it reads among them.
    """

    __slots__ = ("class_name", "key", "kind", "name", "parts")

    def __init__(self, key: str, kind: str, name: str, class_name: str = "") -> None:
        self.key = key
        self.kind = kind
        self.name = name
        self.class_name = class_name
        self.parts: list[Node | Box] = []

    def boxes(self) -> Iterator[Box]:
        """The boxes in it, and those in them."""
        for part in self.parts:
            if isinstance(part, Box):
                yield part
                yield from part.boxes()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in it, those of inner boxes included."""
        found: list[Node] = []
        for part in self.parts:
            found += part.nodes if isinstance(part, Box) else (part,)
        return tuple(found)

    @property
    def step(self) -> Node | None:
        """The only operation in it, where that has a body: what is inside is inside that."""
        found = [part for part in self.parts if isinstance(part, Box) or is_first(part)]
        only = found[0] if len(found) == 1 else None
        return only if isinstance(only, Node) and unfolds(only) else None

    @property
    def operations(self) -> int:
        """How many operations it stands for; those of a loop's body count, not the loop."""
        return sum(operations(node) for node in self.nodes)

    @property
    def weights(self) -> int:
        """How many numbers of its own it holds."""
        return sum(node.type.size for node in self.nodes if node.kind == "input")

    @property
    def turns(self) -> int:
        """How often a loop turns; 0 if that isn't known."""
        turns = sum(isinstance(part, Box) and part.kind == "turn" for part in self.parts)
        return turns or next((n for n in map(turns_of, self.parts) if n), 0)

    def __repr__(self) -> str:
        what = self.name if self.kind == "turn" else f"{self.kind} {self.name}"
        return f"<{what}: {self.operations} operations>"


class FoldedEdge:
    """All that flows from one node or box to another."""

    __slots__ = ("edges", "source", "target")

    def __init__(self, source: Node | Box, target: Node | Box) -> None:
        self.source = source
        self.target = target
        self.edges: list[Edge] = []

    @property
    def values(self) -> tuple[Node, ...]:
        """The values that flow, each once."""
        return tuple({edge.source.index: edge.source for edge in self.edges}.values())

    def __repr__(self) -> str:
        names = ", ".join(node.name for node in self.values)
        return f"<{self.source.name} → {self.target.name}: {names}>"


class FoldedGraph:
    """A graph in which boxes stand for layers, functions and loops.

    Attributes:
        graph: the whole graph.
        root: the box that is shown, with everything in it for the whole graph.
        nodes: the nodes and boxes, in topological order.
        edges: one for each two of them that something flows between.
        outside: nodes elsewhere whose values flow into the box that is shown.
        leaving: nodes in it whose values are used elsewhere, or are outputs.
    """

    def __init__(self, graph: Any, root: Box, opened: frozenset[str]) -> None:
        self.graph = graph
        self.program = graph.program
        self.root = root
        self.opened = opened
        self.nodes = tuple(_front(root, opened))
        within = {
            node.index: part
            for part in self.nodes
            for node in (part.nodes if isinstance(part, Box) else (part,))
        }
        self.within = within
        outside: dict[int, Node] = {}
        leaving = {n.index: n for n in graph.outputs if n.index in within}
        merged: dict[tuple[int, int], FoldedEdge] = {}
        for edge in graph.edges:
            if is_literal(edge.source):
                continue
            source, target = within.get(edge.source.index), within.get(edge.target.index)
            if target is None:
                if source is not None:
                    leaving[edge.source.index] = edge.source
                continue
            if source is None:
                outside[edge.source.index] = source = edge.source
            if source is not target:
                pair = id(source), id(target)
                merged.setdefault(pair, FoldedEdge(source, target)).edges.append(edge)
        self.edges = tuple(merged.values())
        self.outside = tuple(outside[k] for k in sorted(outside))
        self.leaving = tuple(leaving[k] for k in sorted(leaving))
        self.inputs, self.outputs = graph.inputs, graph.outputs

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes that are shown."""
        return tuple(part for part in self.nodes if isinstance(part, Box))

    def inside(self: Folded, box: Box | str) -> Folded:
        """What a box holds, folded at its next level.

        Args:
            box: a box or its key, as deep as it may lie.
        """
        if isinstance(box, str):
            found = next((b for b in self.root.boxes() if b.key == box), None)
            if found is None:
                raise ArgumentError(
                    f"no box has the key {box!r}",
                    {"keys": ", ".join(b.key for b in self.boxes)},
                )
            box = found
        return type(self)(self.graph, box, _wrappers(box))

    def __repr__(self) -> str:
        return f"<graph of {self.program.name}: {len(self.boxes)} boxes, {len(self.nodes)} in all>"


def fold(
    graph: Any,
    by: By = "auto",
    depth: int | None = None,
    kind: Callable[..., Folded] = FoldedGraph,  # type: ignore[assignment]
) -> Folded:
    """Fold a computation graph.

    Args:
        graph: a `ComputationGraph`.
        by: "layer", "function", "loop", or "auto": all three.
        depth: how many levels of boxes within boxes to open; if not given, none for a single
            kind, and for "auto" as many as leave fewer than 30 parts.
        kind: the class of what is returned.

    Raises:
        ArgumentError: an unknown way, a negative depth.
    """
    if by not in WAYS:
        raise ArgumentError(f"a graph can't be folded by {by!r}", {"known": ", ".join(WAYS)})
    if depth is not None and (type(depth) is not int or depth < 0):
        raise ArgumentError("depth= is how many levels to open, 0 or more", {"given": depth})
    kinds = ("layer", "function", "loop") if by == "auto" else (by,)
    root = _tree(graph, kinds)
    opened = _wrappers(root)
    wished = 0 if depth is None and by != "auto" else depth
    while wished is None or wished > 0:
        front = [p for p in _front(root, opened) if isinstance(p, Box) and p.step is None]
        more = opened.union(*(_wrappers(box) for box in front))
        if not front or (wished is None and len(list(_front(root, more))) > ENOUGH):
            break
        opened, wished = more, None if wished is None else wished - 1
    return kind(graph, root, opened)


def _front(box: Box, opened: frozenset[str]) -> Iterator[Node | Box]:
    """What a picture shows of a box, with these inner boxes open."""
    for part in box.parts:
        if isinstance(part, Box) and part.key in opened:
            yield from _front(part, opened)
        elif not (isinstance(part, Node) and is_literal(part)):
            yield part


def _wrappers(box: Box) -> frozenset[str]:
    """The box, and the inner ones that hold all there is in it, which say nothing by themselves."""
    opened = {box.key}
    while True:
        inner = [part for part in box.parts if isinstance(part, Box)]
        others = any(part.kind == "operation" for part in box.parts if isinstance(part, Node))
        if others or len(inner) != 1 or inner[0].kind == "loop":
            return frozenset(opened)
        box = inner[0]
        opened.add(box.key)


# ---- the tree of boxes ---------------------------------------------------------------------------


def _tree(graph: Any, kinds: Sequence[str]) -> Box:
    """All boxes of a graph, the whole of it as their root."""
    root = Box("", "graph", graph.program.name)
    operations = [node for node in graph.nodes if node.kind == "operation"]
    _fill(root, [(node, list(_levels(node, kinds))) for node in operations], 0)
    home = {node.index: chain for node, chain in _chains(root, (root,))}
    bare = _whole_arguments(graph)
    for node in reversed(graph.nodes):
        if node.kind != "operation":
            chains = [home[user.index] for user in node.users if user.index in home]
            kept = node.index in bare or node in graph.outputs or not chains
            _common(root, [] if kept else chains).parts.insert(0, node)
    return root


def _levels(node: Node, kinds: Sequence[str]) -> Iterator[tuple[_Key, Scope]]:
    """The boxes around an operation, outermost first: of a loop all its turns, then the turn."""
    for scope in node.path:
        if scope.kind not in kinds:
            continue
        if scope.kind == "loop":
            yield ("loop", scope.name, scope.key[:-1]), scope
            yield ("turn", scope.name, scope.key), scope
        else:
            yield (scope.kind, scope.name, scope.key), scope


def _fill(box: Box, items: list[tuple[Node, list[tuple[_Key, Scope]]]], level: int) -> None:
    """Put operations into a box: runs of them that share the next scope into boxes of their own."""

    def next_key(item: tuple[Node, list[tuple[_Key, Scope]]]) -> _Key | None:
        return item[1][level][0] if level < len(item[1]) else None

    count = 0
    for key, run in groupby(items, next_key):
        members = list(run)
        if key is None:
            for node, _ in members:
                last = box.parts[-1] if box.parts else None
                if not unfolds(node):
                    box.parts.append(node)
                elif isinstance(last, Box) and node.siblings[0] in last.parts:
                    last.parts.append(node)  # another result of the same loop
                else:
                    box.parts.append(_of_loop(box, count, node))
                    count += 1
            continue
        kind, name, _ = key
        scope = members[0][1][level][1]
        title = f"turn {scope.key[-1] + 1}" if kind == "turn" else name
        inner = Box(f"{box.key}.{count}".lstrip("."), kind, title, scope.class_name)
        count += 1
        _fill(inner, members, level + 1)
        box.parts.append(inner)


def _of_loop(box: Box, count: int, node: Node) -> Box:
    """A box for one operation that runs a body: the weights that only it reads will join it."""
    kind = "loop" if node.operation in LOOPS else "function"
    inner = Box(f"{box.key}.{count}".lstrip("."), kind, (node.operation or "").strip("_"))
    inner.parts.append(node)
    return inner


def unfolds(node: Node) -> bool:
    """Whether a picture shows it as a box that holds others; a gate is one whole."""
    return not node.is_gate and bool(node.bodies)


def operations(node: Node) -> int:
    """How many operations a node stands for: those of its body, if it unfolds."""
    if not is_first(node):
        return 0
    if unfolds(node):
        return sum(operations(inner) for body in node.bodies for inner in body.nodes)
    return 1


def is_first(node: Node) -> bool:
    """Whether it's an operation, and the first of its results where it has several."""
    return node.kind == "operation" and node is node.siblings[0]


def turns_of(part: Node | Box) -> int:
    """How often an operation that is a loop turns, if that is known."""
    if isinstance(part, Box) or part.operation not in LOOPS:
        return 0
    return int(part.params["length"]) if part.operation == "scan" else part.turns


def _chains(box: Box, chain: tuple[Box, ...]) -> Iterator[tuple[Node, tuple[Box, ...]]]:
    """Every node with the boxes around it, outermost first."""
    for part in box.parts:
        if isinstance(part, Box):
            yield from _chains(part, (*chain, part))
        else:
            yield part, chain


def _common(root: Box, chains: Sequence[tuple[Box, ...]]) -> Box:
    """The innermost box that all these chains share."""
    found = root
    for level in zip(*chains, strict=False):
        if any(box is not level[0] for box in level):
            break
        found = level[0]
    return found


def _whole_arguments(graph: Any) -> set[int]:
    """The inputs that are whole arguments of the function, not parts of a tree such as weights.

    Of a program without a tree of arguments, such as a loop's body: all of them.
    """
    count = len(graph.inputs)
    if graph.program.in_tree is None:
        return {node.index for node in graph.inputs}
    arguments = unflatten(graph.program.in_tree, list(range(count)))
    return {graph.inputs[k].index for k in arguments if type(k) is int}
