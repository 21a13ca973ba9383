"""Loops, branches and writes, as a book sets algorithms: x ← …, for k = 0, …, n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.ir.program import Program
from chainrule.show.source.latex.operations import index_text, indexed
from chainrule.show.source.names import Gradient
from chainrule.show.source.piece import Piece
from chainrule.show.source.writer import Site, Writer


def _becomes(writer: Writer, target: str, text: str) -> None:
    writer.line(rf"{target} &\leftarrow {text}")


def _words(writer: Writer, text: str) -> None:
    writer.line(f"&{text}")


def _begin(writer: Writer, wish: str | None, start: str) -> str:
    """A variable of the loop, and what it begins with."""
    shown = writer.variable(wish).text
    _becomes(writer, shown, start)
    return shown


def _move_on(writer: Writer, names: Sequence[str], texts: Sequence[str]) -> None:
    """All values of the next step at once."""
    left = [(n, t) for n, t in zip(names, texts, strict=True) if n != t]
    if len(left) == 1:
        _becomes(writer, *left[0])
    elif left:
        targets, values = (r",\, ".join(part) for part in zip(*left, strict=True))
        _becomes(writer, rf"\left({targets}\right)", rf"\left({values}\right)")


def _cheap(texts: Sequence[str]) -> list[Piece]:
    return [Piece(text, cheap=True) for text in texts]


def _scan(writer: Writer, site: Site, *pieces: Piece) -> list[Piece]:
    p = site.params
    body, length, consts, carry = p["body"], p["length"], p["consts"], p["carry"]
    fixed = [writer.settled(piece) for piece in pieces[:consts]]
    rows = [writer.settled(piece) for piece in pieces[consts + carry :]]
    bars = body.name.endswith("transposed")
    names = [
        _begin(writer, _label(body, consts + k, bars), pieces[consts + k].text)
        for k in range(carry)
    ]
    stacks = [_stack(writer, site, k) for k in range(carry, len(site.equation.outputs))]
    k = writer.names.counter()
    first, last = (length - 1, 0) if p["reverse"] else (0, length - 1)
    _words(writer, rf"\text{{for }} {k} = {first}, \dots, {last}\text{{:}}")
    with writer.indented():
        inputs = [*fixed, *_cheap(names), *_cheap([indexed(row, k) for row in rows])]
        outs = [out.text for out in writer.run(body, inputs)]
        for stack, out in zip(stacks, outs[carry:], strict=True):
            _becomes(writer, indexed(Piece(stack), k), out)
        _move_on(writer, names, outs[:carry])
    writer.names.release(k)
    return _cheap([*names, *stacks])


def _label(body: Program, k: int, bar: bool) -> str | None:
    """A name for what the loop carries, which may be a gradient."""
    label = body.inputs[k].label
    return Gradient(label) if bar and label else label


def _stack(writer: Writer, site: Site, k: int) -> str:
    return writer.variable(writer.wish(site.equation.outputs[k])).text


def _while(writer: Writer, site: Site, *pieces: Piece) -> list[Piece]:
    p = site.params
    start = p["cond_consts"] + p["consts"]
    outside = [writer.settled(piece) for piece in pieces[:start]]
    body = p["body"]
    names = [
        _begin(writer, _label(body, p["consts"] + k, False), piece.text)
        for k, piece in enumerate(pieces[start:])
    ]
    with writer.indented(), writer.aside() as lines:
        test = writer.run(p["cond"], [*outside[: p["cond_consts"]], *_cheap(names)])[0]
    if lines:
        _words(writer, r"\text{repeat:}")
        writer.lines += lines
        with writer.indented():
            _words(writer, rf"\text{{stop unless }} {test.text}")
    else:
        _words(writer, rf"\text{{while }} {test.text}\text{{:}}")
    with writer.indented():
        outs = writer.run(body, [*outside[p["cond_consts"] :], *_cheap(names)])
        _move_on(writer, names, [out.text for out in outs])
    return _cheap(names)


def _cond(writer: Writer, site: Site, p: Piece, *xs: Piece) -> list[Piece]:
    fixed = [writer.settled(x) for x in xs]
    names = [writer.variable(writer.wish(var)).text for var in site.equation.outputs]
    for k, branch in enumerate(site.params["branches"]):
        _words(writer, r"\text{otherwise:}" if k else rf"\text{{if }} {p.text}\text{{:}}")
        with writer.indented():
            for name, out in zip(names, writer.run(branch, fixed), strict=True):
                _becomes(writer, name, out.text)
    return _cheap(names)


def _put(writer: Writer, site: Site, x: Piece, v: Piece, *arrays: Piece) -> list[Piece]:
    var, before = site.equation.outputs[0], site.equation.inputs[0]
    if x.text in writer.owned and writer.uses(before) == 1:  # type: ignore[arg-type]
        target = x.text
    else:
        target = _begin(writer, writer.wish(var), x.text)
        writer.owned.add(target)
    _becomes(writer, indexed(Piece(target), index_text(site.params["index"], arrays)), v.text)
    return _cheap([target])


def _put_add(writer: Writer, site: Site, g: Piece, *arrays: Piece) -> list[Piece]:
    target = _begin(writer, writer.wish(site.equation.outputs[0]), "0")
    entry = indexed(Piece(target), index_text(site.params["index"], arrays))
    _becomes(writer, entry, f"{entry} + {g.text}")
    return _cheap([target])


STATEMENTS: dict[str, Callable[..., Any]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    "put": _put,
    "put_add": _put_add,
}
