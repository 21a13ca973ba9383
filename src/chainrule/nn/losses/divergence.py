"""Losses between a predicted and a true distribution: Kullback and Leibler's, and Poisson's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.registry import register
from chainrule.nn.labels import check_paired, check_range
from chainrule.nn.loss import FunctionLoss, OutputLoss, as_array, pair
from chainrule.nn.losses.regression import EPSILON


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Σ t log(t / p) over the last axis, both kept within [1e−7, 1]."""
    y_true, y_pred = pair("kl_divergence", y_true, y_pred)
    t = np.clip(y_true, EPSILON, 1)
    return np.sum(t * np.log(t / np.clip(y_pred, EPSILON, 1)), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """The mean of y − t log(y + 1e−7) over the last axis."""
    y_true, y_pred = pair("poisson", y_true, y_pred)
    return np.mean(y_pred - y_true * np.log(y_pred + EPSILON), axis=-1)


@register("loss", "kld", "KLD", "kl_divergence")
class KLDivergence(FunctionLoss):
    """Kullback and Leibler's divergence Σ t log(t / p) of probabilities.

    Source: Kullback and Leibler, On information and sufficiency, 1951.

    Example:
        >>> loss = KLDivergence()
        >>> round(float(loss(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]]))), 6)
        0.143841
    """

    function = staticmethod(kl_divergence)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name or "kl_divergence", dtype)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        check_paired(type(self).__name__, as_array(y_true), output_shape)
        check_range(type(self).__name__, as_array(y_true), 0, 1)


@register("loss")
class Poisson(OutputLoss):
    """y − t log y for counts t ≥ 0 and a predicted mean y > 0, averaged over the outputs.

    Example:
        >>> float(Poisson()(np.array([[0.0]]), np.array([[2.0]])))
        2.0
    """

    function = staticmethod(poisson)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        super().check(y_true, output_shape)
        check_range(type(self).__name__, as_array(y_true), 0, np.inf)
