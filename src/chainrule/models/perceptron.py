"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import nn
from chainrule.base.errors import ArgumentError


def mlp(
    units: Sequence[int],
    activation: Any = "relu",
    *,
    dropout: float = 0.0,
    batch_normalization: bool = False,
) -> nn.Sequential:
    """A multilayer perceptron: dense layers, one after the other.

    Args:
        units: the sizes of the hidden layers, then of the output.
        activation: of the hidden layers; the output is linear, scores or numbers.
        dropout: the share that is dropped after each hidden layer while training.
        batch_normalization: whether each hidden layer is normalised before its activation; its bias
            is left out then, since the normalisation has one.

    Returns:
        A `Sequential` whose layers are called hidden1, hidden2 …, output.

    Raises:
        ArgumentError: no sizes, or something else than a list of them.

    Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors,
        1986.

    Example:
        >>> import chainrule as cr
        >>> model = cr.models.mlp([30, 10], activation="sigmoid")
        >>> model.build((64,))
        >>> model.count_params()
        2260
    """
    if isinstance(units, str) or not isinstance(units, Sequence):
        raise ArgumentError(
            "the sizes of a network's layers are a list, the output's last",
            {"given": repr(units)},
            "cr.models.mlp([30, 10])",
        )
    if not units:
        raise ArgumentError("a network needs at least its output", fix="cr.models.mlp([30, 10])")
    model = nn.Sequential()
    for number, size in enumerate(units[:-1], start=1):
        model.add(nn.Dense(size, use_bias=not batch_normalization, name=f"hidden{number}"))
        if batch_normalization:
            model.add(nn.BatchNormalization(name=f"normalization{number}"))
        model.add(nn.Activation(activation, name=f"activation{number}"))
        if dropout:
            model.add(nn.Dropout(dropout, name=f"dropout{number}"))
    model.add(nn.Dense(units[-1], name="output"))
    return model
