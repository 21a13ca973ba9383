"""GoogLeNet, the first Inception network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import nn
from chainrule.models.width import scaled

# Channels of 1×1, of 3×3 after its 1×1, of 5×5 after its 1×1, and of 1×1 after the pooling.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def inception_v1(
    classes: int = 1000,
    *,
    input_shape: Sequence[int] = (224, 224, 3),
    auxiliary: bool = False,
    width: float = 1.0,
) -> nn.Model:
    """GoogLeNet as published, for colour images; 6,998,552 weights.

    Args:
        classes: how many scores it gives.
        input_shape: of one image, its channels last.
        auxiliary: whether it also gives the scores of the two classifiers on modules 4a and 4d,
            which the paper adds to the loss with a weight of 0.3 while training; 13,378,280 weights
            then, for images of 224 × 224 pixels.
        width: a factor of all channels.

    Returns:
        A `Model`; its modules are called inception_3a … inception_5b. With `auxiliary` its output
        is a list: the scores, then those of the two others.

    Source: Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, Going
        deeper with convolutions, 2014, table 1 and section 5.

    Example:
        >>> import chainrule as cr
        >>> model = cr.models.inception_v1(10, input_shape=(64, 64, 3), width=0.1)
        >>> model.compute_output_shape((None, 64, 64, 3))
        (None, 10)
    """
    image = nn.Input(tuple(input_shape))
    x = _convolved(image, scaled(64, width), 7, "conv1_7x7", strides=2)
    x = _halved(x, "pool1")
    x = nn.LocalResponseNormalization(k=1.0, alpha=2e-5, name="norm1")(x)
    x = _convolved(x, scaled(64, width), 1, "conv2_3x3_reduce")
    x = _convolved(x, scaled(192, width), 3, "conv2_3x3")
    x = nn.LocalResponseNormalization(k=1.0, alpha=2e-5, name="norm2")(x)
    x = _halved(x, "pool2")
    others: list[Any] = []
    for number, channels in _MODULES.items():
        if number in ("4a", "5a"):
            x = _halved(x, "pool3" if number == "4a" else "pool4")
        x = _module(x, [scaled(n, width) for n in channels], f"inception_{number}")
        if auxiliary and number in ("4a", "4d"):
            others.append(_classifier(x, classes, width, f"loss{len(others) + 1}"))
    x = nn.GlobalAveragePooling2D(name="pool5")(x)
    x = nn.Dropout(0.4, name="dropout")(x)
    scores = nn.Dense(classes, name="classifier")(x)
    return nn.Model(image, [scores, *others] if auxiliary else scores)


def _convolved(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    layer = nn.Conv2D(
        filters,
        size,
        strides,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
        name=name,
    )
    return layer(x)


def _halved(x: Any, name: str) -> Any:
    return nn.MaxPooling2D(3, strides=2, padding="same", name=name)(x)


def _module(x: Any, channels: Sequence[int], name: str) -> Any:
    """Windows of three sizes and a pooling beside each other, their channels in one row."""
    one, before3, three, before5, five, pooled = channels
    pool = nn.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    small = _convolved(x, before3, 1, f"{name}_3x3_reduce")
    large = _convolved(x, before5, 1, f"{name}_5x5_reduce")
    return nn.Concatenate(name=f"{name}_output")(
        [
            _convolved(x, one, 1, f"{name}_1x1"),
            _convolved(small, three, 3, f"{name}_3x3"),
            _convolved(large, five, 5, f"{name}_5x5"),
            _convolved(pool, pooled, 1, f"{name}_pool_proj"),
        ]
    )


def _classifier(x: Any, classes: int, width: float, name: str) -> Any:
    """An auxiliary classifier, which brings the gradient to the layers in the middle."""
    size = min(5, x.shape[1], x.shape[2])
    x = nn.AveragePooling2D(size, strides=3, name=f"{name}_ave_pool")(x)
    x = _convolved(x, scaled(128, width), 1, f"{name}_conv")
    x = nn.Flatten(name=f"{name}_flatten")(x)
    x = nn.Dense(scaled(1024, width), activation="relu", name=f"{name}_fc")(x)
    x = nn.Dropout(0.7, name=f"{name}_dropout")(x)
    return nn.Dense(classes, name=f"{name}_classifier")(x)
