"""Where in the user's own source something happened."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
from types import CodeType, FrameType
from typing import NamedTuple

import numpy as np

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_NUMPY = os.path.dirname(os.path.abspath(np.__file__))
_SITE = os.path.dirname(_NUMPY)
_INTERNAL_FOLDERS = tuple(
    folder + os.sep
    for folder in (_PACKAGE, _NUMPY, *(os.path.join(_SITE, n) for n in ("scipy", "optree")))
)
# contextlib's frames stand between ours where one of ours is a context manager.
_INTERNAL_NAMES = ("<frozen", "<__array_function__", contextlib.__file__)


class _InternalFiles(dict[str, bool]):
    """File name → whether frames of that file are never the user's; decided once per file."""

    def __missing__(self, filename: str) -> bool:
        internal = filename.startswith(_INTERNAL_FOLDERS) or filename.startswith(_INTERNAL_NAMES)
        self[filename] = internal
        return internal


INTERNAL = _InternalFiles()


class Place(NamedTuple):
    """One spot in a code object. Kept raw while tracing; decoded only when somebody asks."""

    code: CodeType
    lasti: int

    @property
    def filename(self) -> str:
        return self.code.co_filename

    @property
    def line(self) -> int:
        for first, last, line in self.code.co_lines():
            if first <= self.lasti < last and line is not None:
                return line
        return self.code.co_firstlineno

    @property
    def text(self) -> str:
        """The piece of source that was running: the expression where Python knows its columns."""
        line = self.line
        source = linecache.getline(self.filename, line)
        positions = getattr(self.code, "co_positions", None)
        if positions is not None:
            span = list(positions())[self.lasti // 2]
            if span[0] == span[1] == line and span[2] is not None and span[3] is not None:
                return source.encode()[span[2] : span[3]].decode()
        return source.strip()

    def __str__(self) -> str:
        return f"{os.path.basename(self.filename)}:{self.line} in {self.code.co_name}"


class Scope(NamedTuple):
    """What encloses an operation: a call of a function of the user's, a layer, a turn of a loop.

    kind: "function", "layer" or "loop". `key` tells two calls apart, and two turns; for a loop it
    ends with the number of the turn. `place` is where the function or layer was called;
    `class_name` a layer's.
    """

    kind: str
    name: str
    key: tuple[int, ...]
    place: Place | None = None
    class_name: str = ""


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost frame that is the user's own code, or None."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and _is_not_written(frame.f_code):
        frame = frame.f_back
    return frame


def _is_not_written(code: CodeType) -> bool:
    """Whether this isn't code of the user's: another's, or the `__init__` of a dataclass."""
    filename = code.co_filename
    return INTERNAL[filename] or (filename == "<string>" and code.co_name == "__init__")


def user_place(depth: int = 1) -> Place | None:
    """The place of the user's innermost frame, or None when no user code is running."""
    frame = user_frame(depth + 1)
    return None if frame is None else Place(frame.f_code, frame.f_lasti)
