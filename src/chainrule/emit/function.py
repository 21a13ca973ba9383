"""Functions of `mathematics` as LLVM text: straight lines of operations on one lane or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chainrule.emit.text import constant, operation, type_name
from chainrule.loops.scalar import Graph, Node, postorder

Definition = Callable[..., Node]


def function_name(name: str, kind: str, lanes: int) -> str:
    """cr.exp.f64x8: what a function of `mathematics` is called in LLVM."""
    return f"@cr.{name}.{kind}x{lanes}"


class Library:
    """The functions that some code calls, each printed once."""

    def __init__(self, definitions: dict[str, Definition]) -> None:
        self.definitions = definitions
        self.texts: dict[str, str] = {}
        self.declarations: set[str] = set()

    def need(self, name: str, kinds: Sequence[str], lanes: int) -> str:
        """The LLVM name of a function, which is printed if it wasn't yet."""
        full = function_name(name, kinds[0], lanes)
        if full not in self.texts:
            self.texts[full] = ""  # it may call others, never itself
            graph = Graph()
            parameters = [graph.parameter(k, kind) for k, kind in enumerate(kinds)]
            result = self.definitions[name](*parameters)
            self.texts[full] = self._text(full, result, kinds, lanes)
        return full

    def _text(self, full: str, result: Node, kinds: Sequence[str], lanes: int) -> str:
        head = ", ".join(f"{type_name(kind, lanes)} %p{k}" for k, kind in enumerate(kinds))
        # Inlined into loops, where its constants stay in registers; shared by scalar code.
        how = "alwaysinline" if lanes > 1 else "noinline"
        lines = [
            f"define internal {type_name(result.kind, lanes)} {full}({head}) {how} nounwind {{"
        ]
        names: dict[int, str] = {}
        for node in postorder([result]):
            if node.op == "const":
                names[node.number] = constant(node, lanes)
            elif node.op == "parameter":
                names[node.number] = f"%p{node.attr}"
            else:
                args = [names[a.number] for a in node.args]
                names[node.number] = f"%v{node.number}"
                lines.append(f"  %v{node.number} = {self.right_side(node, args, lanes, '')}")
        lines += [f"  ret {type_name(result.kind, lanes)} {names[result.number]}", "}"]
        return "\n".join(lines)

    def right_side(self, node: Node, args: list[str], lanes: int, flags: str) -> str:
        """What computes a node, with whatever it needs declared or printed."""
        if node.op == "call":
            full = self.need(node.attr, [a.kind for a in node.args], lanes)
            kinds = [type_name(a.kind, lanes) for a in node.args]
            inside = ", ".join(f"{t} {a}" for t, a in zip(kinds, args, strict=True))
            return f"call {type_name(node.kind, lanes)} {full}({inside})"
        text, declaration = operation(node, args, lanes, flags)
        if declaration is not None:
            self.declarations.add(declaration)
        return text

    def text(self) -> str:
        """Everything that was needed so far."""
        return "\n".join([*sorted(self.declarations), *self.texts.values()])
