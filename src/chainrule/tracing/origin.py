"""Where each equation comes from, in more detail than its line: asked for by graphs and texts.

An ordinary trace keeps the user's line of an equation and nothing more. This one also looks at all
the frames between the traced function and the operation: which functions of the user's were called,
which layers, and which turn of which loop it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import numpy as np

from chainrule.base.bytecode import loops
from chainrule.base.place import INTERNAL, Place, Scope
from chainrule.ir.primitive import Primitive
from chainrule.tracing.record import ProgramTrace
from chainrule.tracing.recording import RECORDING

# Functions of this package whose calls enclose operations: code → what kind of scope a call is, its
# name, and a layer's class.
ANNOUNCED: dict[CodeType, Callable[[FrameType], tuple[str, str, str]]] = {}
_array_equal = np.array_equal  # while a trace runs, NumPy's own name looks for traced values
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


def announces(function: Any, who: Callable[[FrameType], tuple[str, str]]) -> None:
    """Have calls of `function` count as layers; `who(frame)` gives the name and the class."""
    ANNOUNCED[function.__code__] = lambda frame: ("layer", *who(frame))


def announced(function: Any) -> Any:
    """Have calls of a function of this package count as those of the user's functions do."""
    name = function.__name__.strip("_")
    ANNOUNCED[function.__code__] = lambda frame: ("function", name, "")
    return function


class Origins:
    """The calls, layers and loops around each equation of one trace.

    Attributes:
        rows: the first result of an equation → its path, and the number of its visit.
        derived: first results that belong to a derivative: no values that the user has a name for.
    """

    __slots__ = ("_frames", "_last", "_seen", "_visit", "derived", "rows")

    def __init__(self) -> None:
        self.rows: dict[int, tuple[tuple[Scope, ...], int]] = {}
        self.derived: set[int] = set()
        self._seen = 0
        self._visit = 0
        self._frames: list[_Frame] = []
        self._last: FrameType | None = None

    def note(self, first: int) -> None:
        """Keep where the equation comes from that was recorded just now."""
        chain, entrance = _chain()
        if RECORDING.tangents or not chain:
            self.derived.add(first)
        self.rows[first] = self._origin(chain, entrance)

    def forget_frames(self) -> None:
        """Let go of the frames, and of all that is in them, once the function has returned."""
        self._frames, self._last = [], None

    def _origin(
        self, chain: list[FrameType], entrance: FrameType | None
    ) -> tuple[tuple[Scope, ...], int]:
        if entrance is not self._last:
            self._last, self._visit = entrance, self._visit + 1
        frames: list[_Frame] = []
        for k, frame in enumerate(chain):
            if k < len(self._frames) and self._frames[k].frame is frame:
                frames.append(self._frames[k])
                continue
            self._frames = []  # what the last operation's frames had further in is over
            self._seen += 1
            frames.append(_Frame(frame, self._seen))
        self._frames = frames
        path: list[Scope] = []
        caller: Place | None = None
        for k, known in enumerate(frames):
            inner = frames[k + 1].number if k + 1 < len(frames) else -self._visit
            path += known.scopes(caller, inner, outermost=k == 0)
            caller = known.place(caller)
        return tuple(path), self._visit


class OriginTrace(ProgramTrace):
    """A trace into a program that records the origin of each equation."""

    __slots__ = ("_known", "_owned", "captions", "origins")

    def __init__(self, known: Callable[[np.ndarray], str | None] = lambda array: None) -> None:
        """`known` says what the user calls an array from outside."""
        super().__init__()
        self._known = known
        self._owned: dict[int, tuple[np.ndarray, Any]] = {}  # by id: arrays, as they were
        self.captions: dict[int, str] = {}  # the id of an array → what the user calls it
        self.origins = Origins()

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        result = super().process(op, args, params)
        self.origins.note(len(self.shapes) - (len(result) if op.multiple else 1))
        return result

    def own(self, array: np.ndarray) -> Any:
        """The array as it is now: the same copy wherever it's still the same array."""
        before = self._owned.get(id(array))
        if before is not None and _same(before[1], array):
            return before[1]
        mine = super().own(array)
        if type(mine) is np.ndarray:
            self._owned[id(array)] = array, mine
            caption = self._known(array)
            if caption is not None:
                self.captions[id(mine)] = caption
        return mine


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return bool(_array_equal(left, right, equal_nan=left.dtype.kind in "fc"))


class _Frame:
    """A call that is going on, and how often its loops have turned."""

    __slots__ = ("at", "frame", "inner", "number", "turns", "who")

    def __init__(self, frame: FrameType, number: int) -> None:
        self.frame = frame
        self.number = number
        self.at = -1
        self.inner = 0
        self.turns: dict[int, int] = {}
        known = ANNOUNCED.get(frame.f_code)
        self.who = None if known is None else known(frame)

    def place(self, caller: Place | None) -> Place | None:
        """Where in the user's text it is just now; a layer of ours is where it was called."""
        if self.who is not None:
            return caller
        return Place(self.frame.f_code, self.frame.f_lasti)

    def scopes(self, caller: Place | None, inner: int, outermost: bool) -> list[Scope]:
        """The call itself, unless it's that of the traced function, and the loops it's in."""
        code = self.frame.f_code
        if self.who is not None:
            kind, name, class_name = self.who
            return [Scope(kind, name, (self.number,), caller, class_name)]
        found = []
        if not outermost and code.co_name not in _COMPREHENSIONS:
            found.append(Scope("function", code.co_name, (self.number,), caller))
        around = self._turned(self.frame.f_lasti, inner)
        turns: tuple[int, ...] = ()
        for first, name in around:
            turns = (*turns, first, self.turns[first])
            found.append(Scope("loop", name, (self.number, *turns)))
        return found

    def _turned(self, at: int, inner: int) -> list[tuple[int, str]]:
        """The loops around an instruction, their turns counted on if control went back."""
        every = loops(self.frame.f_code)
        around = [loop for loop in every if loop.first <= at <= loop.last]
        again = at < self.at or (at == self.at and inner != self.inner)
        if again:
            both = [loop for loop in around if loop.first <= self.at <= loop.last]
            if both:
                self.turns[both[-1].first] = self.turns.get(both[-1].first, 0) + 1
                for loop in every:
                    if both[-1].first < loop.first and loop.last <= both[-1].last:
                        self.turns.pop(loop.first, None)
        self.at, self.inner = at, inner
        for loop in around:
            self.turns.setdefault(loop.first, 0)
        return [(loop.first, loop.name) for loop in around]


def _chain() -> tuple[list[FrameType], FrameType | None]:
    """The user's frames and the announced ones, outermost first; and what the innermost called."""
    chain: list[FrameType] = []
    entrance: FrameType | None = None
    below: FrameType | None = None
    frame: FrameType | None = sys._getframe(3)
    while frame is not None:
        code = frame.f_code
        if code in _BOUNDARY:
            break
        if not INTERNAL[code.co_filename]:
            entrance = entrance or below
            chain.append(frame)
        elif code in ANNOUNCED:
            chain.append(frame)
        below, frame = frame, frame.f_back
    return chain[::-1], entrance


_BOUNDARY: set[CodeType] = set()


def begins_at(function: Any) -> Any:
    """Have `function` be where traced functions begin: frames outside it are nobody's."""
    _BOUNDARY.add(function.__code__)
    return function
