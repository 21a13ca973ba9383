"""Where a classifier changes its mind: its decisions over a plane."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.show import palette
from chainrule.show.plot.plot import MARKERS, Look, Plot, legend


def decision_boundary(
    model: Any,
    x: Any,
    y: Any,
    *,
    threshold: float | None = None,
    points: int = 200,
    title: str = "",
    theme: str = "light",
) -> Plot:
    """The decisions of a classifier over the plane of its two inputs, with the data.

    Args:
        model: a model with `predict`, or a function from points (n, 2) to scores, (n,) or
            (n, classes).
        x: points, shape (n, 2).
        y: their classes, shape (n,): whole numbers from 0, or −1 and 1; or one-hot rows.
        threshold: of a single score, above which it's the second class; ½ where all scores lie
            between 0 and 1, else 0.
        points: along each side of the grid.
        title: what stands above it.
        theme: "light" or "dark".

    Returns:
        A `Plot`; its data: "x1" and "x2", the grid's lines; "decision", the class at each of its
        points, (points, points), row by row in x2; "score", what the model says; "points" and
        "classes", what was given.

    Raises:
        ShapeError: the points aren't pairs, or don't match their classes.
        ArgumentError: classes that are no whole numbers; matplotlib isn't installed.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> x = np.array([[0.0, 0.0], [1.0, 1.0]])
        >>> plot = cr.show.decision_boundary(lambda p: p[:, 0] - 0.5, x, [0, 1], points=4)
        >>> plot.data["decision"][0]
        array([0, 0, 1, 1])
    """
    x, classes = np.asarray(x), _classes(y)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ShapeError(
            "decision_boundary: the points must be pairs",
            {"points": x.shape},
            "choose two columns: x[:, [0, 1]], and a model of these two",
        )
    if len(x) != len(classes):
        raise ShapeError(
            "decision_boundary: so many points, and so many classes",
            {"points": len(x), "classes": len(classes)},
            "give one class for each point",
        )
    x1, x2 = (_line(column, points) for column in x.T)
    grid = np.stack(np.meshgrid(x1, x2), axis=-1).reshape(-1, 2)
    score = _scores(model, grid.astype(x.dtype) if x.dtype.kind == "f" else grid)
    decision = _decisions(score, threshold).reshape(points, points)

    def draw(figure: Any, look: Look) -> None:
        _draw(figure.subplots(), look, (x1, x2, decision), x, classes, title)

    data = {
        "x1": x1, "x2": x2, "decision": decision, "points": x, "classes": classes,
        "score": score.reshape(points, points, *score.shape[1:]),
    }  # fmt: skip
    return Plot(data, draw, (4.9, 4.3), theme)


def _classes(y: Any) -> np.ndarray:
    """Whole numbers from 0, made from labels as they come."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        return np.argmax(y, axis=1)
    y = y.reshape(-1)
    if y.dtype.kind not in "biuf" or not np.all(np.isfinite(y)) or np.any(y != np.round(y)):
        raise ArgumentError(
            "decision_boundary: classes are whole numbers",
            {"given": repr(y[:4].tolist())},
            "np.unique(y, return_inverse=True)[1] numbers names in alphabetical order",
        )
    return (y > 0).astype(int) if (y < 0).any() else y.astype(int)


def _line(column: np.ndarray, points: int) -> np.ndarray:
    fine = column[np.isfinite(column)]
    if not fine.size:
        raise ArgumentError("decision_boundary: no point has finite coordinates")
    low, high = float(fine.min()), float(fine.max())
    margin = 0.08 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, points)


def _scores(model: Any, grid: np.ndarray) -> np.ndarray:
    score = np.asarray(model.predict(grid) if hasattr(model, "predict") else model(grid))
    if score.shape[:1] != (len(grid),) or score.ndim > 2:
        raise ShapeError(
            "decision_boundary: the model must give one row of scores for each point",
            {"points": grid.shape, "scores": score.shape},
            "for a function of one point, cr.vmap(f) is one of many",
        )
    return score[:, 0] if score.ndim == 2 and score.shape[1] == 1 else score


def _decisions(score: np.ndarray, threshold: float | None) -> np.ndarray:
    """The class; −1 where the scores aren't finite."""
    if score.ndim == 2:
        decision = np.argmax(score, axis=1)
        return np.where(np.isfinite(score).all(axis=1), decision, -1)
    if threshold is None:
        fine = score[np.isfinite(score)]
        threshold = 0.5 if fine.size and fine.min() >= 0 and fine.max() <= 1 else 0.0
    return np.where(np.isfinite(score), (score > threshold).astype(int), -1)


def _draw(axes: Any, look: Look, grid: Any, x: np.ndarray, classes: np.ndarray, title: str) -> None:
    x1, x2, decision = grid
    known = sorted({*np.unique(classes).tolist(), *np.unique(decision[decision >= 0]).tolist()})
    for k in known:
        there = np.where(decision == k, 1.0, np.nan)
        axes.contourf(x1, x2, there, levels=[0.5, 1.5], colors=[look.series(k)], alpha=0.22)
        inside = (decision == k).astype(float)
        if 0 < inside.mean() < 1:
            axes.contour(x1, x2, inside, levels=[0.5], colors=[look(palette.INK)], linewidths=1.1)
    wrong = (decision < 0).astype(float)
    if wrong.any():
        style = {"hatches": ["xxx"], "colors": "none", "levels": [0.5, 1.5]}
        axes.contourf(x1, x2, wrong, **style)
        axes.plot([], [], "x", color=look(palette.WRONG), label="not finite")
    for k in known:
        here = classes == k
        axes.scatter(
            *x[here].T, s=26, marker=MARKERS[k % len(MARKERS)], color=look.series(k),
            edgecolors=look(palette.PAPER), linewidths=0.7, label=f"class {k}", zorder=3,
        )  # fmt: skip
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title=title)
    axes.grid(False)
    axes.set_xlim(x1[0], x1[-1])
    axes.set_ylim(x2[0], x2[-1])
    legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
