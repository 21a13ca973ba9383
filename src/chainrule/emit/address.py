"""Many addresses at once: lists of where they are found, and loops that go through them.

The loops of a deep network carry hundreds of arrays. Code for each of them, one after the other,
takes LLVM the square of their number.

A word says where an address is found: the entry of the arguments that holds it, or, as −1 − n, the
n-th byte of scratch memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.emit.code import Code

MANY = 48  # from how many on a list is worth it


def word_of(place: str, where: int) -> int | None:
    """The word for a place as memory is planned; None for places that have none."""
    return {"argument": where, "scratch": -1 - where}.get(place)


def list_text(name: str, words: Sequence[int]) -> str:
    """Such a list as a constant."""
    inside = ", ".join(f"i64 {word}" for word in words)
    return f"{name} = internal constant [{len(words)} x i64] [{inside}]"


def _address(code: Code, word: str) -> str:
    """What a word stands for."""
    outside = code.value(f"icmp sge i64 {word}, 0")
    entry = code.value(f"select i1 {outside}, i64 {word}, i64 0")
    given = code.element("ptr", "%arguments", entry)
    inside = code.place("i8", "%scratch", code.value(f"sub i64 -1, {word}"))
    return code.value(f"select i1 {outside}, ptr {given}, ptr {inside}")


_GIVEN = "ptr %list, i64 %count, ptr %arguments, ptr %scratch"


def fill_text() -> str:
    """`void @fill(list, count, arguments, scratch, table)`: of each pair, an entry and a word."""
    code = Code(f"internal void @fill({_GIVEN}, ptr %table)")
    with code.loop("%count") as k:
        first = code.value(f"mul i64 {k}, 2")
        entry = code.element("i64", "%list", first)
        word = code.element("i64", "%list", code.value(f"add i64 {first}, 1"))
        code.line(f"store ptr {_address(code, word)}, ptr {code.place('ptr', '%table', entry)}")
    code.line("ret void")
    return code.text()


def copy_text() -> str:
    """`void @copy(list, count, arguments, scratch)`: of each three, to where, from where, bytes."""
    code = Code(f"internal void @copy({_GIVEN})")
    with code.loop("%count") as k:
        first = code.value(f"mul i64 {k}, 3")
        words = [
            code.element("i64", "%list", code.value(f"add i64 {first}, {n}")) for n in range(3)
        ]
        target, source = _address(code, words[0]), _address(code, words[1])
        code.line(
            f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {words[2]}, "
            "i1 false)"
        )
    code.line("ret void")
    return code.text()
