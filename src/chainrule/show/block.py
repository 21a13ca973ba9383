"""Small blocks of numbers: a number, a bracketed matrix, the range of a larger array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.show.metric import text_width, widest
from chainrule.show.numeral import is_finite, range_text, shape_text, short
from chainrule.show.scene import Lines, Run, Shape, Text, runs_width

_MOST_ROWS, _MOST_COLUMNS = 4, 4
_CELL_GAP = 7.0
_LEADING = 1.22


@dataclass(frozen=True)
class Block:
    """Lines of text, or a matrix of cells in brackets, with words before it.

    Args:
        lead: what stands before, such as a name and an equals sign.
        cells: rows of numbers as text.
        size: of the font.
        role: the colour.
        matrix: whether brackets stand around the cells.
    """

    lead: tuple[Run, ...]
    cells: tuple[tuple[str, ...], ...]
    size: float
    role: str
    matrix: bool = False

    @property
    def width(self) -> float:
        """Pixels, with the brackets."""
        body = sum(self._columns()) + _CELL_GAP * max(0, len(self._columns()) - 1)
        return self._lead() + body + (10.0 if self.matrix else 0.0)

    @property
    def height(self) -> float:
        """Pixels from the top of the first line to the bottom of the last."""
        return max(1, len(self.cells)) * self.size * _LEADING

    def _columns(self) -> list[float]:
        return [widest(column, self.size) for column in zip(*self.cells, strict=True)]

    def _lead(self) -> float:
        return runs_width(self.lead, self.size) if self.lead else 0.0

    def shapes(self, x: float, y: float) -> Iterator[Shape]:
        """Its shapes, with the middle of its upper edge at (x, y)."""
        step = self.size * _LEADING
        if not self.matrix:
            runs = [Run(cell, self.role) for row in self.cells for cell in row if cell]
            yield Text(x, y + 0.86 * self.size, (*self.lead, *runs), self.size)
            return
        left = x - self.width / 2
        if self.lead:
            middle = y + self.height / 2 + 0.35 * self.size
            # Next to the bracket: a font that is narrower leaves its room at the far end.
            end = left + self._lead()
            *before, last = self.lead
            bare = Run(last.text.rstrip(" "), last.style)
            if bare != last:
                end -= text_width(" ", self.size)
            yield Text(end, middle, (*before, bare), self.size, "end")
        left += self._lead() + 2
        right, top, bottom = x + self.width / 2 - 2, y + 1, y + self.height - 0.5
        for edge, inward in ((left, 3.0), (right, -3.0)):
            corners = ((edge + inward, top), (edge, top), (edge, bottom), (edge + inward, bottom))
            yield Lines(corners, "bracket")
        for row, cells in enumerate(self.cells):
            place, end = y + row * step + 0.86 * self.size, left + 3
            for cell, width in zip(cells, self._columns(), strict=True):
                yield Text(end + width / 2, place, (Run(cell),), self.size, "middle", self.role)
                end += width + _CELL_GAP


def number_block(
    value: Any, role: str, size: float = 12.0, lead: tuple[Run, ...] = (), digits: int = 4
) -> Block:
    """A value to be drawn: a number, a small matrix, or the range of a larger array.

    What isn't finite is shown as such, with a sign, in a colour of its own.
    """
    array = np.asarray(value)
    if not is_finite(array):
        lead, role = (*lead, Run("⚠ ", "wrong-text")), f"{role} wrong-text"
    if array.ndim == 0:
        return Block(lead, ((short(array[()], digits),),), size, role)
    if array.size > 0 and array.ndim <= 2 and _fits(array):
        rows = np.atleast_2d(array)
        cells = tuple(tuple(short(x, 3) for x in row) for row in rows)
        return Block(lead, cells, size * 0.92, role, matrix=True)
    # Its shape stands in its box.
    return Block(lead, ((range_text(array) or shape_text(array.shape),),), size * 0.92, role)


def _fits(array: np.ndarray) -> bool:
    rows = np.atleast_2d(array)
    return rows.shape[0] <= _MOST_ROWS and rows.shape[1] <= _MOST_COLUMNS
