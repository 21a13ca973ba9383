"""Objects that stand for a function while something runs, under the function's own name."""

from __future__ import annotations

from typing import Any


class StandIn:
    """Has whatever the function has, looked up there when somebody asks.

    `functools.update_wrapper` copies it, which takes as long for two hundred of them as tracing
    a small function.
    """

    def __init__(self, original: Any) -> None:
        self.original = original

    def __getattr__(self, name: str) -> Any:
        original = self.__dict__["original"]
        return original if name == "__wrapped__" else getattr(original, name)

    def __repr__(self) -> str:
        return repr(self.original)
