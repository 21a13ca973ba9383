"""What an external value runs: loops around bodies, branches, and routines of a library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Scan:
    """A lowered body run `length` times: (*consts, *carry, *x of this turn) → (*carry, *y)."""

    body: Any
    length: int
    consts: int
    carry: int
    reverse: bool


@dataclass(frozen=True, eq=False)
class While:
    """A lowered body run while a lowered condition holds.

    The condition sees (*seen, *carry), the body (*consts, *carry) → (*carry,).
    """

    condition: Any
    body: Any
    seen: int
    consts: int


@dataclass(frozen=True, eq=False)
class WhileBack:
    """A while loop forward, and its turns again from the last to the first; see ops/control.py.

    The condition sees (*seen, *carry), the body (*consts, *carry) → (*carry, *saved), the way back
    (*consts, *sums, *g, *saved) → (*sums, *g). Operands (*seen, *consts, *carry, *g).
    """

    condition: Any
    body: Any
    back: Any
    seen: int
    consts: int
    carry: int
    equation: int


@dataclass(frozen=True, eq=False)
class Branch:
    """One of two lowered programs, by the first operand: the first where it holds."""

    branches: tuple[Any, Any]


@dataclass(frozen=True, eq=False)
class Linked:
    """A routine of LAPACK, run on each of `count` matrices of doubles; see emit/linear.py.

    Where it can't do its work, the equation fails.
    """

    routine: str
    count: int
    rows: int
    columns: int
    equation: int
    lower: bool = True


@dataclass(frozen=True, eq=False)
class Product:
    """Large products of matrices by BLAS: `count` times (rows, inner) times (inner, columns).

    `turned` says of each operand whether it lies in memory turned over, `repeated` whether it's one
    matrix for the whole stack.
    """

    kind: str
    count: int
    rows: int
    inner: int
    columns: int
    turned: tuple[bool, bool]
    repeated: tuple[bool, bool]
