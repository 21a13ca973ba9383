"""The closed set of scalar operations (`loops/scalar.py`) in JavaScript's spelling.

Truth values are booleans. Whole numbers are doubles, exact up to 2⁵³ and refused beyond, except in
*wide* expressions, which need all 64 bits of one and hold it as a BigInt. Every float32 result is
rounded by Math.fround.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule.base.errors import UnsupportedError
from chainrule.loops.scalar import Node, bits_of, value_of

# How tightly a text binds: an operand that binds less is put in brackets.
ATOM, UNARY, PRODUCT, SUM, COMPARISON, EQUALITY, AND, OR, CHOICE = range(9, 0, -1)

Text = tuple[str, int]

_INFIX = {
    "add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT),
    "rem": ("%", PRODUCT), "lt": ("<", COMPARISON), "le": ("<=", COMPARISON),
    "gt": (">", COMPARISON), "ge": (">=", COMPARISON), "eq": ("===", EQUALITY),
    "ne": ("!==", EQUALITY),
}  # fmt: skip
_BITWISE = {"and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>"}
_FUNCTIONS = {
    "sqrt": "Math.sqrt", "floor": "Math.floor", "ceil": "Math.ceil", "trunc": "Math.trunc",
    "rint": "rint", "copysign": "copysign", "abs": "Math.abs", "min": "Math.min",
    "max": "Math.max", "fma": "fma",
}  # fmt: skip

# Functions of `mathematics` that every browser has, as exact as ours; the others are printed.
NATIVE = {
    "exp": "Math.exp", "expm1": "Math.expm1", "log": "Math.log", "log2": "Math.log2",
    "log10": "Math.log10", "log1p": "Math.log1p", "sin": "Math.sin", "cos": "Math.cos",
    "tan": "Math.tan", "sinh": "Math.sinh", "cosh": "Math.cosh", "tanh": "Math.tanh",
    "arcsin": "Math.asin", "arccos": "Math.acos", "arctan": "Math.atan",
    "arctan2": "Math.atan2", "arcsinh": "Math.asinh", "arccosh": "Math.acosh",
    "arctanh": "Math.atanh", "power": "power", "cbrt": "Math.cbrt", "fmod": "%",
}  # fmt: skip


class Unprintable(UnsupportedError):
    """Something of a program that has no JavaScript form."""

    __module__ = "chainrule"


def number(value: Any, kind: str, wide: bool = False) -> str:
    """A constant; a float's shortest decimals, which read back as the same bits."""
    if kind == "i1":
        return "true" if value else "false"
    if kind[0] in "iu":
        if is_wide(kind, wide):
            return f"{int(value)}n"
        if abs(int(value)) > 2**53 and int(value) & (int(value) - 1) and -int(value) & ~(2**63):
            raise Unprintable(f"the whole number {int(value)} is beyond 2^53, a browser's limit")
        return str(int(value))
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(value)
    return text.removesuffix(".0")


def is_wide(kind: str, wide: bool) -> bool:
    """Whether a value of this type is held as a BigInt."""
    return wide and kind in ("i64", "u64")


def needs_wide(node: Node) -> bool:
    """Whether an operation needs all bits of a 64-bit whole number."""
    whole = node.kind in ("i64", "u64")
    if node.op == "bits":
        return bits_of(node.kind) == 64
    return whole and node.op in ("and", "or", "xor", "not", "shl", "shr")


def spelled(node: Node, args: list[Text], wide: bool, counting: bool) -> Text:
    """An operation on texts; `counting` where it is about places in an array, never large."""
    op, kind = node.op, node.kind
    big = is_wide(kind, wide)
    if op == "const":
        text = number(value_of(node), kind, wide)
        return text, UNARY if text.startswith("-") else ATOM
    if op == "cast":
        return _cast(node, args[0], wide)
    if op == "select":
        condition, a, b = (bracketed(x, OR) for x in args)
        return f"{condition} ? {a} : {b}", CHOICE
    if op == "bits":
        return _bits(node, args[0])
    if op == "not":
        return (f"!{bracketed(args[0], UNARY)}", UNARY) if kind == "i1" else _wrapped(
            (f"~{bracketed(args[0], UNARY)}", UNARY), kind, wide, counting
        )  # fmt: skip
    if op in ("and", "or", "xor") and kind == "i1":
        spelling, level = {"and": ("&&", AND), "or": ("||", OR), "xor": ("!==", EQUALITY)}[op]
        return _joined(spelling, level, args)
    if op in _BITWISE:
        spelling = ">>>" if op == "shr" and kind[0] == "u" and not big else _BITWISE[op]
        inside = f" {spelling} ".join(bracketed(x, UNARY) for x in args)
        return _wrapped((f"({inside})", ATOM), kind, wide, counting)
    if op == "neg":
        x = bracketed(args[0], UNARY if not args[0][0].startswith("-") else ATOM)
        if kind[0] == "f" or big:
            return f"-{x}", UNARY
        return f"0 - {x}", SUM
    if op in ("eq", "ne", "lt", "le", "gt", "ge"):
        spelling, level = _INFIX[op]
        return _joined(spelling, level, args)
    if op in ("add", "sub", "mul", "div", "rem"):
        if op == "mul" and kind in ("i32", "u32"):
            return _wrapped((f"Math.imul({args[0][0]}, {args[1][0]})", ATOM), kind, wide, counting)
        joined = _joined(*_INFIX[op], args)
        if op == "div" and kind[0] != "f" and not big:
            joined = f"Math.trunc({joined[0]})", ATOM
        return _wrapped(joined, kind, wide, counting)
    if op == "abs" and kind[0] != "f" and big:
        x = bracketed(args[0], OR)
        return f"{x} < 0n ? -{x} : {x}", CHOICE
    if op in ("min", "max") and big:
        a, b = (bracketed(x, SUM) for x in args)
        return f"{a} {'<' if op == 'min' else '>'} {b} ? {a} : {b}", CHOICE
    if op in _FUNCTIONS:
        called = f"{_FUNCTIONS[op]}({', '.join(text for text, _ in args)})", ATOM
        return _wrapped(called, kind, wide, counting)
    raise Unprintable(f"no JavaScript is known for the scalar operation {op}")


def called(name: str, args: list[Text], kind: str) -> Text:
    """A function of one's own or of the browser's, rounded to the type of its result."""
    if name == "%":
        return _wrapped(_joined("%", PRODUCT, args), kind, False, False)
    return _wrapped((f"{name}({', '.join(text for text, _ in args)})", ATOM), kind, False, False)


def bracketed(x: Text, level: int) -> str:
    """A text, in brackets if it binds less tightly than this."""
    return x[0] if x[1] >= level else f"({x[0]})"


def _joined(spelling: str, level: int, args: list[Text]) -> Text:
    left, right = args
    return f"{bracketed(left, level)} {spelling} {bracketed(right, level + 1)}", level


def _wrapped(x: Text, kind: str, wide: bool, counting: bool) -> Text:
    """What a type makes of a result: rounded, or cut off to its bits."""
    text = x[0]
    if kind == "f64" or kind == "i1" or counting:
        return x
    if kind == "f32":
        return f"Math.fround({text})", ATOM
    if is_wide(kind, wide):
        return f"BigInt.as{'Int' if kind[0] == 'i' else 'Uint'}N(64, {text})", ATOM
    if kind in ("i64", "u64"):
        return f"{'whole' if kind == 'i64' else 'natural'}({text})", ATOM
    if kind == "i32":
        return f"({text} | 0)", ATOM
    if kind == "u32":
        return f"({text} >>> 0)", ATOM
    rest = 32 - bits_of(kind)
    if kind[0] == "u":
        return f"({bracketed(x, SUM)} & {2 ** bits_of(kind) - 1})", ATOM
    return f"({bracketed(x, SUM)} << {rest} >> {rest})", ATOM


def _cast(node: Node, x: Text, wide: bool) -> Text:
    """The nearest value of another type; floats to whole numbers are cut off."""
    old, new = node.args[0].kind, node.kind
    text = x[0]
    from_big, to_big = is_wide(old, wide), is_wide(new, wide)
    if new == "i1":
        return f"{bracketed(x, COMPARISON)} !== {'0n' if from_big else '0'}", EQUALITY
    if old == "i1":
        one, none = ("1n", "0n") if to_big else ("1", "0")
        return f"{bracketed(x, OR)} ? {one} : {none}", CHOICE
    if from_big and to_big:
        return _wrapped(x, new, wide, False)
    if from_big:
        if new[0] == "f":
            return _wrapped((f"Number({text})", ATOM), new, wide, False)
        return _wrapped((f"Number(BigInt.asIntN({bits_of(new)}, {text}))", ATOM), new, wide, False)
    if to_big:
        return _wrapped((f"toBig({text})", ATOM), new, wide, False) if new == "u64" else (
            f"toBig({text})", ATOM
        )  # fmt: skip
    if new[0] == "f":
        return x if new == "f64" else (f"Math.fround({text})", ATOM)
    if old[0] == "f":
        x = f"Math.trunc({text})", ATOM
    elif new == "i64":
        return x
    return _wrapped(x, new, wide, False)


def _bits(node: Node, x: Text) -> Text:
    old, new = node.args[0].kind, node.kind
    if {old, new} <= {"i64", "u64"}:
        return f"BigInt.as{'Int' if new == 'i64' else 'Uint'}N(64, {x[0]})", ATOM
    if old == "f64":
        return (f"bitsOf({x[0]})", ATOM) if new == "i64" else (
            f"BigInt.asUintN(64, bitsOf({x[0]}))", ATOM
        )  # fmt: skip
    if new == "f64":
        return f"fromBits({x[0]})", ATOM
    raise Unprintable(f"no JavaScript is known for the bits of {old} as {new}")
