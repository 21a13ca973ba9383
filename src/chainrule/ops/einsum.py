"""Sums over products by index letters."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import Roundings
from chainrule.ir.primitive import Case, Draw, Multilinear, Primitive, Rule
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops import sum_loops
from chainrule.ops.family import primitive
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

_REMEDY = "write one letter per axis and operand, as in 'ij,jk->ik'"
_MOST = 32  # operands of one einsum
_LARGE = 4096

# The primitive's letters: every operand names a letter at most once, and so does the result;
# sizes agree wherever a letter stands. What users may write beyond that is brought to this form.


def _split(subscripts: str) -> tuple[list[str], str]:
    left, right = subscripts.split("->")
    return left.split(","), right


def _einsum_type(*types: ArrayType, subscripts: str, optimize: bool) -> ArrayType:
    terms, out = _split(subscripts)
    sizes = {
        c: n
        for term, t in zip(terms, types, strict=True)
        for c, n in zip(term, t.shape, strict=True)
    }
    return ArrayType(tuple(sizes[c] for c in out), result_dtype(*types))


def _einsum_value(*xs: Any, subscripts: str, optimize: bool) -> Any:
    return np.einsum(subscripts, *xs, optimize=optimize)


def _transpose_in(i: int) -> Rule:
    """The transpose in operand i, for any number of operands."""
    return lambda g, *xs, subscripts, optimize: _transpose(g, xs, i, subscripts, optimize)


def _transpose(g: Any, xs: tuple[Any, ...], i: int, subscripts: str, optimize: bool) -> Any:
    """Contract the cotangent with all other operands; letters of this one alone are repeated."""
    terms, out = _split(subscripts)
    others = [k for k in range(len(terms)) if k != i]
    present = set(out).union(*(terms[k] for k in others))
    wanted = "".join(c for c in terms[i] if c in present)
    left = ",".join([out, *(terms[k] for k in others)])
    # Large contractions go through matrix products, whatever the user chose for the value.
    fast = optimize or math.prod(xs[i].shape) > _LARGE
    part = np.einsum(f"{left}->{wanted}", g, *(xs[k] for k in others), optimize=fast)
    if wanted == terms[i]:
        return part
    shape = xs[i].shape
    slots = tuple(n if c in present else 1 for c, n in zip(terms[i], shape, strict=True))
    return np.broadcast_to(np.reshape(part, slots), shape)


def _einsum_batch(
    op: Primitive, size: int, args: Any, batched: Any, subscripts: str, optimize: bool
) -> Any:
    terms, out = _split(subscripts)
    letter = next(c for c in string.ascii_letters if c not in subscripts)
    terms = [letter * b + term for term, b in zip(terms, batched, strict=True)]
    grown = f"{','.join(terms)}->{letter}{out}"
    return apply(op, *args, subscripts=grown, optimize=optimize)


def _einsum_symbolic(sympy: Any, *xs: Any, subscripts: str, optimize: bool) -> Any:
    return np.einsum(subscripts, *xs, optimize=False)


def _case(subscripts: str, *shapes: tuple[int, ...], dtype: str = "f8") -> Case:
    draws = tuple(Draw(shape, dtype=dtype) for shape in shapes)
    return Case(draws, {"subscripts": subscripts, "optimize": False})


einsum = primitive(
    name="einsum",
    type_rule=_einsum_type,
    value=_einsum_value,
    derivative=Multilinear(*map(_transpose_in, range(_MOST))),
    batch=_einsum_batch,
    symbolic=_einsum_symbolic,
    lower=sum_loops.einsum,
    bound=Roundings("(n + operands)", "Σ|x·y·…|"),
    cases=(
        _case("ij->ji", (2, 3)),
        _case("ij->i", (2, 3)),
        _case("i,i->", (3,), (3,)),
        _case("ij,jk->ik", (2, 3), (3, 4)),
        _case("ij,jk,k->i", (2, 3), (3, 4), (4,)),
        _case("i,j->ij", (2,), (3,)),
        _case("ij,k->k", (2, 3), (4,)),
        _case(",i->i", (), (3,)),
        _case("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
        _case("ij,jk->ik", (2, 3), (3, 2), dtype="f4"),
        _case("ij,j->i", (2, 3), (3,), dtype="c16"),
        _case("ij,j->i", (2, 0), (0,)),
    ),
)


# ---- from what a user may write ------------------------------------------------------------------


@implements(np.einsum)
def _einsum(*operands: Any, optimize: Any = False) -> Any:
    subscripts, arrays = _as_letters(operands)
    xs = [TABLE["operand"](x) for x in arrays]
    if len(xs) > _MOST:
        raise ShapeError(
            f"einsum: at most {_MOST} operands",
            {"operands": len(xs)},
            fix="split it into several calls, or multiply with np.multiply and @",
        )
    terms, out = _spelled_out(subscripts, xs)
    pairs = [_diagonal(x, term) for x, term in zip(xs, terms, strict=True)]
    sizes: dict[str, int] = {}
    for x, term in pairs:
        for c, n in zip(term, np.shape(x), strict=True):
            if sizes.setdefault(c, n) == 1:
                sizes[c] = n
            elif n not in (1, sizes[c]):
                raise ShapeError(
                    f"einsum: the letter {c} stands for two lengths",
                    {"subscripts": subscripts, "lengths": f"{sizes[c]} and {n}"}
                    | {f"operand {k}": type_of(a) for k, a in enumerate(xs)},
                    fix="make them equal, or of length 1; or use another letter",
                )
    plain = [_without_repeats(x, term, sizes) for x, term in pairs]
    if len(plain) == 1 and set(plain[0][1]) == set(out):
        # Nothing is added up: like NumPy's, the result shares the operand's memory.
        x, term = plain[0]
        return np.transpose(x, [term.index(c) for c in out])
    normal = f"{','.join(term for _, term in plain)}->{out}"
    return apply(einsum, *(x for x, _ in plain), subscripts=normal, optimize=bool(optimize))


def _as_letters(operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Subscripts and arrays, also from einsum's other form: array, list, array, list, … [list]."""
    if operands and isinstance(operands[0], str):
        return operands[0].replace(" ", ""), operands[1:]
    arrays, lists = operands[: len(operands) // 2 * 2 : 2], operands[1::2]
    used = sorted({k for row in operands[1::2] for k in row if k is not Ellipsis})
    letters = dict(zip(used, string.ascii_letters, strict=False))

    def spell(row: Any) -> str:
        return "".join("..." if k is Ellipsis else letters[k] for k in row)

    subscripts = ",".join(map(spell, lists))
    return subscripts + (f"->{spell(operands[-1])}" if len(operands) % 2 else ""), arrays


def _spelled_out(subscripts: str, xs: list[Any]) -> tuple[list[str], str]:
    """The terms with letters in place of dots, and the result written out."""
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    facts = {"subscripts": subscripts} | {f"operand {k}": type_of(x) for k, x in enumerate(xs)}
    if len(terms) != len(xs):
        raise ShapeError("einsum: one group of letters per operand", facts, _REMEDY)
    bare = [term.replace("...", "") for term in terms]
    if not all(
        set(text) <= set(string.ascii_letters) for text in (*bare, right.replace("...", ""))
    ):
        raise ShapeError("einsum: subscripts are letters, commas, '->' and '...'", facts, _REMEDY)
    ranks = [np.ndim(x) - len(letters) for x, letters in zip(xs, bare, strict=True)]
    if any(
        rank < 0 or (rank and "..." not in term) for rank, term in zip(ranks, terms, strict=True)
    ):
        raise ShapeError("einsum: an operand needs one letter per axis", facts, _REMEDY)
    free = [c for c in string.ascii_letters if c not in subscripts]
    dots = "".join(free[: max(ranks, default=0)])
    full = [
        term.replace("...", dots[len(dots) - rank :])
        for term, rank in zip(terms, ranks, strict=True)
    ]
    if arrow:
        if dots and "..." not in right:
            raise ShapeError(
                "einsum: the result must keep the '...' of the operands", facts, _REMEDY
            )
        out = right.replace("...", dots)
    else:
        joined = "".join(bare)
        out = dots + "".join(c for c in sorted(set(joined)) if joined.count(c) == 1)
    if len(set(out)) != len(out) or not set(out) <= set("".join(full)):
        raise ShapeError(
            "einsum: each letter of the result stands in an operand, and once", facts, _REMEDY
        )
    return full, out


def _diagonal(x: Any, term: str) -> tuple[Any, str]:
    """The entries where repeated letters agree, each letter left once."""
    for c in dict.fromkeys(term):
        spots = [k for k, d in enumerate(term) if d == c]
        if len(spots) == 1:
            continue
        lengths = {np.shape(x)[k] for k in spots}
        if len(lengths) > 1:
            raise ShapeError(
                f"einsum: the repeated letter {c} stands for two lengths",
                {"operand": type_of(x)},
                fix="a letter that stands twice takes a diagonal: make both axes equal",
            )
        while len(spots) > 1:
            x = np.diagonal(x, 0, spots[0], spots[1])
            term = "".join(d for k, d in enumerate(term) if k not in spots[:2]) + c
            spots = [k for k, d in enumerate(term) if d == c]
    return x, term


def _without_repeats(x: Any, term: str, sizes: dict[str, int]) -> tuple[Any, str]:
    """Axes of length 1 that would be repeated are dropped: the product repeats them anyway."""
    shape = np.shape(x)
    kept = [k for k, c in enumerate(term) if shape[k] == sizes[c]]
    if len(kept) == len(term):
        return x, term
    return np.reshape(x, tuple(shape[k] for k in kept)), "".join(term[k] for k in kept)
