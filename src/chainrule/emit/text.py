"""LLVM's spelling of types, constants and scalar operations, for one lane or many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.loops.scalar import Node, bits_of, numpy_type

_FLOAT_NAMES = {"f16": "half", "f32": "float", "f64": "double"}


def scalar_name(kind: str) -> str:
    """f64 → double, u8 → i8."""
    return _FLOAT_NAMES.get(kind) or f"i{kind[1:]}"


def type_name(kind: str, lanes: int = 1) -> str:
    """f64 → double, and of several lanes <8 x double>."""
    name = scalar_name(kind)
    return name if lanes == 1 else f"<{lanes} x {name}>"


def memory_kind(kind: str) -> str:
    """As what a value lies in memory: a truth value is a byte."""
    return "u8" if kind == "i1" else kind


def kernel_text(
    name: str, buffers: Iterable[int], lines: Sequence[str], room: int, long: bool = False
) -> str:
    """A function `void (ptr scratch, ptr context, ptr …)`, given the numbers of its buffers.

    Where that takes `long`, it gives an `i1`: whether it was stopped.

    One of no more than `room` lines is put where it's called: every function takes LLVM 0.6 ms,
    and each of its loops 1 ms.
    """
    given = ["ptr %scratch", "ptr %context", *[f"ptr %b{number}" for number in buffers]]
    how = "alwaysinline nounwind" if len(lines) <= room else "nounwind"
    result = "i1" if long else "void"
    return "\n".join([f"define internal {result} {name}({', '.join(given)}) {how} {{", *lines, "}"])


def constant(node: Node, lanes: int = 1) -> str:
    """A constant's exact value."""
    text = literal(node.attr, node.kind)
    if lanes == 1:
        return text
    return f"splat ({scalar_name(node.kind)} {text})"


def literal(value: Any, kind: str) -> str:
    """One number; floats by their bits, as decimals would be rounded again."""
    if kind == "i1":
        return "true" if value else "false"
    if kind[0] in "iu":
        return str(int(value))
    if not isinstance(value, bytes):
        value = numpy_type(kind).type(value).tobytes()
    if kind == "f16":
        return f"0xH{int(np.frombuffer(value, np.uint16)[0]):04X}"
    # LLVM writes a float by the bits of the double of the same value.
    number = np.frombuffer(value, numpy_type(kind))[0]
    if number != number and kind == "f32":
        bits = int(np.frombuffer(value, np.uint32)[0])
        wide = (bits >> 31) << 63 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29
        return f"0x{wide:016X}"
    return f"0x{int(np.float64(number).view(np.uint64)):016X}"


_FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "rem": "frem"}
_WHOLE_OPS = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_INTRINSICS = {
    "abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc",
    "rint": "rint", "copysign": "copysign", "fma": "fma", "min": "minnum", "max": "maxnum",
}  # fmt: skip
_FLOAT_COMPARE = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}


def suffix(kind: str, lanes: int) -> str:
    """How LLVM names the overload of an intrinsic: f64, v8f64."""
    name = kind if kind[0] == "f" else f"i{kind[1:]}"
    return name if lanes == 1 else f"v{lanes}{name}"


def operation(node: Node, args: list[str], lanes: int, flags: str) -> tuple[str, str | None]:
    """The right-hand side that computes a node from its operands' names, and what to declare."""
    op, kind = node.op, node.kind
    source = node.args[0].kind
    here, there = type_name(kind, lanes), type_name(source, lanes)
    whole = source[0] != "f"
    if op in _FLOAT_COMPARE:
        if whole:
            sign = (
                "" if op in ("eq", "ne") else ("u" if source[0] == "u" or source == "i1" else "s")
            )
            return f"icmp {sign}{op} {there} {args[0]}, {args[1]}", None
        return f"fcmp {_FLOAT_COMPARE[op]} {there} {args[0]}, {args[1]}", None
    if op in ("panel", "within"):
        size = str(node.attr) if lanes == 1 else f"splat (i64 {node.attr})"
        return f"{'udiv' if op == 'panel' else 'urem'} {here} {args[0]}, {size}", None
    if op == "select":
        condition = type_name("i1", lanes)
        return f"select {condition} {args[0]}, {here} {args[1]}, {here} {args[2]}", None
    if op == "cast":
        return _cast(node, args[0], lanes), None
    if op == "bits":
        return f"bitcast {there} {args[0]} to {here}", None
    if not whole and op in _FLOAT_OPS:
        return f"{_FLOAT_OPS[op]}{flags} {here} {args[0]}, {args[1]}", None
    if not whole and op == "neg":
        return f"fneg {here} {args[0]}", None
    if op == "not":
        ones = "true" if kind == "i1" else "-1"
        ones = ones if lanes == 1 else f"splat ({scalar_name(kind)} {ones})"
        return f"xor {here} {args[0]}, {ones}", None
    if whole and op == "neg":
        zero = "0" if lanes == 1 else f"splat ({scalar_name(kind)} 0)"
        return f"sub {here} {zero}, {args[0]}", None
    if whole and op in _WHOLE_OPS:
        return f"{_WHOLE_OPS[op]} {here} {args[0]}, {args[1]}", None
    if whole and op in ("div", "rem", "shl", "shr"):
        unsigned = kind[0] == "u"
        name = {
            "div": "udiv" if unsigned else "sdiv",
            "rem": "urem" if unsigned else "srem",
            "shl": "shl",
            "shr": "lshr" if unsigned else "ashr",
        }[op]
        return f"{name} {here} {args[0]}, {args[1]}", None
    return _intrinsic(node, args, lanes)


def _intrinsic(node: Node, args: list[str], lanes: int) -> tuple[str, str]:
    """A call of one of LLVM's own functions."""
    op, kind = node.op, node.kind
    here = type_name(kind, lanes)
    name = _INTRINSICS.get(op, op)
    rest = ""
    if kind[0] != "f" and op in ("min", "max"):
        name = ("u" if kind[0] == "u" else "s") + op
    elif kind[0] != "f" and op == "abs":
        name, rest = "abs", ", i1 false"
    full = f"@llvm.{name}.{suffix(kind, lanes)}"
    inside = ", ".join(f"{here} {a}" for a in args)
    kinds = ", ".join([here] * len(args)) + (", i1" if rest else "")
    return f"call {here} {full}({inside}{rest})", f"declare {here} {full}({kinds})"


def _cast(node: Node, x: str, lanes: int) -> str:
    old, new = node.args[0].kind, node.kind
    there, here = type_name(old, lanes), type_name(new, lanes)
    if new == "i1":
        zero = literal(0, old) if lanes == 1 else f"splat ({scalar_name(old)} {literal(0, old)})"
        return f"{'fcmp une' if old[0] == 'f' else 'icmp ne'} {there} {x}, {zero}"
    if old[0] == "f" and new[0] == "f":
        name = "fpext" if bits_of(new) > bits_of(old) else "fptrunc"
    elif old[0] == "f":
        name = "fptoui" if new[0] == "u" else "fptosi"
    elif new[0] == "f":
        name = "uitofp" if old[0] == "u" or old == "i1" else "sitofp"
    elif bits_of(new) > bits_of(old):
        name = "zext" if old[0] == "u" or old == "i1" else "sext"
    elif bits_of(new) < bits_of(old):
        name = "trunc"
    else:
        name = "bitcast"
    return f"{name} {there} {x} to {here}"
