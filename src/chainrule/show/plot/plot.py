"""What every plot is: numbers, and a way to draw them that waits until a picture is wanted."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.show import palette
from chainrule.show.palette import Colour

THEMES = ("light", "dark")
# Curves differ in their dashes too, so that they're told apart in grey.
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (5, 1.4, 1.2, 1.4)))
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")  # of classes, as in the playground
_SIZE = 10.0  # of letters, in points


class Look(NamedTuple):
    """The colours of one theme."""

    theme: str

    def __call__(self, colour: Colour) -> str:
        return colour.dark if self.theme == "dark" else colour.light

    def series(self, k: int) -> str:
        """The colour of curve or class number k."""
        return self(palette.SERIES[k % len(palette.SERIES)])


Draw = Callable[[Any, Look], None]


class Plot:
    """Numbers and their picture.

    Attributes:
        data: name → the numbers that are drawn.
        theme: "light" or "dark".

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> x = np.linspace(0.0, 1.0, 5)
        >>> plot = cr.show.curves(x, {"value": x**2, "slope": 2 * x})
        >>> sorted(plot.data)
        ['slope', 'value', 'x']
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        draw: Draw,
        size: tuple[float, float] = (5.6, 3.8),
        theme: str = "light",
    ) -> None:
        if theme not in THEMES:
            raise ArgumentError(
                "a plot has no such theme", {"given": repr(theme)[:40]}, 'use "light" or "dark"'
            )
        matplotlib("figure")
        self.data = dict(data)
        self.theme = theme
        self.size = size
        self._draw = draw
        self._figure: Any = None

    @property
    def figure(self) -> Any:
        """The matplotlib figure, drawn when it's first asked for; change it as you like."""
        if self._figure is None:
            with matplotlib().rc_context(_settings(Look(self.theme))):
                figure = matplotlib("figure").Figure(figsize=self.size, layout="constrained")
                self._draw(figure, Look(self.theme))
            self._figure = figure
        return self._figure

    @property
    def axes(self) -> list[Any]:
        """The panels of the figure."""
        return list(self.figure.axes)

    def themed(self, theme: str) -> Plot:
        """The same plot in another theme."""
        return Plot(self.data, self._draw, self.size, theme)

    def save(self, file: Any, dpi: int = 150) -> None:
        """Write the picture; the name's ending says how (.png, .svg, .pdf)."""
        with _quiet_svg():
            self.figure.savefig(file, dpi=dpi)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()

    def __repr__(self) -> str:
        return f"<Plot of {', '.join(self.data)}>"


def matplotlib(part: str | None = None) -> Any:
    """matplotlib, or a part of it.

    Raises:
        ArgumentError: it isn't installed.
    """
    try:
        importlib.import_module("matplotlib.backends.backend_agg")
        return importlib.import_module(f"matplotlib.{part}" if part else "matplotlib")
    except ImportError:
        raise ArgumentError(
            "drawing needs matplotlib, which is not installed",
            fix='pip install "chainrule[plot]"',
        ) from None


@contextlib.contextmanager
def _quiet_svg() -> Iterator[None]:
    """The same picture gives the same file, its letters as letters."""
    with matplotlib().rc_context({"svg.hashsalt": "chainrule", "svg.fonttype": "none"}):
        yield


def _settings(look: Look) -> dict[str, Any]:
    ink, quiet, paper = look(palette.INK), look(palette.QUIET), look(palette.PAPER)
    colours = [look.series(k) for k in range(len(palette.SERIES))]
    return {
        "figure.facecolor": paper,
        "savefig.facecolor": paper,
        "axes.facecolor": paper,
        "axes.edgecolor": look(palette.LINE),
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "text.color": ink,
        "xtick.color": look(palette.LINE),
        "ytick.color": look(palette.LINE),
        "xtick.labelcolor": quiet,
        "ytick.labelcolor": quiet,
        "grid.color": look(palette.FAINT),
        "hatch.color": look(palette.WRONG),
        "hatch.linewidth": 0.7,
        "grid.linewidth": 0.7,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": matplotlib().cycler(color=colours),
        "axes.titlesize": _SIZE + 1,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 8.0,
        "axes.labelsize": _SIZE,
        "xtick.labelsize": _SIZE - 1,
        "ytick.labelsize": _SIZE - 1,
        "font.size": _SIZE,
        "font.family": ["DejaVu Sans"],
        "legend.frameon": False,
        "legend.fontsize": _SIZE - 1,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "axes.unicode_minus": True,
    }


def draw_curves(
    axes: Any, look: Look, x: Any, series: Mapping[str, Any], marks: bool = False
) -> None:
    """Curves over one axis; what isn't finite is marked at the edge of the panel."""
    if not len(x):
        axes.text(
            0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center",
            color=look(palette.WRONG),
        )  # fmt: skip
    for k, (name, y) in enumerate(series.items()):
        draw_curve(axes, look, k, name, x, y, marks)


def draw_curve(
    axes: Any, look: Look, k: int, name: str, x: Any, y: Any, marks: bool = False
) -> None:
    """Curve number k, with marks at its points if asked for, or if they're few."""
    y = np.asarray(y, float)
    fine = np.isfinite(y)
    few = marks or int(fine.sum()) < 3
    axes.plot(
        x, np.where(fine, y, np.nan), label=name, color=look.series(k),
        linestyle=DASHES[k % len(DASHES)], marker=MARKERS[k % len(MARKERS)] if few else None,
    )  # fmt: skip
    alone = fine & ~np.append(fine[1:], False) & ~np.append(False, fine[:-1])
    if alone.any() and not few:  # no line leads to it
        x_alone = np.asarray(x)[alone]
        axes.plot(x_alone, y[alone], ".", color=look.series(k), markersize=5, label="_")
    mark_not_finite(axes, look, x, y)


def mark_not_finite(axes: Any, look: Look, x: Any, y: Any) -> None:
    """A sign where a value isn't finite: ∞ at the top, −∞ and NaN at the bottom."""
    y = np.asarray(y, float)
    signs = (
        (np.isposinf(y), 0.97, "^", "∞"),
        (np.isneginf(y), 0.03, "v", "−∞"),
        (np.isnan(y), 0.03, "x", "NaN"),
    )
    _mark(axes, look, x, signs)


def mark_not_positive(axes: Any, look: Look, x: Any, y: Any) -> None:
    """A sign where a value has no place on a logarithmic axis."""
    y = np.asarray(y, float)
    _mark(axes, look, x, ((np.isfinite(y) & (y <= 0), 0.03, "v", "≤ 0"),))


def _mark(axes: Any, look: Look, x: Any, signs: Any) -> None:
    x = np.asarray(x)
    for where, height, marker, word in signs:
        if not where.any():
            continue
        across = axes.get_xaxis_transform()
        axes.plot(
            x[where], np.full(int(where.sum()), height), marker, color=look(palette.WRONG),
            transform=across, markersize=6, label="_", clip_on=False, zorder=5,
        )  # fmt: skip
        axes.annotate(
            word, (x[where][0], height), xycoords=across, textcoords="offset points",
            xytext=(5, -3), color=look(palette.WRONG), fontsize=_SIZE - 1, annotation_clip=False,
        )  # fmt: skip


def legend(axes: Any, **where: Any) -> None:
    """A legend, if there's more than one thing to tell apart."""
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(**where)


def in_panels(figure: Any, count: int, columns: int = 4) -> Sequence[Any]:
    """So many panels in rows; those too many are left out."""
    rows = -(-count // columns)
    grid = figure.subplots(rows, min(count, columns), squeeze=False).ravel()
    for spare in grid[count:]:
        spare.remove()
    return list(grid[:count])
