"""LeNet-5."""

from __future__ import annotations

from chainrule import nn


def lenet(classes: int = 10) -> nn.Sequential:
    """LeNet-5 in its common modern form, for grey images of 28 × 28 pixels; 61,706 weights.

    The layers and their sizes are the published ones. As in most books since, S2 and S4 take plain
    means without coefficients of their own, every map of C3 sees all six of S2 (the paper wires a
    table of 60 pairs to save work), the activation is tanh, and the output is linear in place of
    distances to drawn patterns. C1 puts the two rows of zeros round the image that make it the
    paper's 32 × 32.

    Args:
        classes: how many scores it gives.

    Returns:
        A `Sequential` with the paper's names: C1, S2, C3, S4, C5, F6, output.

    Source: LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document
        recognition, 1998, section II.B.

    Example:
        >>> import chainrule as cr
        >>> cr.models.lenet().compute_output_shape((None, 28, 28, 1))
        (None, 10)
    """
    return nn.Sequential(
        [
            nn.Conv2D(6, 5, padding="same", activation="tanh", name="C1"),
            nn.AveragePooling2D(2, name="S2"),
            nn.Conv2D(16, 5, activation="tanh", name="C3"),
            nn.AveragePooling2D(2, name="S4"),
            nn.Conv2D(120, 5, activation="tanh", name="C5"),
            nn.Flatten(name="flatten"),
            nn.Dense(84, activation="tanh", name="F6"),
            nn.Dense(classes, name="output"),
        ]
    )
