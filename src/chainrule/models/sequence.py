"""Recurrent networks for sequences."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule import nn
from chainrule.base.errors import ArgumentError


def lstm(
    outputs: int,
    units: int | Sequence[int] = 64,
    *,
    vocabulary: int | None = None,
    embedding: int = 64,
    dropout: float = 0.0,
    every_step: bool = False,
) -> nn.Sequential:
    """Long short-term memories on top of each other, then a dense layer: classes or numbers.

    Args:
        outputs: scores of classes, or numbers to predict.
        units: of the recurrent layer, or of each of several.
        vocabulary: how many different symbols there are, for sequences of whole numbers; left out
            for sequences of vectors.
        embedding: the size of the vector that stands for a symbol.
        dropout: the share of each recurrent layer's input that is dropped while training.
        every_step: whether there is an output for every step, not only after the last.

    Returns:
        A `Sequential` from (batch, steps, features), or (batch, steps) with a vocabulary, to
        (batch, outputs) or (batch, steps, outputs); its layers: embedding, lstm1 …, output.

    Raises:
        ArgumentError: no units.

    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997; with forget gates as in Gers,
        Schmidhuber and Cummins, Learning to forget, 2000.

    Example:
        >>> import chainrule as cr
        >>> model = cr.models.lstm(2, units=8)
        >>> model.build((None, 20, 3))
        >>> model.count_params()
        402
    """
    sizes = [units] if isinstance(units, int) else list(units)
    if not sizes:
        raise ArgumentError("a recurrent network needs units", fix="units=64, or units=(64, 32)")
    model = nn.Sequential()
    if vocabulary is not None:
        model.add(nn.Embedding(vocabulary, embedding, name="embedding"))
    for number, size in enumerate(sizes, start=1):
        last = number == len(sizes)
        model.add(
            nn.LSTM(
                size,
                dropout=dropout,
                return_sequences=every_step or not last,
                name=f"lstm{number}",
            )
        )
    model.add(nn.Dense(outputs, name="output"))
    return model
