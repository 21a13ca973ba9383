"""How the operands of a loop are laid out: consts, carries, rows, and which of them vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chainrule.ir.program import Program
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.control import output_types
from chainrule.transform.derive import (
    Flags,
    Freed,
    is_float,
    pushed,
    remembered,
    settled_flags,
    strong_type,
    typed,
    varying,
    zeros_of,
)


def wanted_flags(xs: Sequence[Any], wanted: Flags) -> Flags:
    """The operands that cotangents are wanted for and may be had; some have no value here."""
    return tuple(
        flag and (x is None or is_float(type_of(x))) for x, flag in zip(xs, wanted, strict=True)
    )


def settled(body: Program, flags: Flags, consts: int, carry: int) -> tuple[Flags, Flags]:
    """Which inputs vary, and which outputs; a carry that varies at all does so on both sides."""
    flags, outs = settled_flags(flags, consts, carry, lambda found: varying(body, found))
    return flags, (*flags[consts : consts + carry], *outs[carry:])


def spread(found: Sequence[Any], flags: Flags) -> list[Any]:
    """One answer per flag, None where it isn't set."""
    answers = iter(found)
    return [next(answers) if flag else None for flag in flags]


def operand_types(body: Program, length: int, fixed: int) -> list[ArrayType]:
    """The types of a scan's operands, of which the first `fixed` aren't rows."""
    kinds = [strong_type(var.type) for var in body.inputs]
    rows = [ArrayType((length, *kind.shape), kind.dtype) for kind in kinds[fixed:]]
    return [*kinds[:fixed], *rows]


def given(values: Sequence[Any], kinds: Sequence[ArrayType]) -> list[Any]:
    """Values in these types; zeros for those that there are none of."""
    return [
        zeros_of(kind) if value is None else typed(value, kind)
        for value, kind in zip(values, kinds, strict=True)
    ]


def result_types(body: Program, length: int, carry: int) -> list[ArrayType]:
    """The types of a scan's results."""
    kinds = output_types(body)
    rows = [ArrayType((length, *kind.shape), kind.dtype) for kind in kinds[carry:]]
    return [*kinds[:carry], *rows]


def split(items: Sequence[Any], consts: int, carry: int) -> tuple[Any, Any, Any]:
    """Consts, carries and rows."""
    return items[:consts], items[consts : consts + carry], items[consts + carry :]


def tally(flags: Flags, consts: int, carry: int) -> tuple[int, int]:
    """How many consts and carries are flagged."""
    return sum(flags[:consts]), sum(flags[consts : consts + carry])


def joint(body: Program, flags: Flags, outs: Flags, consts: int, carry: int) -> Freed:
    """The body that carries tangents beside values, its inputs and outputs in a scan's order."""

    def make() -> Freed:
        program, arrays = pushed(body, flags, outs)
        count, results = len(body.inputs), len(body.outputs)
        heads, inputs = program.inputs[: len(arrays)], program.inputs[len(arrays) :]
        pairs = zip(
            split(inputs[:count], consts, carry),
            split(inputs[count:], *tally(flags, consts, carry)),
            strict=True,
        )
        ordered = [var for pair in pairs for part in pair for var in part]
        values, tangents = program.outputs[:results], program.outputs[results:]
        ts = sum(outs[:carry])
        tail = (*values[:carry], *tangents[:ts], *values[carry:], *tangents[ts:])
        return replace(program, inputs=(*heads, *ordered), outputs=tail), arrays

    return remembered(body, ("joint", flags, outs, consts, carry), make)
