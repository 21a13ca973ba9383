"""The colours of all pictures, plots and pages: told apart by every eye, light, dark and in grey.

The hues are those of Okabe and Ito (2008), darkened on white and lightened on black until text in
them has a contrast of at least 4.5 to its ground. No colour says anything alone: values stand above
an edge and gradients below, inputs have round ends, what isn't finite carries a sign.
"""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """One colour on a light ground and on a dark one."""

    light: str
    dark: str


PAPER = Colour("#ffffff", "#15181d")
INK = Colour("#1d2126", "#eceff3")
QUIET = Colour("#5b646e", "#a3adb8")
LINE = Colour("#6d7681", "#8b95a1")
FAINT = Colour("#d5d9de", "#3a414a")

VALUE = Colour("#00598c", "#7cc7f2")
GRADIENT = Colour("#a63b00", "#ffa370")
WRONG = Colour("#a3175f", "#ff8cc4")

# Ground and outline of what a node is.
INPUT = (Colour("#e3f0f8", "#12303f"), Colour("#0072b2", "#56b4e9"))
CAPTURED = (Colour("#e0f3ec", "#11352b"), Colour("#00805e", "#3cc79f"))
CONSTANT = (Colour("#f1f2f4", "#262b32"), Colour("#7d8690", "#8b95a1"))
OPERATION = (Colour("#fbfbfa", "#20252c"), Colour("#3b424a", "#b4bdc7"))
LAYER = (Colour("#f8edf4", "#38202f"), Colour("#a14a82", "#e3a1cb"))
FUNCTION = (Colour("#eef1f8", "#232b40"), Colour("#4c5f94", "#9fb3ea"))
LOOP = (Colour("#fdf2dc", "#3a2d10"), Colour("#996500", "#f0b64a"))

# For curves and classes in plots, in this order.
SERIES = (
    Colour("#0072b2", "#56b4e9"),
    Colour("#d55e00", "#ff9a5c"),
    Colour("#009e73", "#3cc79f"),
    Colour("#b8578f", "#e3a1cb"),
    Colour("#b58900", "#f0c94a"),
    Colour("#56b4e9", "#9bd3f5"),
    Colour("#5b646e", "#a3adb8"),
    Colour("#1d2126", "#eceff3"),
)

ROLES: dict[str, tuple[Colour, Colour]] = {
    "input": INPUT,
    "captured": CAPTURED,
    "constant": CONSTANT,
    "operation": OPERATION,
    "layer": LAYER,
    "function": FUNCTION,
    "loop": LOOP,
}


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21.

    Source: Web Content Accessibility Guidelines 2.2, relative luminance.
    """
    a, b = sorted((_luminance(one), _luminance(other)))
    return (b + 0.05) / (a + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
