"""Residual networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule import nn
from chainrule.models.width import scaled

_CHANNELS = (64, 128, 256, 512)  # of the stages conv2 to conv5


def resnet18(
    classes: int = 1000, *, input_shape: Sequence[int] = (224, 224, 3), width: float = 1.0
) -> nn.Model:
    """ResNet-18: eight blocks of two 3 × 3 convolutions; 11,689,512 trained weights.

    Args:
        classes: how many scores it gives.
        input_shape: of one image, its channels last.
        width: a factor of all channels.

    Returns:
        A `Model`; its blocks are called conv2_1 … conv5_2 as in the paper. Its 9,600 moving
        averages of the batch normalisations aren't among the trained weights.

    Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2015, table 1.

    Example:
        >>> import chainrule as cr
        >>> model = cr.models.resnet18(10, input_shape=(32, 32, 3), width=0.1)
        >>> model.compute_output_shape((None, 32, 32, 3))
        (None, 10)
    """
    return _resnet(_basic, (2, 2, 2, 2), 1, classes, input_shape, width)


def resnet50(
    classes: int = 1000, *, input_shape: Sequence[int] = (224, 224, 3), width: float = 1.0
) -> nn.Model:
    """ResNet-50: sixteen bottleneck blocks of three convolutions; 25,557,032 trained weights.

    As in the paper, the first convolution of a stage takes the steps of two; PyTorch's version lets
    the 3 × 3 convolution take them, with the same weights.

    Args:
        classes, input_shape, width: as for `resnet18`.

    Returns:
        A `Model`; its blocks are called conv2_1 … conv5_3. Besides the trained weights it has
        53,120 moving averages.

    Source: He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2015, table 1 and
        figure 5, right.

    Example:
        >>> import chainrule as cr
        >>> model = cr.models.resnet50(10, input_shape=(32, 32, 3), width=0.1)
        >>> model.compute_output_shape((None, 32, 32, 3))
        (None, 10)
    """
    return _resnet(_bottleneck, (3, 4, 6, 3), 4, classes, input_shape, width)


def _resnet(
    branch: Callable[[Any, int, int, str], Any],
    counts: Sequence[int],
    expansion: int,
    classes: int,
    input_shape: Sequence[int],
    width: float,
) -> nn.Model:
    image = nn.Input(tuple(input_shape))
    x = _activated(_convolved(image, scaled(64, width), 7, 2, "conv1"), "conv1")
    x = nn.ZeroPadding2D(1, name="pool1_padding")(x)
    x = nn.MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, (count, channels) in enumerate(zip(counts, _CHANNELS, strict=True), start=2):
        inner = scaled(channels, width)
        for block in range(1, count + 1):
            strides = 2 if block == 1 and stage > 2 else 1
            name = f"conv{stage}_{block}"
            found = branch(x, inner, strides, name)
            if x.shape != found.shape:
                x = _convolved(x, inner * expansion, 1, strides, f"{name}_shortcut")
            x = _activated(nn.Add(name=f"{name}_add")([x, found]), name)
    x = nn.GlobalAveragePooling2D(name="pool5")(x)
    return nn.Model(image, nn.Dense(classes, name="fc")(x))


def _basic(x: Any, inner: int, strides: int, name: str) -> Any:
    """What a block of two 3 × 3 convolutions adds to its input."""
    x = _activated(_convolved(x, inner, 3, strides, f"{name}_a"), f"{name}_a")
    return _convolved(x, inner, 3, 1, f"{name}_b")


def _bottleneck(x: Any, inner: int, strides: int, name: str) -> Any:
    """What a block adds that works on fewer channels between two 1 × 1 convolutions."""
    x = _activated(_convolved(x, inner, 1, strides, f"{name}_a"), f"{name}_a")
    x = _activated(_convolved(x, inner, 3, 1, f"{name}_b"), f"{name}_b")
    return _convolved(x, inner * 4, 1, 1, f"{name}_c")


def _convolved(x: Any, filters: int, size: int, strides: int, name: str) -> Any:
    """A convolution without bias, and its batch normalisation."""
    if strides > 1 and size > 1:
        # As many zeros on all sides, as published; "same" would put more behind than before.
        x = nn.ZeroPadding2D(size // 2, name=f"{name}_padding")(x)
    x = nn.Conv2D(
        filters,
        size,
        strides,
        padding="valid" if strides > 1 else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return nn.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_normalization")(x)


def _activated(x: Any, name: str) -> Any:
    return nn.Activation("relu", name=f"{name}_relu")(x)
