"""AlexNet."""

from __future__ import annotations

from typing import Any

from chainrule import nn
from chainrule.models.width import scaled


def alexnet(classes: int = 1000, *, width: float = 1.0) -> nn.Sequential:
    """AlexNet as published, for colour images of 224 × 224 pixels; 60,965,224 weights.

    Two groups, as on the paper's two processors: conv2, conv4 and conv5 see half the channels.
    Local response normalisation after conv1 and conv2, pooling windows that overlap, dropout, and
    the paper's first values: normal with deviation 0.01, biases 1 where they keep ReLUs awake. The
    published sizes need 227 pixels, so the image gets three more rows and columns of zeros.

    Args:
        classes: how many scores it gives.
        width: a factor of all channels and units.

    Returns:
        A `Sequential`; its five convolutions and three dense layers are called conv1 … fc8.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional
        neural networks, 2012, section 3 and section 5 for the first values.

    Example:
        >>> import chainrule as cr
        >>> cr.models.alexnet(width=0.1).compute_output_shape((None, 224, 224, 3))
        (None, 1000)
    """

    def first(bias: float) -> dict[str, Any]:
        normal = nn.initializers.RandomNormal(stddev=0.01)
        return {
            "kernel_initializer": normal,
            "bias_initializer": nn.initializers.Constant(bias),
        }

    def convolution(name: str, filters: int, size: int, bias: float, **options: Any) -> Any:
        return nn.Conv2D(
            scaled(filters, width), size, activation="relu", name=name, **first(bias), **options
        )

    def dense(name: str, units: int) -> Any:
        return nn.Dense(scaled(units, width), activation="relu", name=name, **first(1.0))

    return nn.Sequential(
        [
            nn.ZeroPadding2D(((1, 2), (1, 2)), name="padding"),
            convolution("conv1", 96, 11, 0.0, strides=4),
            nn.LocalResponseNormalization(name="norm1"),
            nn.MaxPooling2D(3, strides=2, name="pool1"),
            convolution("conv2", 256, 5, 1.0, padding="same", groups=2),
            nn.LocalResponseNormalization(name="norm2"),
            nn.MaxPooling2D(3, strides=2, name="pool2"),
            convolution("conv3", 384, 3, 0.0, padding="same"),
            convolution("conv4", 384, 3, 1.0, padding="same", groups=2),
            convolution("conv5", 256, 3, 1.0, padding="same", groups=2),
            nn.MaxPooling2D(3, strides=2, name="pool5"),
            nn.Flatten(name="flatten"),
            dense("fc6", 4096),
            nn.Dropout(0.5, name="drop6"),
            dense("fc7", 4096),
            nn.Dropout(0.5, name="drop7"),
            nn.Dense(classes, name="fc8", **first(0.0)),
        ]
    )
