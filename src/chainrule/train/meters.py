"""What an epoch reports: mean losses and metrics, added up inside the native loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.train.compiled import Part
from chainrule.train.objective import Batch, Outcome


class Meters:
    """The sums behind the numbers of an epoch.

    Args:
        parts: the outputs with their metrics.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        many = len(parts) > 1
        self.losses = [f"{p.name}_loss" if many and p.loss is not None else None for p in parts]
        self.metrics = [
            [(_named(m, p.name if many else ""), m, weighted) for m, weighted in _all_of(p)]
            for p in parts
        ]

    def names(self) -> list[str]:
        """What `results` has entries for, in order."""
        losses = [name for name in self.losses if name is not None]
        return ["loss", *losses, *(name for row in self.metrics for name, _, _ in row)]

    def init(self) -> dict[str, Any]:
        """The sums before the first batch."""
        sums: dict[str, Any] = {"rows": np.float64(0), "loss": np.float64(0)}
        sums.update({name: np.float64(0) for name in self.losses if name is not None})
        for row in self.metrics:
            sums.update({name: metric.init() for name, metric, _ in row})
        return sums

    def update(self, sums: Any, loss: Any, outcome: Outcome, batch: Batch, size: int) -> Any:
        """The sums after one more batch."""
        rows = np.float64(size) if batch.rows is None else np.sum(batch.rows, dtype=np.float64)
        after = {"rows": sums["rows"] + rows, "loss": sums["loss"] + loss * rows}
        for name, value in zip(self.losses, outcome.losses, strict=True):
            if name is not None:
                after[name] = sums[name] + value * rows
        for row, y, output, weights, counts in zip(
            self.metrics, batch.y, outcome.outputs, batch.weights, outcome.counted, strict=True
        ):
            for name, metric, weighted in row:
                chosen = weights if weighted else None
                if counts is not None:
                    chosen = counts if chosen is None else both(chosen, counts)
                after[name] = metric.update(sums[name], y, output, chosen)
        return after

    def results(self, sums: Any) -> dict[str, Any]:
        """The numbers so far: the mean loss, the mean of each output's, every metric."""
        rows = float(sums["rows"]) or float("nan")
        found: dict[str, Any] = {"loss": float(sums["loss"]) / rows}
        for name in self.losses:
            if name is not None:
                found[name] = float(sums[name]) / rows
        for row in self.metrics:
            for name, metric, _ in row:
                value = np.asarray(metric.result(sums[name]))
                found[name] = value.item() if value.ndim == 0 else value
        return found


def _all_of(part: Part) -> list[tuple[Any, bool]]:
    return [(m, False) for m in part.metrics] + [(m, True) for m in part.weighted_metrics]


def both(weights: Any, counts: Any) -> Any:
    """Weights of samples, or of their entries, times what counts."""
    rank = max(np.ndim(weights), np.ndim(counts))
    some, others = (
        np.reshape(a, (*np.shape(a), *(1,) * (rank - np.ndim(a)))) for a in (weights, counts)
    )
    return some * others


def _named(metric: Any, output: str) -> str:
    return f"{output}_{metric.name}" if output else metric.name
