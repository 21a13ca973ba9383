"""Loops and branches, as Python has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.ir.program import Constant, Operand, Program, Var
from chainrule.show.source.piece import Piece
from chainrule.show.source.python.literal import dtype, shape
from chainrule.show.source.writer import Site, Writer, kind_of

_NAME = re.compile(r"[^\W\d]\w*")


# ---- scan ----------------------------------------------------------------------------------------


def _scan(writer: Writer, site: Site, *pieces: Piece) -> list[Piece]:
    """A for-loop over rows; what the steps give is collected in arrays made before it."""
    p = site.params
    body, length, consts, carry = p["body"], p["length"], p["consts"], p["carry"]
    operands = site.equation.inputs
    fixed = [writer.settled(piece) for piece in pieces[:consts]]
    rows = [writer.settled(piece) for piece in pieces[consts + carry :]]
    counted = _counter(body, operands, consts, carry) if not p["reverse"] else None
    stacks = _stacks(writer, site, carry, length)
    indexed = bool(rows) or any(stacks)
    if counted is not None and indexed and _start(operands[consts + counted]) != 0:
        counted = None
    names = _carried(writer, site, body, pieces[consts : consts + carry], consts, counted)
    if counted is not None:
        names[counted] = index = writer.names.new(body.inputs[consts + counted].label or "i")
        first = _start(operands[consts + counted])
        header = f"for {index} in range({first}, {first + length}):" if first else None
    else:
        index = writer.names.counter() if indexed else "_"
        header = None
    counts = f"range({length})"
    header = header or f"for {index} in {f'reversed({counts})' if p['reverse'] else counts}:"
    inputs = [*fixed, *map(Piece, names), *(Piece(f"{row.within(10)}[{index}]") for row in rows)]
    writer.line(header)
    with writer.indented():
        before = len(writer.lines)
        outs = writer.run(body, [piece._replace(cheap=True) for piece in inputs])
        for stack, out in zip(stacks, outs[carry:], strict=True):
            if stack is not None:
                writer.line(f"{stack}[{index}] = {out.text}")
        left = [k for k in range(carry) if k != counted]
        _move_on(writer, [names[k] for k in left], [outs[k].text for k in left])
        if len(writer.lines) == before:
            writer.line("pass")
    if index != "_" and counted is None:
        writer.names.release(index)
    results = [Piece(name, cheap=True) for name in names]
    if counted is not None:
        results[counted] = Piece(str(_start(operands[consts + counted]) + length), cheap=True)
    return [*results, *(Piece(stack or "None", cheap=True) for stack in stacks)]


def _stacks(writer: Writer, site: Site, carry: int, length: int) -> list[str | None]:
    """An empty array for each result that is stacked, if anybody reads it."""
    names: list[str | None] = []
    stacked = site.params["body"].outputs[carry:]
    for var, out in zip(site.equation.outputs[carry:], stacked, strict=True):
        if not writer.uses(var):
            names.append(None)
            continue
        label = out.label if isinstance(out, Var) else None
        name = writer.names.new(writer.wish(var) or (label and f"{label}s"))
        writer.named(name, f"np.empty({shape(var.type.shape)}{_typed(var.type.dtype)})")
        names.append(name)
    return names


def _typed(kind: np.dtype[Any]) -> str:
    return "" if kind == np.dtype("f8") else f", dtype={dtype(kind)}"


def _start(operand: Operand) -> int:
    assert isinstance(operand, Constant)
    return int(operand.value)


def _counter(body: Program, operands: Sequence[Operand], consts: int, carry: int) -> int | None:
    """The carry that begins with a known number and goes up by one, if there is one."""
    for k in range(carry):
        start = operands[consts + k]
        if not isinstance(start, Constant) or np.ndim(start.value):
            continue
        if kind_of(start).dtype.kind in "iu" and _goes_up(body, consts + k, k):
            return k
    return None


def _goes_up(body: Program, entry: int, out: int) -> bool:
    var, result = body.inputs[entry], body.outputs[out]
    maker = next((e for e in body.equations if result in e.outputs), None)
    if maker is None or maker.primitive.name != "add":
        return False
    for one, other in (maker.inputs, maker.inputs[::-1]):
        if one is var and isinstance(other, Constant) and np.ndim(other.value) == 0:
            return bool(other.value == 1)
    return False


def _carried(
    writer: Writer, site: Site, body: Program, starts: Sequence[Piece], consts: int, but: int | None
) -> list[str]:
    """A name for each value that goes from step to step, holding what it begins with."""
    names = []
    for k, start in enumerate(starts):
        if k == but:
            names.append("")
            continue
        var = site.equation.outputs[k] if k < len(site.equation.outputs) else None
        wish = body.inputs[consts + k].label or (writer.wish(var) if var is not None else None)
        name = writer.names.new(wish)
        kind = body.inputs[consts + k].type
        writer.named(name, _strong(start, kind.dtype, site.plain or kind.weak))
        names.append(name)
    return names


def _strong(start: Piece, kind: np.dtype[Any], as_it_is: bool) -> str:
    """What a loop begins with; one of Python's numbers as NumPy's where that matters."""
    bare = start.text.lstrip("-").replace(".", "", 1).isdigit()
    return f"{dtype(kind)}({start.text})" if bare and not as_it_is else start.text


def _move_on(writer: Writer, names: Sequence[str], texts: Sequence[str]) -> None:
    """Give all names their next values at once; one by one where none reads an earlier one."""
    left = [(n, t) for n, t in zip(names, texts, strict=True) if n != t]
    ordered = []
    while left:
        free = next((pair for pair in left if not _read_by_others(pair, left)), None)
        if free is None:
            targets, values = (", ".join(part) for part in zip(*left, strict=True))
            ordered.append(f"{targets} = {values}")
            break
        ordered.append(f"{free[0]} = {free[1]}")
        left.remove(free)
    for line in ordered:
        writer.line(line)


def _read_by_others(pair: tuple[str, str], left: Sequence[tuple[str, str]]) -> bool:
    return any(pair[0] in _NAME.findall(text) for name, text in left if name != pair[0])


# ---- while ---------------------------------------------------------------------------------------


def _while(writer: Writer, site: Site, *pieces: Piece) -> list[Piece]:
    p = site.params
    start = p["cond_consts"] + p["consts"]
    outside = [writer.settled(piece) for piece in pieces[:start]]
    seen, fixed = outside[: p["cond_consts"]], outside[p["cond_consts"] :]
    counted = _counted_while(writer, site)
    names = _carried(writer, site, p["body"], pieces[start:], p["consts"], counted)
    if counted is None:
        _while_header(writer, p["cond"], [*seen, *_all_cheap(names)])
    else:
        names[counted] = writer.names.new(p["body"].inputs[p["consts"] + counted].label or "i")
        bound = _bound(p["cond"], seen, p["cond_consts"] + counted)
        first = writer.settled(pieces[start + counted]).text
        bounds = bound if first == "0" else f"{first}, {bound}"
        writer.line(f"for {names[counted]} in range({bounds}):")
    with writer.indented():
        outs = writer.run(p["body"], [*fixed, *_all_cheap(names)])
        left = [k for k in range(len(names)) if k != counted]
        _move_on(writer, [names[k] for k in left], [outs[k].text for k in left])
    return _all_cheap(names)


def _all_cheap(names: Sequence[str]) -> list[Piece]:
    return [Piece(name, cheap=True) for name in names]


def _while_header(writer: Writer, cond: Program, inputs: Sequence[Piece]) -> None:
    """`while condition:`, or `while True:` with the condition's lines in front of a break."""
    with writer.indented(), writer.aside() as lines:
        test = writer.run(cond, inputs)[0]
    if not lines:
        writer.line(f"while {test.text}:")
        return
    writer.line("while True:")
    writer.lines += lines
    with writer.indented():
        writer.line(f"if not {test.within(10)}:")
        writer.line("    break")


def _counted_while(writer: Writer, site: Site) -> int | None:
    """The carry that counts up to a bound that the loop doesn't change, and isn't read after it."""
    p = site.params
    cond, seen = p["cond"], p["cond_consts"]
    if len(cond.equations) != 1 or cond.equations[0].primitive.name != "less":
        return None
    low, high = cond.equations[0].inputs
    steady = isinstance(high, Constant) or high in cond.inputs[:seen]
    if not steady or kind_of(high).dtype.kind not in "iu":
        return None
    for k, var in enumerate(cond.inputs[seen:]):
        if low is var and _goes_up(p["body"], p["consts"] + k, k):
            return None if writer.uses(site.equation.outputs[k]) else k
    return None


def _bound(cond: Program, seen: Sequence[Piece], counter: int) -> str:
    high = cond.equations[0].inputs[1]
    if isinstance(high, Constant):
        return str(int(high.value))
    return seen[cond.inputs.index(high)].text


def _while_transpose(writer: Writer, site: Site, *pieces: Piece) -> list[Piece]:
    """The loop again, keeping of each step what the way back reads; then that, last step first."""
    p = site.params
    start, carry = p["cond_consts"] + p["consts"], p["carry"]
    outside = [writer.settled(piece) for piece in pieces[:start]]
    seen, fixed = outside[: p["cond_consts"]], outside[p["cond_consts"] :]
    body, back = p["body"], p["back"]
    names = []
    for k, piece in enumerate(pieces[start : start + carry]):
        kind = body.inputs[p["consts"] + k].type
        name = writer.names.new(body.inputs[p["consts"] + k].label)
        writer.named(name, _strong(piece, kind.dtype, site.plain or kind.weak))
        names.append(name)
    stack = writer.names.new("steps")
    writer.line(f"{stack} = []")
    _while_header(writer, p["cond"], [*seen, *_all_cheap(names)])
    with writer.indented():
        outs = [out.text for out in writer.run(body, [*fixed, *_all_cheap(names)])]
        kept = outs[carry:]
        writer.line(f"{stack}.append({_pack(kept)})")
        _move_on(writer, names, outs[:carry])
    gs = pieces[start + carry :]
    kinds = [kind_of(out) for out in back.outputs]
    results = [
        writer.names.new(writer.wish(var) or (wish and f"d{wish}"))
        for var, wish in zip(
            site.equation.outputs, _moving(writer, site, names, fixed), strict=True
        )
    ]
    sums = len(kinds) - len(gs)
    for name, kind in zip(results[:sums], kinds, strict=False):
        zero = "0.0" if not kind.shape and site.plain else None
        writer.named(name, zero or f"np.zeros({shape(kind.shape) or '()'}{_typed(kind.dtype)})")
    for name, piece, kind in zip(results[sums:], gs, kinds[sums:], strict=True):
        writer.named(name, _strong(piece, kind.dtype, site.plain))
    saved = [writer.names.new(var.label) for var in back.inputs[len(back.inputs) - p["saved"] :]]
    target = ", ".join(saved) if len(saved) != 1 else saved[0]
    writer.line(f"for {target or '_'} in reversed({stack}):")
    with writer.indented():
        after = writer.run(back, [*fixed, *_all_cheap(results), *_all_cheap(saved)])
        _move_on(writer, results, [piece.text for piece in after])
    return _all_cheap(results)


def _moving(
    writer: Writer, site: Site, names: Sequence[str], fixed: Sequence[Piece]
) -> list[str | None]:
    """What the results of the way back are the gradients of."""
    flags, count = site.params["moving"], site.params["consts"]
    found: list[str | None] = []
    for piece, flag in zip(fixed, flags[:count], strict=True):
        found += [piece.text if piece.text.isidentifier() else None] * flag
    found += [name for name, flag in zip(names, flags[count:], strict=True) if flag]
    return found


def _pack(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})" if texts else "None"


# ---- cond ----------------------------------------------------------------------------------------


def _cond(writer: Writer, site: Site, p: Piece, *xs: Piece) -> list[Piece]:
    """if … else …; a branch that only picks a value stands in one line."""
    fixed = [writer.settled(x) for x in xs]
    outputs = site.equation.outputs
    names = [writer.names.new(writer.wish(var)) if writer.uses(var) else "_" for var in outputs]
    for k, branch in enumerate(site.params["branches"]):
        writer.line("else:" if k else f"if {p.text}:")
        with writer.indented():
            before = len(writer.lines)
            outs = writer.run(branch, fixed)
            pairs = [(n, o.text) for n, o in zip(names, outs, strict=True) if n != "_"]
            for name, text in pairs:
                writer.line(f"{name} = {text}")
            if len(writer.lines) == before:
                writer.line("pass")
    return _all_cheap(names)


STATEMENTS: dict[str, Callable[..., Any]] = {
    "scan": _scan,
    "while": _while,
    "while_transpose": _while_transpose,
    "cond": _cond,
}
