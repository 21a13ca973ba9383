"""What the user's code does next with a value, read from its bytecode.

`a = x * z` stores the product under the name a: the instruction after the multiplication says so,
with no need for the source, in a notebook and in the REPL alike.
"""

from __future__ import annotations

import bisect
import dis
import functools
from types import CodeType
from typing import NamedTuple

_STORES = {"STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"}
_NOTHING = {"CACHE", "NOP", "RESUME", "EXTENDED_ARG", "PRECALL", "NOT_TAKEN"}
_ONTO_ONE = {"LOAD_ATTR", "LOAD_METHOD"}
_MOST_STEPS = 200

# What `destination` says of the result of a function.
RETURNED = "return"


class Loop(NamedTuple):
    """A loop of a code object: its first and last instruction, and what it's called."""

    first: int
    last: int
    name: str


class _Text(NamedTuple):
    instructions: list[dis.Instruction]
    offsets: list[int]


@functools.lru_cache(maxsize=1024)
def _text(code: CodeType) -> _Text:
    instructions = [i for i in dis.get_instructions(code) if i.opname not in _NOTHING]
    return _Text(instructions, [i.offset for i in instructions])


@functools.lru_cache(maxsize=4096)
def destination(code: CodeType, lasti: int) -> tuple[str, ...]:
    """Where the value goes that the instruction at `lasti` makes.

    Returns:
        The names it's stored under, several where it's unpacked; `(RETURNED,)` if the function
        returns it; nothing where it's used in an expression, or kept elsewhere.
    """
    text = _text(code)
    at = bisect.bisect_right(text.offsets, lasti)  # lasti may point behind the instruction itself
    depth = 0  # how many values lie above ours on the stack
    for _ in range(_MOST_STEPS):
        if at >= len(text.instructions):
            return ()
        step = text.instructions[at]
        found = _kept(text, at, depth)
        if found is not None:
            return found
        if step.opname in ("JUMP_FORWARD", "JUMP_ABSOLUTE") and step.argval > step.offset:
            at = bisect.bisect_left(text.offsets, step.argval)
            continue
        moved = _depth_after(step, depth)
        if moved is None:
            return ()
        at, depth = at + 1, moved
    return ()


@functools.lru_cache(maxsize=4096)
def unpacked(code: CodeType, lasti: int) -> tuple[str, ...]:
    """The names that the instruction at `lasti` takes a value apart into, if that's what it does.

    Each part is then made, and stored, on its own.
    """
    text = _text(code)
    at = bisect.bisect_right(text.offsets, lasti)
    step = text.instructions[at - 1]
    return _unpacked(text, at, int(step.argval)) if step.opname == "UNPACK_SEQUENCE" else ()


def _kept(text: _Text, at: int, depth: int) -> tuple[str, ...] | None:
    """Where this instruction puts our value, if it takes it off the stack to keep it."""
    step = text.instructions[at]
    name = step.opname
    if name in _STORES and depth == 0:
        return (str(step.argval),)
    if name == "STORE_FAST_STORE_FAST" and depth < 2:
        return (str(step.argval[depth]),)
    if name in ("STORE_FAST_LOAD_FAST", "STORE_FAST_MAYBE_NULL") and depth == 0:
        kept = step.argval[0] if isinstance(step.argval, tuple) else step.argval
        return (str(kept),)
    if name == "STORE_ATTR" and depth == 1:
        return (str(step.argval),)
    if name == "RETURN_VALUE" and depth == 0:
        return (RETURNED,)
    if name == "UNPACK_SEQUENCE" and depth == 0:
        return _unpacked(text, at + 1, int(step.argval))
    if name == "BUILD_TUPLE" and depth < int(step.argval):
        count = int(step.argval)
        following = text.instructions[at + 1] if at + 1 < len(text.instructions) else None
        if following is not None and following.opname == "UNPACK_SEQUENCE":
            names = _unpacked(text, at + 2, count)
            return names[count - 1 - depth : count - depth]
        return ()
    return None


def _unpacked(text: _Text, at: int, count: int) -> tuple[str, ...]:
    """The names under which `count` values on the stack are stored, the uppermost first."""
    names: list[str] = []
    for step in text.instructions[at:]:
        if len(names) >= count:
            break
        if step.opname in _STORES:
            names.append(str(step.argval))
        elif step.opname == "STORE_FAST_STORE_FAST":
            names += map(str, step.argval)
        elif step.opname == "STORE_FAST_LOAD_FAST":
            names.append(str(step.argval[0]))
        else:
            break
    return tuple(names[:count]) if len(names) >= count else ()


def _depth_after(step: dis.Instruction, depth: int) -> int | None:
    """How many values lie above ours after an instruction; None once ours is used, or may be."""
    name = step.opname
    if name == "SWAP" or name == "ROT_TWO":
        other = int(step.argval or 2) - 1 if name == "SWAP" else 1
        return {0: other, other: 0}.get(depth, depth)
    if name.startswith("ROT_"):
        count = {"ROT_THREE": 3, "ROT_FOUR": 4}.get(name) or int(step.argval)
        return depth if depth >= count else (count - 1 if depth == 0 else depth - 1)
    if name in ("COPY", "DUP_TOP"):
        # The copy of our own value is as good as the value.
        return depth + 1 if int(step.argval or 1) - 1 != depth else 0
    if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
        return None
    effect = dis.stack_effect(step.opcode, step.arg, jump=False)
    if name in _STORES:
        return depth - 1
    if name == "STORE_FAST_STORE_FAST":
        return depth - 2
    if name == "STORE_FAST_LOAD_FAST":
        return depth
    if name in _ONTO_ONE:
        taken = 1
    elif name == "KW_NAMES" or (effect > 0 and name.startswith(("LOAD_", "PUSH_"))):
        taken = 0
    else:
        taken = max(1 - effect, 1)
    return None if taken > depth else depth + effect


@functools.lru_cache(maxsize=1024)
def loops(code: CodeType) -> tuple[Loop, ...]:
    """The loops of a code object, outer ones before those inside them."""
    text = _text(code)
    ends: dict[int, int] = {}
    for step in text.instructions:
        jumps = step.opcode in dis.hasjrel or step.opcode in dis.hasjabs
        if jumps and isinstance(step.argval, int) and step.argval <= step.offset:
            ends[step.argval] = max(step.offset, ends.get(step.argval, 0))
    found = [Loop(first, last, _loop_name(text, first)) for first, last in ends.items()]
    return tuple(sorted(found, key=lambda loop: (loop.first, -loop.last)))


def _loop_name(text: _Text, first: int) -> str:
    at = bisect.bisect_left(text.offsets, first)
    if text.instructions[at].opname != "FOR_ITER":
        return "while"
    count = 1
    if text.instructions[at + 1].opname == "UNPACK_SEQUENCE":
        at, count = at + 1, int(text.instructions[at + 1].argval)
    names = _unpacked(text, at + 1, count)
    return f"for {', '.join(names)}" if names else "for"
