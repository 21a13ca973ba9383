"""Shapes, indices, joins: where entries stand, not what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.ir.program import Operand
from chainrule.ops.family import ones_at
from chainrule.ops.index_plan import Spot
from chainrule.show.source.piece import ATOM, Piece
from chainrule.show.source.python.elementwise import call
from chainrule.show.source.python.literal import axes, dtype, literal, number, shape, tuple_of
from chainrule.show.source.writer import Site, Writer, kind_of

# Without a rule of views, yet NumPy may give what it was given.
_SEEN = ("real", "imag", "diagonal", "windows", "strided", "stop_gradient", "unseen", "copy")
_WHOLE_NUMBERS = re.compile(r"\[\d+(, \d+)+\]")
_REDUCING = ("sum", "prod", "max", "min", "any", "all")
_FRESH = ("np.zeros(", "np.ones(", "np.full(", "np.array(", "np.empty(")


def owner(x: Piece) -> str:
    """An operand of which something is asked with a dot or an index."""
    return x.within(ATOM)


def _transpose(site: Site, x: Piece) -> Piece:
    order = site.params["axes"]
    if order == tuple(reversed(range(len(order)))):
        return Piece(f"{owner(x)}.T", cheap=x.cheap)
    if order[:-2] == tuple(range(len(order) - 2)) and order[-2:] == (
        len(order) - 1,
        len(order) - 2,
    ):
        return Piece(f"np.swapaxes({x.text}, -1, -2)")
    return Piece(f"np.transpose({x.text}, {tuple_of(map(str, order))})")


def _reshape(site: Site, x: Piece) -> Piece:
    to = site.params["shape"]
    if not site.kind(0).shape and to == (1,) * len(to):
        return call("np.reshape", x, Piece(shape(to) if to else "()"))
    if _keeps_axes(site, x):
        return Piece(f"{x.text[:-1]}, keepdims=True)")
    if not to:
        return call("np.reshape", x, Piece("()"))
    if to == (site.kind(0).size,):
        to = (-1,)
    return Piece(f"{owner(x)}.reshape({', '.join(map(str, to))})")


def _keeps_axes(site: Site, x: Piece) -> bool:
    """Whether axes come back that a sum, or the like, has just taken away."""
    maker = site.maker(0)
    if maker is None or x.deferred is None or maker.primitive.name not in _REDUCING:
        return False
    before = kind_of(maker.inputs[0]).shape
    along = maker.params["axis"]
    return bool(along) and ones_at(before, along) == site.params["shape"]


def _broadcast(site: Site, x: Piece) -> Piece:
    return call("np.broadcast_to", x, Piece(shape(site.params["shape"]) or "()"))


# ---- indices -------------------------------------------------------------------------------------


def index_text(index: tuple[Any, ...], arrays: Sequence[Piece]) -> str:
    """An index between its square brackets."""
    alone = sum(type(entry) is Spot for entry in index) == 1
    parts = [_entry(entry, arrays) for entry in index]
    parts = [_as_slice(part) if alone else part for part in parts]
    while len(parts) > 1 and parts[-1] == ":" and Ellipsis not in index:
        parts.pop()
    return ", ".join(parts) or "()"


def _as_slice(part: str) -> str:
    """[1, 2, 3] as 1:4, which is the same where no other index array stands beside it."""
    if not _WHOLE_NUMBERS.fullmatch(part):
        return part
    numbers = [int(word) for word in part[1:-1].split(",")]
    return (
        f"{numbers[0]}:{numbers[-1] + 1}" if all(b - a == 1 for a, b in pairwise(numbers)) else part
    )


def _entry(entry: Any, arrays: Sequence[Piece]) -> str:
    if type(entry) is Spot:
        text = arrays[entry.number].text
        bare = text.startswith("np.array([") and text.endswith("])") and "dtype" not in text
        return text[len("np.array(") : -1] if bare else text
    if isinstance(entry, slice):
        ends = ["" if part is None else number(part) for part in (entry.start, entry.stop)]
        return ":".join(ends + ([] if entry.step is None else [number(entry.step)]))
    return "..." if entry is Ellipsis else "None" if entry is None else number(int(entry))


def _getitem(site: Site, x: Piece, *arrays: Piece) -> Piece:
    text = f"{owner(x)}[{index_text(site.params['index'], arrays)}]"
    return Piece(text, cheap=x.cheap and not arrays and len(text) <= 12)


def _put(writer: Writer, site: Site, x: Piece, v: Piece, *arrays: Piece) -> list[Piece]:
    """x with some entries replaced: in its place if nobody else ever reads it."""
    var, before = site.equation.outputs[0], site.equation.inputs[0]
    if x.text in writer.owned and writer.uses(before) == 1:  # type: ignore[arg-type]
        target = x
    else:
        name = writer.names.new(writer.wish(var))
        fresh = x.text.startswith(_FRESH) or (x.deferred is not None and _computes(writer, before))
        target = writer.named(name, x.text if fresh else f"np.array({x.text})")
        writer.owned.add(name)
    writer.line(f"{target.text}[{index_text(site.params['index'], arrays)}] = {v.text}")
    return [target]


def _computes(writer: Writer, operand: Operand) -> bool:
    """Whether an operand is computed anew, in memory that nobody else has."""
    maker = writer.maker(operand)
    return maker is not None and maker.primitive.view is None and maker.primitive.name not in _SEEN


def _put_add(writer: Writer, site: Site, g: Piece, *arrays: Piece) -> list[Piece]:
    """Zeros with entries added to: the transpose of reading them."""
    var = site.equation.outputs[0]
    kind = "" if site.out.dtype == np.dtype("f8") else f", dtype={dtype(site.out.dtype)}"
    name = writer.names.new(writer.wish(var))
    target = writer.named(name, f"np.zeros({shape(site.params['shape']) or '()'}{kind})")
    writer.owned.add(name)
    index = index_text(site.params["index"], arrays)
    if not arrays:
        writer.line(f"{name}[{index}] += {g.text}")
        return [target]
    entries = [
        part if part not in (":", "...") else _as_object(part) for part in _split(site, arrays)
    ]
    where = entries[0] if len(entries) == 1 else tuple_of(entries)
    writer.line(f"np.add.at({name}, {where}, {g.text})")
    return [target]


def _split(site: Site, arrays: Sequence[Piece]) -> list[str]:
    parts = []
    for entry in site.params["index"]:
        text = _entry(entry, arrays)
        if isinstance(entry, slice):
            ends = (
                "None" if p is None else number(p) for p in (entry.start, entry.stop, entry.step)
            )
            text = f"slice({', '.join(ends)})"
        parts.append(text)
    return parts


def _as_object(part: str) -> str:
    return "slice(None)" if part == ":" else part


# ---- joins ---------------------------------------------------------------------------------------


def _joined(function: str) -> Callable[..., Piece]:
    def rule(site: Site, *xs: Piece) -> Piece:
        axis = site.params["axis"]
        parts = Piece(f"[{', '.join(x.text for x in xs)}]")
        scalars = function == "stack" and site.out.ndim == 1 and axis == 0
        if scalars and site.plain:
            return call("np.array", parts)
        return call(f"np.{function}", parts, **({"axis": str(axis)} if axis else {}))

    return rule


def _diagonal(site: Site, x: Piece) -> Piece:
    offset = site.params["offset"]
    return call("np.diagonal", x, Piece(number(offset)), Piece("-2"), Piece("-1"))


def _strided(site: Site, x: Piece) -> Piece:
    p = site.params
    if site.kind(0).ndim == len(p["shape"]) == 1 and p["steps"][0] > 0:
        last = p["start"] + (p["shape"][0] - 1) * p["steps"][0] + 1
        step = "" if p["steps"][0] == 1 else f":{p['steps'][0]}"
        return Piece(f"{owner(x)}[{p['start']}:{max(last, p['start'])}{step}]")
    return call(
        "strided", x, Piece(number(p["start"])), Piece(tuple_of(map(str, p["shape"]))),
        Piece(tuple_of(map(str, p["steps"]))),
    )  # fmt: skip


def _sorted(site: Site, x: Piece) -> Piece:
    return call("np.sort", x)


def _argsort(site: Site, x: Piece) -> Piece:
    named = {"axis": axes((site.params["axis"],))}
    kind = site.params["kind"]
    if kind is not None:
        named["kind"] = repr(str(kind))
    return call("np.argsort", x, **named)


def _argpartition(site: Site, x: Piece) -> Piece:
    kth = site.params["kth"]
    text = tuple_of(map(str, kth)) if isinstance(kth, tuple) else literal(kth).text
    return call("np.argpartition", x, Piece(text))


def _searchsorted(site: Site, a: Piece, v: Piece) -> Piece:
    side = site.params["side"]
    return call("np.searchsorted", a, v, **({"side": repr(str(side))} if side != "left" else {}))


EXPRESSIONS: dict[str, Callable[..., Any]] = {
    "transpose": _transpose,
    "reshape": _reshape,
    "broadcast_to": _broadcast,
    "getitem": _getitem,
    "stack": _joined("stack"),
    "concatenate": _joined("concatenate"),
    "diagonal": _diagonal,
    "strided": _strided,
    "sort": _sorted,
    "argsort": _argsort,
    "argpartition": _argpartition,
    "searchsorted": _searchsorted,
    "share_runs": lambda site, t, starts: call("mean_of_runs", t, starts),
}
STATEMENTS: dict[str, Callable[..., Any]] = {"put": _put, "put_add": _put_add}
