"""Functions of `mathematics` as LLVM text: straight lines of operations on one lane or many."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence

from chainrule.emit.text import constant, literal, operation, type_name
from chainrule.loops.scalar import Graph, Node, postorder

Definition = Callable[..., Node]


def function_name(name: str, kind: str, lanes: int) -> str:
    """cr.exp.f64x8: what a function of `mathematics` is called in LLVM."""
    return f"@cr.{name}.{kind}x{lanes}"


class Library:
    """The functions that some code calls, each printed once."""

    def __init__(self, definitions: dict[str, Definition]) -> None:
        self.definitions = definitions
        self.heads: dict[str, str] = {}  # of functions of `mathematics`; whole texts have their own
        self.texts: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.declarations: set[str] = set()

    def need(self, name: str, kinds: Sequence[str], lanes: int) -> str:
        """The LLVM name of a function, which is printed if it wasn't yet."""
        full = function_name(name, kinds[0], lanes)
        if full not in self.texts:
            self.texts[full] = ""  # it may call others, never itself
            graph = Graph()
            parameters = [graph.parameter(k, kind) for k, kind in enumerate(kinds)]
            result = self.definitions[name](*parameters)
            head = ", ".join(f"{type_name(kind, lanes)} %p{k}" for k, kind in enumerate(kinds))
            self.heads[full] = f"define internal {type_name(result.kind, lanes)} {full}({head})"
            self.texts[full] = self._text(result, lanes)
        return full

    def _text(self, result: Node, lanes: int) -> str:
        """What a function does, up to its end."""
        names: dict[int, str] = {}
        lines = []
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
            self.calls[full] += 1
            kinds = [type_name(a.kind, lanes) for a in node.args]
            inside = ", ".join(f"{t} {a}" for t, a in zip(kinds, args, strict=True))
            return f"call {type_name(node.kind, lanes)} {full}({inside})"
        if node.op == "rare":
            full = self._guarded(node, lanes)
            kinds = [type_name(a.kind, lanes) for a in node.args]
            inside = ", ".join(f"{t} {a}" for t, a in zip(kinds, args, strict=True))
            return f"call {type_name(node.kind, lanes)} {full}({inside})"
        if node.op == "table":
            return self._looked_up(node, args[0], lanes)
        text, declaration = operation(node, args, lanes, flags)
        if declaration is not None:
            self.declarations.add(declaration)
        return text

    def _looked_up(self, node: Node, index: str, lanes: int) -> str:
        """A call of the function that reads a list of constants, for each lane by itself."""
        single, here = type_name(node.kind), type_name(node.kind, lanes)
        whole, place = type_name(node.args[0].kind), type_name(node.args[0].kind, lanes)
        entries = ", ".join(f"{single} {literal(value, node.kind)}" for value in node.attr)
        name = f"@cr.table.{zlib.crc32(entries.encode()):08x}"
        array = f"[{len(node.attr)} x {single}]"
        self.declarations.add(f"{name} = private unnamed_addr constant {array} [{entries}]")
        full = f"{name}.x{lanes}"
        lines = [f"define internal {here} {full}({place} %k) alwaysinline nounwind {{"]
        result = "poison"
        for lane in range(lanes):
            of = f"%k{lane}" if lanes > 1 else "%k"
            if lanes > 1:
                lines.append(f"  {of} = extractelement {place} %k, i32 {lane}")
            lines.append(f"  %p{lane} = getelementptr {single}, ptr {name}, {whole} {of}")
            lines.append(f"  %v{lane} = load {single}, ptr %p{lane}")
            if lanes > 1:
                entry = f"{here} {result}, {single} %v{lane}, i32 {lane}"
                lines.append(f"  %r{lane} = insertelement {entry}")
                result = f"%r{lane}"
        self.texts[full] = "\n".join(
            [*lines, f"  ret {here} {result if lanes > 1 else '%v0'}", "}"]
        )
        return f"call {here} {full}({place} {index})"

    def _guarded(self, node: Node, lanes: int) -> str:
        """A function that calls another in those lanes only where a condition holds."""
        kinds = [a.kind for a in node.args]
        full = f"@cr.rare.{node.attr}.{node.kind}x{lanes}"
        if full in self.texts:
            return full
        one = self.need(node.attr, kinds[2:], 1)
        here, condition = type_name(node.kind, lanes), type_name("i1", lanes)
        inside = [f"{type_name(kind, lanes)} %p{k}" for k, kind in enumerate(kinds[2:])]
        head = ", ".join([f"{condition} %c", f"{here} %otherwise", *inside])
        if lanes == 1:
            inputs = ", ".join(inside)
            body = f"""
  br i1 %c, label %slow, label %done
slow:
  %y = call {here} {one}({inputs})
  br label %done
done:
  %r = phi {here} [ %otherwise, %start ], [ %y, %slow ]"""
        else:
            slow = f"{full}.lanes"
            self.texts[slow] = self._lane_by_lane(slow, one, node, lanes)
            names = ", ".join([f"{condition} %c", f"{here} %otherwise", *inside])
            reduce = f"@llvm.vector.reduce.or.v{lanes}i1"
            self.declarations.add(f"declare i1 {reduce}({condition})")
            body = f"""
  %any = call i1 {reduce}({condition} %c)
  br i1 %any, label %slow, label %done
slow:
  %y = call {here} {slow}({names})
  br label %done
done:
  %r = phi {here} [ %otherwise, %start ], [ %y, %slow ]"""
        self.texts[full] = (
            f"define internal {here} {full}({head}) alwaysinline nounwind {{\nstart:{body}\n"
            f"  ret {here} %r\n}}"
        )
        return full

    def _lane_by_lane(self, full: str, one: str, node: Node, lanes: int) -> str:
        """The loop over the lanes of such a call; small, for it is hardly ever run."""
        here, single = type_name(node.kind, lanes), type_name(node.kind)
        condition = type_name("i1", lanes)
        inputs = [(f"%p{k}", a.kind) for k, a in enumerate(node.args[2:])]
        head = ", ".join(
            [f"{condition} %c", f"{here} %otherwise"]
            + [f"{type_name(kind, lanes)} {name}" for name, kind in inputs]
        )
        taken = "".join(
            f"  {name}.i = extractelement {type_name(kind, lanes)} {name}, i32 %i\n"
            for name, kind in inputs
        )
        given = ", ".join(f"{type_name(kind)} {name}.i" for name, kind in inputs)
        return f"""define internal {here} {full}({head}) noinline cold minsize nounwind {{
start:
  br label %lane
lane:
  %i = phi i32 [ 0, %start ], [ %j, %next ]
  %r = phi {here} [ %otherwise, %start ], [ %s, %next ]
  %ci = extractelement {condition} %c, i32 %i
  br i1 %ci, label %slow, label %next
slow:
{taken}  %y = call {single} {one}({given})
  %t = insertelement {here} %r, {single} %y, i32 %i
  br label %next
next:
  %s = phi {here} [ %r, %lane ], [ %t, %slow ]
  %j = add i32 %i, 1
  %more = icmp ult i32 %j, {lanes}
  br i1 %more, label %lane, label %done
done:
  ret {here} %s
}}"""

    def text(self) -> str:
        """Everything that was needed so far."""
        whole = [self._head(full) + text for full, text in self.texts.items()]
        return "\n".join([*sorted(self.declarations), *whole])

    def _head(self, full: str) -> str:
        """How a function of `mathematics` begins; nothing for texts that are whole.

        It's inlined into loops, where its constants stay in registers, and where it's called once;
        straight lines of scalar code share it.
        """
        if full not in self.heads:
            return ""
        inlined = not full.endswith("x1") or self.calls[full] == 1
        how = "alwaysinline" if inlined else "noinline"
        return f"{self.heads[full]} {how} nounwind {{\n"
