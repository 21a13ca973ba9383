"""Losses: a class and a function for each, as in Keras; importing this enters all their names."""

from __future__ import annotations

from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import get
from chainrule.nn.loss import Loss, WrappedFunction, reduce_loss
from chainrule.nn.losses.crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from chainrule.nn.losses.divergence import KLDivergence, Poisson, kl_divergence, poisson
from chainrule.nn.losses.margin import (
    CategoricalHinge,
    Hinge,
    MulticlassHinge,
    NegativeLogLikelihood,
    SquaredHinge,
    categorical_hinge,
    hinge,
    multiclass_hinge,
    negative_log_likelihood,
    squared_hinge,
)
from chainrule.nn.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    SquaredError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    squared_error,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "MulticlassHinge",
    "NegativeLogLikelihood",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredError",
    "SquaredHinge",
    "as_loss",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "multiclass_hinge",
    "negative_log_likelihood",
    "poisson",
    "reduce_loss",
    "sparse_categorical_crossentropy",
    "squared_error",
    "squared_hinge",
]


def as_loss(identifier: Any) -> Loss:
    """What `loss=` means: a name, a config, a loss, a class of one, or a function.

    Args:
        identifier: see above; a function `f(y_true, y_pred)` gives one value per sample.

    Returns:
        A loss.

    Raises:
        ArgumentError: no loss has this name.

    Example:
        >>> as_loss("mse").name
        'mean_squared_error'
    """
    found = get("loss", identifier)
    if found is None:
        raise ArgumentError("a loss is needed", fix='give a name or a loss, such as loss="mse"')
    return found if isinstance(found, Loss) else WrappedFunction(found)
