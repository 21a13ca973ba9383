"""What the calls of a layer hand on to each other, such as the states of a recurrent one.

It is no weight: it isn't learnt, counted or saved. Its shape is that of the batches at hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.nn.weight import untraced


class Carried:
    """One array that a call leaves for the next one.

    Args:
        name: the last part of its path, such as "state_0".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: np.ndarray | None = None  # None: the next call begins anew

    def __repr__(self) -> str:
        return f"<Carried {self.name}>"

    def kept(self) -> np.ndarray | None:
        """The value outside of calls with values of their own."""
        return self.value

    def keep(self, value: Any) -> None:
        """Leave a value for good.

        Raises:
            ArgumentError: it is a traced one.
        """
        self.value = untraced(self.name, value)

    def check(self, value: Any) -> None:
        """Any value will do."""
