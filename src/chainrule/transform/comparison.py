"""A table of methods: which agree, how fast each is, and how it prints."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

_TRUSTED = ("symbolic", "reverse mode", "forward mode")


@dataclass(frozen=True)
class Row:
    """One method.

    Args:
        method: its name.
        values: the derivative by each argument, or None where the method doesn't apply.
        error: the largest difference from the best method.
        seconds: the time of one derivative.
        memory: its peak memory, in bytes.
        evaluations: how often f was called.
        disagrees: whether the difference is more than the method's rounding explains.
        note: what else there is to know; why it doesn't apply.
    """

    method: str
    values: tuple[Any, ...] | None
    error: float | None = None
    seconds: float | None = None
    memory: int | None = None
    evaluations: int | None = None
    disagrees: bool = False
    note: str = ""


class Comparison:
    """What `compare` returns: rows, a verdict, and several ways to show them.

    Args:
        labels: df/dx for every block of the derivative.
        value: f at the point.
        drafts: one row per method, not yet judged.
        bound: the error that finite differences expect of themselves.
    """

    def __init__(
        self, labels: Sequence[str], value: Any, drafts: Sequence[Row], bound: float | None
    ) -> None:
        self.labels, self.value, self._bound = list(labels), value, bound
        self._blocks = {
            row.method: [np.asarray(v) for v in row.values]
            for row in drafts
            if row.values is not None
        }
        self.best = self._choose()
        self.rows = tuple(map(self._judge, drafts))
        self.verdict = self._verdict()

    # ---- who is right -------------------------------------------------------------------------

    def _choose(self) -> str | None:
        """The method in the middle of all: nearest, in the median, to the others."""
        candidates = [m for m in _TRUSTED if m in self._blocks] or list(self._blocks)
        if not candidates:
            return None

        def spread(method: str) -> float:
            mine = self._blocks[method]
            others = [_distance(mine, b) for m, b in self._blocks.items() if m != method]
            return float(np.median(others)) if others else 0.0

        scale = 1e-12 * _size(self._blocks[candidates[0]])
        lowest = min(map(spread, candidates))
        return next(m for m in candidates if spread(m) <= lowest + scale)

    def _judge(self, row: Row) -> Row:
        if row.values is None or self.best is None:
            return row
        best = self._blocks[self.best]
        error = _distance(self._blocks[row.method], best)
        if self._undecided(row.method):
            return replace(row, error=error)
        return replace(row, error=error, disagrees=not error <= self._allowed(row.method))

    def _undecided(self, method: str) -> bool:
        """Finite differences that don't settle (a jump, an infinite slope) can't judge anything."""
        if method != "finite difference" or self._bound is None:
            return False
        mine = [v for block in self._blocks[method] for v in np.ravel(block)]
        size = max(_size(self._blocks[self.best or method]), 1e-3)
        return not (np.isfinite(mine).all() and self._bound <= 0.5 * size)

    def _allowed(self, method: str) -> float:
        """The difference from the best that rounding (and a finite step) explains."""
        assert self.best is not None
        best = self._blocks[self.best]
        eps = max((float(np.finfo(b.dtype).eps) for b in best if b.dtype.kind in "fc"), default=0.0)
        allowed = float(np.sqrt(eps)) * _size(best)
        if method == "finite difference" and self._bound is not None:
            allowed += 10 * self._bound
        return allowed

    def _verdict(self) -> str:
        if self.best is None:
            return "no method applies"
        wrong = [row for row in self.rows if row.disagrees]
        lines = [self._describe(row) for row in wrong]
        agreeing = []
        for row in self.rows:
            if row.values is None or row.disagrees:
                continue
            if self._undecided(row.method):
                lines.append(
                    f"{row.method} can't tell here: it doesn't settle as the step shrinks "
                    "(a jump, or an infinite slope)"
                )
            else:
                agreeing.append(row.method)
        lines.append(
            f"{', '.join(agreeing)} agree" if len(agreeing) > 1 else "nothing to compare with"
        )
        return "\n".join(lines)

    def _describe(self, row: Row) -> str:
        if row.values is None:
            return f"{row.method} is wrong: {row.note}"
        worst = ("", 0.0, 0.0, -1.0)
        for label, mine, best in zip(
            self.labels, self._blocks[row.method], self._blocks[self.best or ""], strict=True
        ):
            gaps = _gaps(mine, best)
            if gaps.size and gaps.max() > worst[3]:
                index = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
                place = f"[{', '.join(map(str, index))}]" if index else ""
                worst = (label + place, mine[index], best[index], float(gaps.max()))
        return (
            f"{row.method} disagrees: {worst[0]} is {_short(worst[1])} there, "
            f"and {_short(worst[2])} by {self.best}"
        )

    # ---- showing it ---------------------------------------------------------------------------

    def table(self) -> list[list[str]]:
        """The cells as text, the head first."""
        head = ["method", *self.labels, "error", "time", "memory", "calls"]
        lines = [head]
        for row in self.rows:
            if row.values is None:
                lines.append([_marked(row), *["–"] * (len(head) - 1)])
                continue
            lines.append(
                [
                    _marked(row),
                    *map(_text, row.values),
                    _error(row.error),
                    seconds_text(row.seconds),
                    _bytes(row.memory),
                    f"{row.evaluations:,}",
                ]
            )
        return lines

    def notes(self) -> list[str]:
        """What the rows have to say, and the verdict."""
        said = [f"{row.method}: {row.note}" for row in self.rows if row.note]
        return [*said, *self.verdict.splitlines()]

    def __str__(self) -> str:
        lines = self.table()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rows = [
            "  ".join(
                cell.ljust(width) if k == 0 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        rule = "  ".join("─" * width for width in widths)
        return "\n".join([rows[0], rule, *rows[1:], "", *self.notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *lines = self.table()
        cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        body = []
        for row, line in zip(self.rows, lines, strict=True):
            style = ' style="color:#b00020"' if row.disagrees else ""
            body.append(
                f"<tr{style}>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>"
            )
        notes = "<br>".join(map(html.escape, self.notes()))
        return (
            f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(body)}</tbody></table>"
            f"<p>{notes}</p>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain Python values."""
        return {
            "best": self.best,
            "verdict": self.verdict,
            "rows": [
                {
                    "method": row.method,
                    "values": None
                    if row.values is None
                    else {
                        label: np.asarray(v).tolist()
                        for label, v in zip(self.labels, row.values, strict=True)
                    },
                    "error": row.error,
                    "seconds": row.seconds,
                    "memory": row.memory,
                    "evaluations": row.evaluations,
                    "disagrees": row.disagrees,
                    "note": row.note,
                }
                for row in self.rows
            ],
        }


# ---- numbers ---------------------------------------------------------------------------------


def _gaps(a: Any, b: Any) -> Any:
    """Absolute differences; 0 where both are the same infinity or both NaN, else infinite there."""
    with np.errstate(all="ignore"):
        gaps = np.abs(a - b)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, np.where(np.isnan(gaps), np.inf, gaps))


def _distance(mine: Sequence[Any], best: Sequence[Any]) -> float:
    return max(
        (float(np.max(_gaps(a, b), initial=0.0)) for a, b in zip(mine, best, strict=True)),
        default=0.0,
    )


def _size(blocks: Sequence[Any]) -> float:
    sizes = [float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0)) for b in blocks]
    return max(sizes, default=0.0) or 1.0


def _marked(row: Row) -> str:
    return f"{row.method} ✗" if row.disagrees else row.method


def _text(value: Any) -> str:
    """A value with the digits that tell methods apart; a few entries, or the size of many."""
    array = np.asarray(value)
    if not array.shape:
        return _short(array[()], 12)
    if array.ndim == 1 and array.size <= 4:
        return "[" + ", ".join(_short(v, 6) for v in array) + "]"
    shape = "×".join(map(str, array.shape))
    return f"{shape}, norm {_short(np.linalg.norm(array), 9)}"


def _short(value: Any, digits: int = 10) -> str:
    if isinstance(value, (complex, np.complexfloating)):
        return f"{value:.{min(digits, 8)}g}"
    return f"{float(value):.{digits}g}"


def _error(error: float | None) -> str:
    if error is None:
        return "–"
    return "0" if error == 0 else f"{error:.1e}"


def seconds_text(seconds: float | None) -> str:
    """4.2 µs, 12 ms, 3.1 s."""
    if seconds is None:
        return "–"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.3g} {unit}"
    return ""


def _bytes(size: int | None) -> str:
    if size is None:
        return "–"
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return (
                f"{size / factor:.2g} {unit}"
                if size < 100 * factor
                else f"{size / factor:.0f} {unit}"
            )
    return f"{size} B"
