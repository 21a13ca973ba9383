"""Random numbers as calls: what is drawn for each of several keys, outside of any loop nest."""

from __future__ import annotations

from dataclasses import dataclass

GROUP = 64  # words that are drawn at once


@dataclass(frozen=True, eq=False)
class Philox:
    """Random words, from the block that another operand says on; see emit/draw.py.

    The region is the top word of the counter; `keys` says how many there are.
    """

    region: int
    keys: int


@dataclass(frozen=True, eq=False)
class Distribution:
    """Numbers that a C function of NumPy's draws; see emit/distribution.py.

    `keys` says how many there are; `numbers` are further arguments; `within`: those beyond two are
    left out.
    """

    keys: int
    function: str
    numbers: tuple[int, int] = (0, 0)
    within: bool = False
