"""VGG."""

from __future__ import annotations

from chainrule import nn
from chainrule.models.width import scaled

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels


def vgg16(classes: int = 1000, *, width: float = 1.0) -> nn.Sequential:
    """VGG-16, configuration D, for colour images of 224 × 224 pixels; 138,357,544 weights.

    Args:
        classes: how many scores it gives.
        width: a factor of all channels and units.

    Returns:
        A `Sequential`: conv1_1, conv1_2, pool1 … pool5, fc6, fc7, fc8. Images of other sizes, from
        32 × 32 on, work as well and give fc6 another number of weights.

    Source: Simonyan and Zisserman, Very deep convolutional networks for large-scale image
        recognition, 2014, table 1, column D.

    Example:
        >>> import chainrule as cr
        >>> cr.models.vgg16(10, width=0.1).compute_output_shape((None, 32, 32, 3))
        (None, 10)
    """
    model = nn.Sequential()
    for block, (count, channels) in enumerate(_BLOCKS, start=1):
        for number in range(1, count + 1):
            model.add(
                nn.Conv2D(
                    scaled(channels, width),
                    3,
                    padding="same",
                    activation="relu",
                    kernel_initializer="he_normal",
                    name=f"conv{block}_{number}",
                )
            )
        model.add(nn.MaxPooling2D(2, name=f"pool{block}"))
    model.add(nn.Flatten(name="flatten"))
    for name in ("6", "7"):
        units = scaled(4096, width)
        model.add(
            nn.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"fc{name}")
        )
        model.add(nn.Dropout(0.5, name=f"drop{name}"))
    model.add(nn.Dense(classes, name="fc8"))
    return model
