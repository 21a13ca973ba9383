"""When a function is traced over and over, its user is told which argument is the reason."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

from chainrule.base.place import INTERNAL
from chainrule.ir.types import ArrayType, type_of

_OFTEN = 8


def _to_user() -> int:
    """How many calls up the user's own code is, for a warning to point there."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and INTERNAL[frame.f_code.co_filename]:
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    return level


class Retraces:
    """The kinds of arguments that a function has been traced for."""

    def __init__(self) -> None:
        self.kinds: dict[str, list[ArrayType]] = {}
        self.count = 0
        self.told: set[str] = set()

    def note(self, function: str, names: Sequence[str], leaves: Sequence[Any]) -> None:
        """Count one more; warn, once per argument, of one that keeps changing."""
        self.count += 1
        for name, leaf in zip(names, leaves, strict=True):
            known = self.kinds.setdefault(name, [])
            kind = type_of(leaf)
            if kind not in known:
                known.append(kind)
        if self.count < _OFTEN:
            return
        for name, kinds in self.kinds.items():
            if len(kinds) >= _OFTEN and name not in self.told:
                self.told.add(name)
                last = ", ".join(map(str, kinds[-3:]))
                warnings.warn(
                    f"jit: {function} has been compiled for {len(kinds)} different types of "
                    f"{name}, the last ones {last}. Each new shape or dtype is compiled anew: "
                    "pad arrays to a few shapes, or pass what isn't an array of numbers through "
                    "static_argnums.",
                    RuntimeWarning,
                    stacklevel=_to_user(),
                )
